"""The twelve rows that a month is judged by, each against its target and against noise.

A figure that was counted is held against the natural limits of its last twelve months (mean plus
or minus 2.66 mean moving ranges: the XmR chart, Wheeler 1993); one that was estimated, against
the interval of the month before.
"""

import numpy as np
import pandas as pd

from helpers import records
from helpers.chapters import scorecard
from helpers.measures import metrics
from helpers.show import by_unit, is_missing
from helpers.study import Study

HISTORY, LEAST = 12, 6
_NATURAL = 2.66
# Sums are judged by the day, since months differ in length.
_PER_DAY = ("revenue", "orders", "new_customers")
_COUNTED = {
    "revenue": 1, "orders": 1, "customers": 1, "new_customers": 1, "aov": 1, "margin_rate": 1,
    "refund_rate": -1, "cac": -1,
}  # fmt: skip
# Name in [targets], chapter and name of the figure, by which direction is better.
_ESTIMATED = (
    ("repeat_90d", "Value so far", "repeat_90d"),
    ("ltv", "Value so far", "ltv_"),
    ("clv_per_customer", "Forecast", "clv_per_customer"),
)
CAC = ("Cost per new customer", "money")


def rows(
    study: Study,
    periods: pd.DataFrame,
    known: pd.DataFrame,
    acquisition: pd.DataFrame,
    figures: pd.DataFrame,
    *,
    core: str,
    target: float,
) -> pd.DataFrame:
    """Give the twelve rows: name, label, unit, now, before, year_ago, target, low, high, state.

    ``low`` and ``high`` bound what is no more than noise. ``state`` is better, worse, within noise,
    or says why it cannot be said. ``known`` is the summary `known_months`: money of earlier months
    is judged as it stood at their own ends, since refunds of the newest are still to come.
    """
    months = monthly(study, periods, acquisition)
    fresh = as_of_own_end(months, known)
    column, whole = scorecard.core_column(core), months["complete"].all()
    label, unit = scorecard.core_label(core), scorecard.core_unit(core)
    per_day = months[column] / months["days"]
    judged = fresh.get(column, months[column]) / months["days"]
    found = [
        _counted(
            "core_metric", f"{label}, whole month", unit, per_day, judged, 1, target, whole=whole
        )
    ]
    for name, direction in _COUNTED.items():
        entry = metrics.MEASURES.get(name)
        label, unit = (entry.label, entry.unit) if entry else CAC
        judged = fresh.get(name, months[name])
        judged = judged / months["days"] if name in _PER_DAY else judged
        judged = judged.where(months[name].notna())
        aim = study.shop.targets.get(name, np.nan)
        label = f"{label} so far" if name == "refund_rate" else label
        options = {"target": aim, "whole": whole}
        found.append(_counted(name, label, unit, months[name], judged, direction, **options))
    for name, chapter, start in _ESTIMATED:
        row = scorecard.figure(figures, chapter, start)
        found.append(_estimated(name, row, study.shop.targets.get(name, np.nan)))
    return pd.DataFrame(found)


def monthly(study: Study, periods: pd.DataFrame, acquisition: pd.DataFrame) -> pd.DataFrame:
    """Give the measures by month that the rows are judged by, with the cost per new customer.

    One row per month (index), the last that of the study and at most twelve before it, those whole.
    """
    table = scorecard.by_period(study, periods, "month", HISTORY + 1).set_index("start")
    table = table[table["complete"] | (table.index == table.index.max())]
    spent = acquisition.groupby("start")[["cost", "new_customers"]].sum(min_count=1)
    spent = spent.reindex(table.index)
    new = spent["new_customers"].where(spent["new_customers"] >= study.shop.privacy.min_cell)
    cac = (spent["cost"] / new).where(spent["cost"] > 0)
    return table.assign(cac=cac, days=table.index.days_in_month.astype(float))


