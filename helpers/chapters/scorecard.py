"""Frames and sentences of the monthly scorecard: the core metric, twelve rows, months, quarters."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers import records, summaries
from helpers.measures import metrics
from helpers.show import Headline, by_unit, count, percent
from helpers.study import Study
from helpers.written import Formatter, step

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
# Measures of months and quarters, in the order of the tables.
MEASURES = (
    "revenue", "orders", "customers", "new_customers", "aov", "purchase_frequency", "arpu",
    "margin", "margin_rate", "margin_coverage", "margin_per_day", "refund_rate",
    "new_customer_share",
)  # fmt: skip


def core_name(study: Study, periods: pd.DataFrame) -> str:
    """Name the core metric: the shop's choice, or revenue where margin is not known."""
    name = study.shop.core_metric.name
    known = metrics.money_basis(periods) == "margin"
    return name if known or name != "margin_per_day" else "revenue_per_day"


def core_column(name: str) -> str:
    """Give the column of ``periods`` that the core metric adds up."""
    return _COLUMN[name]


def core_label(name: str) -> str:
    """Give the core metric's name in words."""
    return _LABEL[name]


def core_format(study: Study, name: str) -> Formatter:
    """Give the function that writes the core metric."""
    return by_unit(core_unit(name), study.currency)


def core_unit(name: str) -> str:
    """Give the core metric's unit: money or count."""
    return "count" if name == "orders_per_day" else "money"


def target_of(study: Study, periods: pd.DataFrame) -> float:
    """Give the target per day; missing where none is set, or where it is for another metric."""
    target = study.shop.core_metric.target
    same = core_name(study, periods) == study.shop.core_metric.name
    return float(target) if target is not None and same else np.nan


# -- figures of all notebooks ----------------------------------------------------------------


def figures(study: Study) -> pd.DataFrame:
    """Collect the headline figures of this month's notebooks, and what they were before.

    One row per figure: page, chapter, name, label, unit, value, low, high, note; before,
    before_low, before_high of the month before and year_ago of the year before, each as published
    then (missing if not published, or in another currency); change, relative.
    """
    now = _figures(records.load_records(study.shop.name, study.month))
    keys = pd.MultiIndex.from_frame(now[["chapter", "name"]])
    table = now
    for months, columns in (
        (-1, {"value": "before", "low": "before_low", "high": "before_high"}),
        (-12, {"value": "year_ago"}),
    ):
        month = records.shift_month(study.month, months)
        earlier = _figures(records.published_records(study.shop.name, month), study.currency)
        known = earlier.set_index(["chapter", "name"]).reindex(keys)
        table = table.assign(
            **{to: known[name].to_numpy(dtype=float) for name, to in columns.items()}
        )
    change = table["value"] - table["before"]
    relative = change / table["before"].abs().where(table["before"] != 0)
    return table.assign(change=change, relative=relative)


def _figures(found: dict[str, dict], currency: str = "") -> pd.DataFrame:
    columns = ["page", "chapter", "name", "label", "unit", "value", "low", "high", "note"]
    rows = [
        {**figure, "chapter": CHAPTERS[notebook], "page": notebook[:2]}
        for notebook in CHAPTERS
        for figure in found.get(notebook, {}).get("figures", [])
        # Amounts of another currency are not earlier values of this one.
        if figure["unit"] != "money"
        or not currency
        or found[notebook].get("currency", currency) == currency
    ]
    table = pd.DataFrame(rows, columns=columns)
    numbers = {name: pd.to_numeric(table[name]) for name in ("value", "low", "high")}
    return table.assign(**numbers)


def figure(table: pd.DataFrame, chapter: str, name: str) -> pd.Series | None:
    """Pick one figure of a chapter by its name, or by the start of it; None where it is not."""
    rows = table[(table["chapter"] == chapter) & table["name"].str.startswith(name)]
    return rows.iloc[0] if len(rows) else None


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


# -- sentences about the core metric ---------------------------------------------------------


def target_sentence(study: Study, days: pd.DataFrame, target: float, fmt) -> str:
    """Say how the last days stand against their targets."""
    mean, aimed = days["value"].mean(), days["target"].mean()
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
    met = (days["value"] >= days["target"]).mean()
    share = f", {percent(mean / aimed)} of" if aimed else " against"
    return (
        f"On average {fmt(mean)} a day over {count(len(days))} days{share} the target of "
        f"{fmt(aimed)}, which is {fmt(target)} a day spread over the weekdays; {percent(met)} of "
        "the days reached theirs."
    )


def core_headline(name: str, days: pd.DataFrame, target: float, fmt) -> Headline:
    """Make the core metric's headline: its mean over the days shown, with the target beside it."""
    note = "no target set" if pd.isna(target) else f"target {fmt(target)}"
    return Headline("core_metric", _LABEL[name], days["value"].mean(), core_unit(name), note=note)


