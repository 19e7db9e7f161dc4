"""Forecasts that were published in earlier months, held against what has happened since.

A record of notebook 04 keeps its forecast by calendar month. Nothing else is kept: the ledger is
only a view over the records, so that publishing a month again never counts twice.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

# What a record keeps of each month ahead, in this order.
KEPT = ("start", "orders_present", "orders_present_to_date", "orders_present_to_date_low",
        "orders_present_to_date_high", "revenue", "revenue_to_date", "revenue_to_date_low",
        "revenue_to_date_high")  # fmt: skip
# An alarm needs an error this large, outside the interval; or three in a row on one side.
LARGE, IN_A_ROW = 0.10, 3
COLUMNS = ["made", "months", "measure", "forecast", "low", "high", "actual", "bias", "inside"]


def kept(months: pd.DataFrame) -> list[list]:
    """Give what the record of this month keeps of its forecast: a row a month, as in ``KEPT``."""
    if months.empty:
        return []
    dates = months["start"].dt.strftime("%Y-%m")
    values = months[list(KEPT[1:])].round(2)
    return [[date, *row] for date, row in zip(dates, values.to_numpy().tolist(), strict=True)]


def entries(records: Mapping[str, dict]) -> pd.DataFrame:
    """Read the forecasts out of records of notebook 04, by the month in which they were published.

    One row per month of publication (``made``) and month ahead. A record without a forecast, or of
    a time before forecasts were kept, adds nothing.
    """
    rows = []
    for made, record in sorted(records.items()):
        for row in record.get("extra", {}).get("forecast_months", []):
            if len(row) == len(KEPT):
                rows.append({"made": made, **dict(zip(KEPT, row, strict=True))})
    return pd.DataFrame(rows, columns=["made", *KEPT])


def scored(made: pd.DataFrame, months: pd.DataFrame, until: str) -> pd.DataFrame:
    """Score every earlier forecast on the months that are over: one row per forecast and measure.

    ``made``: `entries`; ``months``: ``cohort_months`` as known now; ``until``: the last whole
    month. orders: repeat purchase days of customers won by the month of publication; revenue: of
    all, also those won since. forecast, low, high and actual are sums over the ``months`` that
    have passed; bias is (forecast - actual) / actual.
    """
    start = pd.to_datetime(months["start"]).dt.strftime("%Y-%m")
    cohort = pd.to_datetime(months["cohort"]).dt.strftime("%Y-%m")
    revenue = months["first_revenue"] + months["repeat_revenue"]
    rows = []
    for published, forecast in made[made["start"] <= until].groupby("made"):
        last = forecast.sort_values("start").iloc[-1]
        passed = (start > published) & (start <= last["start"])
        actual = {
            "orders_present": months.loc[passed & (cohort <= published), "purchases"].sum(),
            "revenue": revenue[passed].sum(),
        }
        for measure, happened in actual.items():
            low, high = (last[f"{measure}_to_date_{end}"] for end in ("low", "high"))
            value = last[f"{measure}_to_date"]
            rows.append(
                {
                    "made": published, "months": len(forecast), "measure": measure,
                    "forecast": value, "low": low, "high": high, "actual": float(happened),
                    "bias": (value - happened) / happened if happened else np.nan,
                    "inside": bool(low <= happened <= high),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def alarms(table: pd.DataFrame) -> list[str]:
    """Say where forecasts drift from what happens: outside their interval, or always on one side.

    One sentence per measure, empty if there is nothing to say. Forecasts overlap, so that several
    wrong ones are one finding, and the newest with at least three months passed speaks.
    """
    found = []
    for measure, name in (("orders_present", "orders of known customers"), ("revenue", "revenue")):
        rows = table[(table["measure"] == measure) & (table["months"] >= 1)].sort_values("made")
        if rows.empty:
            continue
        ripe = rows[rows["months"] >= 3]
        newest = (ripe if len(ripe) else rows).iloc[-1]
        side = np.sign(rows["bias"].tail(IN_A_ROW))
        word = "above" if newest["bias"] > 0 else "below"
        if not newest["inside"] and abs(newest["bias"]) >= LARGE:
            found.append(
                f"The forecast of {name} published in {newest['made']} lies {word} what "
                "happened, by "
                f"{abs(newest['bias']):.0%} and outside its interval: fit anew, and look at 04 for "
                "cohorts that differ."
            )
        elif (
            len(side) == IN_A_ROW
            and abs(side.sum()) == IN_A_ROW
            and (rows["bias"].tail(IN_A_ROW).abs().min() >= LARGE)
        ):
            found.append(
                f"The last {IN_A_ROW} forecasts of {name} all lie {word} what happened by a "
                "tenth or more: the model may be drifting."
            )
    return found
