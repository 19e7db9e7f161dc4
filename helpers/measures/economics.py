"""Unit economics: what a customer costs beside what a customer earns, payback, allowable cost."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import pandas as pd

from helpers.errors import UsageError
from helpers.measures.ltv import chosen_rows, complete_through, divided, pooled, priced


def allowable_cpc(ltv: float, conversion: float, *, buffer: float = 0.0) -> float:
    """Find the most a click may cost.

    LTV x share of clicks that become customers x (1 - buffer); LTV is margin at one horizon.

    >>> allowable_cpc(100, 0.5)
    50.0
    """
    if not 0 <= buffer < 1:
        raise UsageError(f"buffer == {buffer}, must be from 0 to below 1.")
    return ltv * conversion * (1 - buffer) if ltv > 0 else np.nan


@dataclass(frozen=True)
class Payback:
    """The age at which margin covers the cost of acquiring a customer.

    ``state`` is 'paid back', 'not yet' (then ``age`` is missing and ``at_least`` is the last age
    seen) or 'unknown'. ``low`` and ``high`` are the ages between which the interval of margin
    less cost holds zero; ``high`` is missing while that has no end in sight.
    """

    state: str
    age: float = np.nan
    at_least: float = np.nan
    low: float = np.nan
    high: float = np.nan


def payback_age(
    ages: Iterable, value: Iterable, low: Iterable, high: Iterable, cac: float
) -> Payback:
    """Find the first age at which cumulative margin per customer reaches the cost of acquisition.

    ``ages`` ascend in any unit, ``value``, ``low`` and ``high`` are cumulative margin per customer
    there; missing values are ages that could not be observed. No interpolation between ages.
    """
    curve = pd.DataFrame({"age": ages, "value": value, "low": low, "high": high}, dtype=float)
    curve = curve.dropna(subset="value")
    if curve.empty or not np.isfinite(cac):
        return Payback("unknown")

    def first(column: str) -> float:
        # Without an interval (everyone alike) the value itself is all there is to compare.
        over = curve.loc[curve[column].fillna(curve["value"]) >= cac, "age"]
        return float(over.iloc[0]) if len(over) else np.nan

    age, bounds = first("value"), {"low": first("high"), "high": first("low")}
    if np.isnan(age):
        return Payback("not yet", at_least=float(curve["age"].iloc[-1]), **bounds)
    return Payback("paid back", age, **bounds)


def unit_economics(
    acquisition: pd.DataFrame,
    cohort_ages: pd.DataFrame,
    *,
    as_of: date,
    horizon: int = 365,
    value: str = "margin",
    left_truncated: Collection = (),
    buffer: float = 0.0,
    min_cell: int = 10,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare what a customer earns by one horizon with what it cost to win them.

    CAC = cost / new customers of the same months; LTV = ``ltv_historical`` of the customers who
    joined in these months. The months are those between the first and the last with spend whose
    customers have all reached the horizon, without left-truncated ones; where there is none yet,
    all months with spend, and LTV is missing with a reason.

    Returns one row per scope: 'blended' (all cost over all new customers), 'paid' (over those of
    channels with cost), and each channel: cost, clicks, new_customers, cac, cost_per_click,
    conversion (new customers / clicks; none for blended), ltv, ltv_low, ltv_high, ltv_to_cac,
    ratio_low, ratio_high (cost is a plain count, so the interval is that of LTV), allowable_cpc,
    payback_state, payback_age, payback_at_least, payback_low, payback_high (days, in steps of 30),
    first_month, last_month, reason. A channel without cost has no CAC. Empty where no spend
    is recorded.
    """
    rows = acquisition.assign(start=pd.to_datetime(acquisition["start"]))
    spent = rows.loc[rows["cost"] > 0, "start"]
    if spent.empty:
        return pd.DataFrame()
    months = pd.date_range(spent.min(), spent.max(), freq="MS")
    months = months.difference(pd.to_datetime(list(left_truncated)))
    grown = complete_through(months, [horizon], "horizon")[horizon] <= pd.Timestamp(as_of)
    ready = months[grown.to_numpy()]
    months = ready if len(ready) else months
    rows = rows[rows["start"].isin(months)]
    paid = sorted(rows.loc[rows["cost"] > 0, "channel"].unique())
    scopes = {"blended": None, "paid": paid} | {c: [c] for c in sorted(rows["channel"].unique())}
    lines = []
    for scope, channels in scopes.items():
        # Customers of channels without clicks would make each click look more fruitful.
        clicked = channels is not None
        chosen = rows if channels is None else rows[rows["channel"].isin(channels)]
        pools = {
            unit: _scope(cohort_ages, channels, ready, unit=unit, ages=ages, as_of=as_of, of=value)
            for unit, ages in {"horizon": [horizon], "days30": range(_steps(ready, as_of))}.items()
        }
        curves = {unit: priced(pool, min_cell, level) for unit, pool in pools.items()}
        lines.append(
            {"scope": scope} | _economics(chosen, clicked=clicked, buffer=buffer, **curves)
        )
    span = {"first_month": months.min(), "last_month": months.max()}
    return pd.DataFrame(lines).set_index("scope").assign(**span)