def month_headlines(study: Study, periods: pd.DataFrame, names: Sequence[str]) -> list[Headline]:
    """Make headline figures of the month, each with its value of the month before as a note."""
    change, found = metrics.month_over_month(periods, study.month, names=names), []
    for name in names:
        row = change.loc[name]
        text = by_unit(row["unit"], study.currency)
        note = "" if pd.isna(row["previous"]) else f"{text(row['previous'])} the month before"
        found.append(Headline(f"month_{name}", row["label"], row["value"], row["unit"], note=note))
    return found


def tie_out(study: Study, periods: pd.DataFrame) -> pd.DataFrame:
    """Hold the days of the month and of its quarter so far against month and months."""
    column = _COLUMN[core_name(study, periods)]
    rows = periods[periods["dimension"] == "all"]
    start, end = pd.Timestamp(study.start), pd.Timestamp(study.end)
    quarter = pd.Period(start, "Q").start_time

    def total(grain: str, since: pd.Timestamp) -> float:
        chosen = (rows["grain"] == grain) & rows["start"].between(since, end)
        return rows.loc[chosen, column].sum()

    found = [
        ("Days of the month", total("day", start), total("month", start), "the month"),
        ("Months of the quarter", total("month", quarter), total("quarter", quarter),
         "the quarter so far"),
    ]  # fmt: skip
    return pd.DataFrame(
        [(name, part, whole, round(part - whole, 2) + 0.0) for name, part, whole, _ in found],
        columns=["counted by", "sum", "counted whole", "difference"],
    )


def late_refunds_sentence(study: Study) -> str:
    """Say what share of this month's refunds is still to come, from how late refunds have come.

    For a sale of each day of the month: the share of refunded money that went back later after the
    sale than the days left until the month's end; the mean over the days.
    """
    delays = summaries.load(study, "refund_delays")
    total = delays["refunds"].sum()
    if not total > 0:
        return (
            "No refund with a date and a known order is recorded, so how many of this month's are "
            "still to come cannot be said."
        )
    left = range(study.end.day)
    still = [delays.loc[delays["days"] > days, "refunds"].sum() / total for days in left]
    return (
        f"Refunds of this month's sales are not all in: as refunds have come so far, about "
        f"{percent(sum(still) / len(still))} of them are still to come. Its revenue, margin and "
        "refund rate will move, those of earlier months less."
    )


# -- months and quarters ---------------------------------------------------------------------


def by_period(study: Study, periods: pd.DataFrame, grain: str, number: int) -> pd.DataFrame:
    """Give the measures of the last so many months or quarters: start, complete, a column each.

    A period that has begun before the history or ends after the study's month is not complete,
    and per-day figures of it count the days that are there. A period inside the history without
    orders has zeros. With fewer customers than may be shown only counts are given.
    """
    letter = {"month": "M", "quarter": "Q"}[grain]
    first, last = pd.Timestamp(study.history_starts_at), pd.Timestamp(study.end)
    spans = pd.period_range(first, last, freq=letter)[-number:]
    rows = periods[(periods["grain"] == grain) & (periods["dimension"] == "all")]
    numbers = rows.assign(start=pd.to_datetime(rows["start"])).set_index("start")
    numbers = numbers.select_dtypes("number").reindex(spans.start_time, fill_value=0)
    begun = np.maximum(spans.start_time, first)
    ended = np.minimum(spans.end_time.normalize(), last)
    whole = (begun == spans.start_time) & (ended == spans.end_time.normalize())
    table = numbers.rename_axis("start").reset_index()
    table = table.assign(grain=grain, dimension="all", days=(ended - begun).days + 1.0)
    few = (table["customers"] < study.shop.privacy.min_cell) & (table["customers"] > 0)
    found = {
        name: metrics.measure(table, name).mask(few & (metrics.MEASURES[name].unit != "count"))
        for name in MEASURES
    }
    return table[["start"]].assign(complete=whole, **found)


def formats(study: Study) -> dict[str, object]:
    """Say how each measure of months and quarters is written."""
    return {name: by_unit(metrics.MEASURES[name].unit, study.currency) for name in MEASURES}


def year_sentence(months: pd.DataFrame, study: Study) -> str:
    """Compare revenue and orders with the same month of the year before, where there is one."""
    year_ago = records.shift_month(study.month, -12)
    rows = months.set_index("start")
    before = pd.Timestamp(f"{year_ago}-01")
    if before not in rows.index or not rows.loc[before, "complete"]:
        return f"The history does not hold the whole of {year_ago}, so no year is compared."
    now, then = rows.loc[pd.Timestamp(study.start)], rows.loc[before]
    parts = []
    for name in ("revenue", "orders"):
        unit = metrics.MEASURES[name].unit
        parts.append(f"{name} moved by {step(now[name], then[name], unit)}" if then[name] > 0
                     else f"{name} cannot be compared with a month that had none")  # fmt: skip
    return f"Against {before:%B %Y}, {' and '.join(parts)}."
