"""Frames and sentences of the monthly scorecard: the core metric, and figures from the records."""

import numpy as np
import pandas as pd

from helpers import metrics, records, summaries
from helpers.show import Headline, by_unit, count, percent
from helpers.study import Study
from helpers.written import step

_COLUMN = {
    "margin_per_day": "margin",
    "revenue_per_day": "revenue",
    "orders_per_day": "orders",
}
_LABEL = {
    "margin_per_day": "Contribution margin per day",
    "revenue_per_day": "Revenue per day",
    "orders_per_day": "Orders per day",
}
CHAPTERS = {
    "01_data_cleaning": "Data",
    "02_historical_ltv": "Value so far",
    "03_cohort_analysis": "Cohorts",
    "04_predictive_clv": "Forecast",
    "05_campaign_uplift": "Campaigns",
}


def core_name(study: Study, periods: pd.DataFrame) -> str:
    """Name the core metric: the shop's choice, or revenue where margin is not known."""
    name = study.shop.core_metric.name
    known = metrics.money_basis(periods) == "margin"
    return name if known or name != "margin_per_day" else "revenue_per_day"


def core_label(name: str) -> str:
    """Give the core metric's name in words."""
    return _LABEL[name]


def core_unit(name: str) -> str:
    """Give the core metric's unit: money or count."""
    return "count" if name == "orders_per_day" else "money"


def core_days(study: Study, periods: pd.DataFrame, days: int = 30) -> pd.DataFrame:
    """Give the core metric for each of the last days of the month; a day without orders is zero."""
    column = _COLUMN[core_name(study, periods)]
    rows = periods[(periods["grain"] == "day") & (periods["dimension"] == "all")]
    end = pd.Timestamp(study.end)
    first = max(end - pd.Timedelta(days=days - 1), pd.Timestamp(study.history_starts_at))
    span = pd.date_range(first, end, name="start")
    values = rows.set_index("start")[column].reindex(span, fill_value=0).astype(float)
    return values.rename("value").reset_index()


def target_of(study: Study, periods: pd.DataFrame) -> float:
    """Give the target per day; missing where none is set, or where it is for another metric."""
    target = study.shop.core_metric.target
    same = core_name(study, periods) == study.shop.core_metric.name
    return float(target) if target is not None and same else np.nan


def by_weekday(days: pd.DataFrame) -> pd.DataFrame:
    """Give the mean of the core metric by day of the week, over the days shown."""
    names = days["start"].dt.day_name().str[:3]
    order = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    means = days["value"].groupby(names).mean().reindex(order).dropna()
    return means.rename_axis("weekday").reset_index()


def figures(study: Study) -> pd.DataFrame:
    """Collect the headline figures of this month's notebooks and of the month before.

    One row per figure: chapter, name, label, unit, value, low, high, note, before (same figure of
    the published month before; missing if not published), change, relative.
    """
    now = _figures(records.load_records(study.shop.name, study.month))
    previous = records.shift_month(study.month, -1)
    earlier = _figures(records.published_records(study.shop.name, previous))
    before = earlier.set_index(["chapter", "name"])["value"]
    keys = pd.MultiIndex.from_frame(now[["chapter", "name"]])
    table = now.assign(before=before.reindex(keys).to_numpy(dtype=float))
    change = table["value"] - table["before"]
    relative = change / table["before"].abs().where(table["before"] != 0)
    return table.assign(change=change, relative=relative)


def _figures(found: dict[str, dict]) -> pd.DataFrame:
    columns = ["page", "chapter", "name", "label", "unit", "value", "low", "high", "note"]
    rows = [
        {**figure, "chapter": CHAPTERS[notebook], "page": notebook[:2]}
        for notebook in CHAPTERS
        for figure in found.get(notebook, {}).get("figures", [])
    ]
    table = pd.DataFrame(rows, columns=columns)
    numbers = {name: pd.to_numeric(table[name]) for name in ("value", "low", "high")}
    return table.assign(**numbers)


# The rows that the scorecard shows; the others follow them in the table's file.
_FIRST = (
    "rows_set_aside", "aov", "repeat_90d", "margin_rate", "new_customers", "retention_m1",
    "retention_m12", "clv_total", "expected_orders", "holdout_bias", "arms_shipped",
)  # fmt: skip


