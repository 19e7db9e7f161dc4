"""Earlier months' forecasts against what happened since, for the scorecard."""

import pandas as pd

from helpers import summaries
from helpers.models import ledger
from helpers.models.ledger import alarms
from helpers.records import published_records, read_months
from helpers.show import count, percent
from helpers.study import Study

_NAMES = {"orders_present": "orders, customers known then", "revenue": "revenue, all customers"}


def load_ledger(study: Study) -> pd.DataFrame:
    """Give every forecast published in the last twelve months, scored on the months since.

    One row per month of publication and measure (see `ledger.scored`), the newest first; empty
    where no earlier month was published with a forecast by month.
    """
    found = {
        month: published_records(study, month).get("04_predictive_clv", {})
        for month in read_months(study.month)
    }
    made = ledger.entries(found)
    if made.empty:
        return pd.DataFrame(columns=ledger.COLUMNS)
    table = ledger.scored(made, summaries.load(study, "cohort_months"), study.month)
    return table.sort_values(["made", "measure"], ascending=[False, True], ignore_index=True)


def written(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """Write the ledger as a page shows it: orders as counts, revenue as money."""
    columns = ["published", "months", "of", "forecast", "interval", "actual", "error", "inside"]
    rows = []
    for row in table.itertuples():
        fmt = study.money if row.measure == "revenue" else count
        rows.append(
            {
                "published": row.made,
                "months": row.months,
                "of": _NAMES[row.measure],
                "forecast": fmt(row.forecast),
                "interval": f"{fmt(row.low)} to {fmt(row.high)}",
                "actual": fmt(row.actual),
                "error": percent(row.bias, 1),
                "inside": "yes" if row.inside else "no",
            }
        )
    return pd.DataFrame(rows, columns=columns)


def sentence(table: pd.DataFrame) -> str:
    """Say how many forecasts held so far, and whether they drift; or that there are none yet."""
    if table.empty:
        return (
            "No earlier month was published with a forecast by month, so none can be held against "
            "what happened. Each month published from now on is."
        )
    held = int(table["inside"].sum())
    said = (
        f"{count(held)} of {count(len(table))} published forecasts hold what happened so far "
        "within "
        "their 90% intervals. They overlap: several that miss the same months are one miss."
    )
    drifting = alarms(table)
    return f"{said} {' '.join(drifting)}" if drifting else f"{said} None of them drifts."