def _steps(months: pd.DatetimeIndex, as_of: date) -> int:
    """Count the 30-day steps that the customers of the oldest month have completed."""
    if not len(months):
        return 0
    lived = pd.Timestamp(as_of) - (months.min() + pd.offsets.MonthEnd(0))
    return max(lived.days + 1, 0) // 30


def _scope(
    cohort_ages: pd.DataFrame,
    channels: list[str] | None,
    months: pd.DatetimeIndex,
    *,
    unit: str,
    ages: Iterable[int],
    as_of: date,
    of: str,
) -> pd.DataFrame:
    """Pool what customers who joined through some channels in some months earned by each age."""
    dimension = "all" if channels is None else "channel"
    empty = pd.DataFrame({"age": list(ages), "customers": 0, "cohorts": 0, "coverage": np.nan})
    empty = empty.assign(amount=np.nan, squares=np.nan, cubes=np.nan, unknown=False)
    if dimension not in set(cohort_ages["dimension"]):
        return empty
    rows = chosen_rows(cohort_ages, unit, dimension, (), (None, None))
    rows = rows[rows["cohort"].isin(months)]
    rows = rows if channels is None else rows[rows["value"].isin(channels)]
    if rows.empty or empty.empty:
        return empty
    table = pooled(rows, ages, as_of, of)
    # Customers, amounts and their powers add up over channels: each customer has one.
    sums = table.groupby("age")[["customers", "amount", "squares", "cubes"]].sum(min_count=1)
    most = table.assign(unknown=table["unknown"].eq(True)).groupby("age")
    # A channel whose costs are unknown leaves out its margin, not the question: zero only if all.
    return sums.join(most[["cohorts", "unknown", "coverage"]].max()).reset_index()


def _economics(
    spend: pd.DataFrame,
    *,
    clicked: bool,
    buffer: float,
    horizon: pd.DataFrame,
    days30: pd.DataFrame,
) -> dict[str, object]:
    """Put cost and new customers of one scope beside what these customers earned."""
    cost, clicks, new = (spend[c].sum(min_count=1) for c in ("cost", "clicks", "new_customers"))
    cac = divided(cost, new) if cost > 0 else np.nan
    ltv, low, high = (float(horizon[c].iloc[0]) for c in ("per_customer", "low", "high"))
    conversion = divided(new, clicks) if clicked else np.nan
    age = 30.0 * (days30["age"] + 1)
    paid_back = payback_age(age, days30["per_customer"], days30["low"], days30["high"], cac)
    reason = str(horizon["reason"].iloc[0])
    if not cost > 0:
        reason = "No cost is recorded for this channel."
    elif not new > 0:
        reason = "No new customer in these months."
    return (
        {
            "cost": cost,
            "clicks": clicks,
            "new_customers": new,
            "cac": cac,
            "cost_per_click": divided(cost, clicks),
            "conversion": conversion,
            "ltv": ltv,
            "ltv_low": low,
            "ltv_high": high,
            "ltv_to_cac": divided(ltv, cac),
            "ratio_low": divided(low, cac),
            "ratio_high": divided(high, cac),
            "allowable_cpc": allowable_cpc(ltv, conversion, buffer=buffer),
        }
        | {f"payback_{key}": state for key, state in asdict(paid_back).items()}
        | {"reason": reason}
    )