def written(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Write the figures out: page, figure, this month, interval, month before, change.

    The twelve figures that say most come first, in the order of the notebooks.
    """
    first = table["name"].isin(_FIRST) | table["name"].str.startswith("ltv_")
    rows = []
    for row in pd.concat([table[first], table[~first]]).itertuples():
        text = by_unit(row.unit, study.currency)
        before = "" if pd.isna(row.before) else text(row.before)
        change = step(row.value, row.before, row.unit)
        interval = "" if pd.isna(row.low) else f"{text(row.low)} to {text(row.high)}"
        rows.append((row.page, row.label, text(row.value), interval, before, change))
    columns = ["page", "figure", "this month", "interval", "month before", "change"]
    return pd.DataFrame(rows, columns=columns)


def moved(table: pd.DataFrame) -> pd.DataFrame:
    """Give the relative change of the figures that can be compared, largest first."""
    known = table.dropna(subset="relative")
    about_customers = known["chapter"].isin(["Value so far", "Cohorts", "Forecast"])
    known = known[about_customers & (known["unit"] != "percent")]
    known = known.assign(size=known["relative"].abs())
    rows = known.sort_values(["size", "label"], ascending=[False, True])
    return rows[["label", "relative"]].head(8).reset_index(drop=True)


def missing_sentence(study: Study, table: pd.DataFrame) -> str:
    """Say which chapters and which earlier month are not there to be compared."""
    absent = [name for name in CHAPTERS.values() if name not in set(table["chapter"])]
    parts = []
    if absent:
        parts.append(
            f"No record of {', '.join(absent)} for {study.month}: run those notebooks first."
        )
    if not table["before"].notna().any():
        previous = records.shift_month(study.month, -1)
        how = (
            f"; run the report for `--month {previous}` first to see it."
            if previous >= study.info.first_month
            else ": the history does not reach that far."
        )
        parts.append(f"{previous} is not published for this shop, so no change is shown{how}")
    return " ".join(parts) or "Every chapter of this month and of the month before is there."


def target_sentence(study: Study, days: pd.DataFrame, target: float, fmt) -> str:
    """Say how the last days stand against the target."""
    mean = days["value"].mean()
    if pd.isna(target) and study.shop.core_metric.target is not None:
        return (
            f"On average {fmt(mean)} a day over {count(len(days))} days. The target in shop.toml "
            "is one of margin, and too little of it is known."
        )
    if pd.isna(target):
        return (
            f"On average {fmt(mean)} a day over {count(len(days))} days. No target is set; "
            "core_metric.target in shop.toml sets one."
        )
    met = (days["value"] >= target).mean()
    return (
        f"On average {fmt(mean)} a day over {count(len(days))} days, {percent(mean / target)} of "
        f"the target of {fmt(target)}; {percent(met)} of the days reached it."
    )


def aim(target: float, fmt) -> str:
    """Name the target beside the core metric."""
    return "no target set" if pd.isna(target) else f"target {fmt(target)}"


def month_headlines(change: pd.DataFrame, study: Study, names) -> list[Headline]:
    """Make headline figures of the month, each with its value of the month before as a note."""
    found = []
    for name in names:
        row = change.loc[name]
        text = by_unit(row["unit"], study.currency)
        note = "" if pd.isna(row["previous"]) else f"{text(row['previous'])} the month before"
        found.append(Headline(f"month_{name}", row["label"], row["value"], row["unit"], note=note))
    return found


def month_table(change: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Write the measures of the month and the month before, each in its unit."""
    rows = []
    for row in change.drop(index="new_customer_share").itertuples():
        text = by_unit(row.unit, study.currency)
        before = "" if pd.isna(row.previous) else text(row.previous)
        moved_by = step(row.value, row.previous, row.unit)
        rows.append((row.label, text(row.value), before, moved_by))
    return pd.DataFrame(rows, columns=["measure", "this month", "month before", "change"])


def year_sentence(periods: pd.DataFrame, study: Study) -> str:
    """Compare revenue and orders with the same month of the year before, where there is one."""
    year_ago = records.shift_month(study.month, -12)
    rows = metrics.months_of(periods).set_index("start")
    now, before = pd.Timestamp(study.start), pd.Timestamp(f"{year_ago}-01")
    if before not in rows.index or before < pd.Timestamp(study.history_starts_at):
        return f"The history does not hold the whole of {year_ago}, so no year is compared."
    change = {
        name: rows.loc[now, name] / rows.loc[before, name] - 1 for name in ("revenue", "orders")
    }
    return (
        f"Against {before:%B %Y}, revenue moved by {change['revenue']:+.1%} and orders by "
        f"{change['orders']:+.1%}."
    )


def tie_out(study: Study, periods: pd.DataFrame) -> pd.DataFrame:
    """Hold the days of the month against the month, in the core metric's sum."""
    column = _COLUMN[core_name(study, periods)]
    rows = periods[periods["dimension"] == "all"]
    start, end = pd.Timestamp(study.start), pd.Timestamp(study.end)
    days = rows[(rows["grain"] == "day") & rows["start"].between(start, end)][column].sum()
    month = rows[(rows["grain"] == "month") & (rows["start"] == start)][column].sum()
    return pd.DataFrame(
        [("Days of the month", days), ("The month", month), ("Difference", round(days - month, 2))],
        columns=["counted by", "sum"],
    )


def alerts(study: Study, periods: pd.DataFrame, days: pd.DataFrame, target: float) -> list[str]:
    """List what needs a look this month, each with the next step; empty if nothing does."""
    found = []
    mean = days["value"].mean()
    text = by_unit(core_unit(core_name(study, periods)), study.currency)
    if not pd.isna(target) and mean < target:
        found.append(
            f"{core_label(core_name(study, periods))} was {text(mean)}, below the target of "
            f"{text(target)}: see which of orders, order value and margin fell in 02."
        )
    return found


def core_headline(name: str, days: pd.DataFrame, target: float, fmt) -> Headline:
    """Make the core metric's headline: its mean over the days shown, with the target beside it."""
    mean = days["value"].mean()
    return Headline("core_metric", _LABEL[name], mean, core_unit(name), note=aim(target, fmt))


def late_refunds_sentence(study: Study) -> str:
    """Say what share of this month's refunds is still to come, from how late refunds have come.

    For a sale of each day of the month: the share of refunded money that went back later after the
    sale than the days left until the month's end; the mean over the days.
    """
    delays = summaries.load(study, "refund_delays")
    total = delays["refunds"].sum()
    if not total > 0:
        return "No refund with a date and a known order is recorded, so none is expected late."
    left = range(study.end.day)
    still = [delays.loc[delays["days"] > days, "refunds"].sum() / total for days in left]
    return (
        f"Refunds of this month's sales are not all in: as refunds have come so far, about "
        f"{percent(sum(still) / len(still))} of them are still to come. Its revenue, margin and "
        "refund rate will move, those of earlier months hardly."
    )