def as_of_own_end(months: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Give money of each month as it was known at its own end: revenue, margin, aov, refund_rate.

    Rows as in ``months``; missing where its own figure is.
    """
    then = known[known["known"] <= known["start"]]
    sums = then.groupby("start")[["orders", "revenue", "margin", "refunds"]].sum()
    sums = sums.reindex(months.index, fill_value=0).astype(float)
    sold = sums["revenue"] + sums["refunds"]
    found = {
        "revenue": sums["revenue"],
        "margin": sums["margin"],
        "aov": sums["revenue"] / sums["orders"].where(sums["orders"] > 0),
        "refund_rate": sums["refunds"] / sold.where(sold > 0),
    }
    return pd.DataFrame({name: found[name].where(months[name].notna()) for name in found})


def natural_limits(history: pd.Series) -> tuple[float, float]:
    """Give the limits of months like these: mean plus or minus 2.66 mean moving ranges.

    Missing with fewer than six months that are known.
    """
    known = history.dropna()
    if len(known) < LEAST:
        return np.nan, np.nan
    mean, half = known.mean(), _NATURAL * known.diff().abs().mean()
    return mean - half, mean + half


def _counted(
    name: str,
    label: str,
    unit: str,
    values: pd.Series,
    judged: pd.Series,
    direction: int,
    target: float,
    *,
    whole: bool,
) -> dict:
    """Make a row of a figure that was counted; ``values`` and ``judged`` are by month."""
    row = {"name": name, "label": label, "unit": unit, "now": np.nan, "before": np.nan,
           "year_ago": np.nan, "target": target, "low": np.nan, "high": np.nan}  # fmt: skip
    last = values.index[-1]
    row |= {"now": values.iloc[-1], "before": values.get(last - pd.DateOffset(months=1), np.nan),
            "year_ago": values.get(last - pd.DateOffset(months=12), np.nan)}  # fmt: skip
    low, high = natural_limits(judged.iloc[:-1])
    scale = row["now"] / judged.iloc[-1] if judged.iloc[-1] else np.nan
    if name != "margin_rate" and (unit != "money" or name in ("aov", "cac")):
        low = max(low, 0.0)  # What is counted cannot fall below zero; money and margin can.
    row |= {"low": low * scale, "high": high * scale}
    if is_missing(row["now"]):
        return {**row, "state": "not known"}
    if not whole:
        return {**row, "low": np.nan, "high": np.nan, "state": "month not whole"}
    if is_missing(low):
        return {**row, "state": "too few months"}
    return {**row, "state": _state(judged.iloc[-1], low, high, direction)}


def _state(value: float, low: float, high: float, direction: int) -> str:
    if low <= value <= high:
        return "within noise"
    return "better" if (value > high) == (direction > 0) else "worse"


def _estimated(name: str, figure: pd.Series | None, target: float) -> dict:
    """Make a row of a figure with an interval, from this month's record and the one before.

    Both months rest largely on the same customers, so an interval for their difference that takes
    them for strangers is, if anything, too wide.
    """
    row = {"name": name, "label": _NAMES[name], "unit": "money", "now": np.nan, "before": np.nan,
           "year_ago": np.nan, "target": target, "low": np.nan, "high": np.nan}  # fmt: skip
    if figure is None or is_missing(figure["value"]):
        return {**row, "state": "not known"}
    label = _NAMES[name] if name == "clv_per_customer" else figure["label"]
    row |= {"label": label, "unit": figure["unit"], "now": figure["value"],
            "before": figure["before"], "year_ago": figure["year_ago"]}  # fmt: skip
    if is_missing(figure["before"]):
        return {**row, "state": "month before unpublished"}
    widths = [(figure["high"] - figure["low"]) / 2,
              (figure["before_high"] - figure["before_low"]) / 2]  # fmt: skip
    half = float(np.hypot(*widths))
    if is_missing(half):
        return {**row, "state": "no interval"}
    low, high = figure["before"] - half, figure["before"] + half
    return {**row, "low": low, "high": high, "state": _state(figure["value"], low, high, 1)}


_NAMES = {
    "repeat_90d": "Buy again within 90 days",
    "ltv": "LTV per customer, earned so far",
    "clv_per_customer": "CLV per customer, still expected",
}


def written(study: Study, table: pd.DataFrame, figures: pd.DataFrame) -> pd.DataFrame:
    """Write the twelve rows out, and after them every figure of the other notebooks for the file.

    Columns: figure, this month, state, month before, year before, target, noise (between which
    values a month like those before lies).
    """
    shown = [_written(row, study) for row in table.to_dict("records")]
    for row in figures.to_dict("records"):
        text = by_unit(row["unit"], study.currency)
        inside = "" if is_missing(row["low"]) else f"{text(row['low'])} to {text(row['high'])}"
        cells = [_or_blank(text, row[key]) for key in ("value", "before", "year_ago")]
        shown.append((f"{row['page']}: {row['label']}", *cells, "", "", f"interval {inside}"
                      if inside else ""))  # fmt: skip
    columns = ["figure", "this month", "month before", "year before", "target", "noise", "state"]
    table = pd.DataFrame(shown, columns=columns)
    return table[[*columns[:2], "state", *columns[2:-1]]]


def _or_blank(text, value: float) -> str:
    return "" if is_missing(value) else text(value)


def _written(row: dict, study: Study) -> tuple[str, ...]:
    text = by_unit(row["unit"], study.currency)
    cells = [_or_blank(text, row[key]) for key in ("now", "before", "year_ago", "target")]
    noise = "" if is_missing(row["low"]) else f"{text(row['low'])} to {text(row['high'])}"
    return (row["label"], *cells, noise, row["state"])


def sentence(study: Study, table: pd.DataFrame) -> str:
    """Say which of the twelve moved beyond noise, and which could not be judged."""
    parts = []
    for state in ("better", "worse"):
        names = table.loc[table["state"] == state, "label"]
        if len(names):
            parts.append(f"{state.capitalize()} than noise explains: {', '.join(names)}.")
    if not parts:
        parts.append("No figure moved beyond what is usual from month to month.")
    unknown = table[~table["state"].isin(["better", "worse", "within noise"])]
    if len(unknown):
        why = [f"{row.label} ({row.state})" for row in unknown.itertuples()]
        parts.append(f"Not judged: {', '.join(why)}.")
    previous = records.shift_month(study.month, -1)
    if (table["state"] == "month before unpublished").any():
        parts.append(f"Publishing {previous} first would let estimates be compared.")
    missed = table[
        np.where(table["name"].isin(["refund_rate", "cac"]), table["now"] > table["target"],
                 table["now"] < table["target"])
    ]  # fmt: skip
    if len(missed):
        parts.append(f"Short of the month's target: {', '.join(missed['label'])}.")
    return " ".join(parts)
