"""What customers have been worth: historical value, formula value, unit economics.

LTV is never one word: ``ltv_historical`` is what a customer has earned the shop by an age,
``ltv_formula`` is ARPU x margin / churn, ``ltv_horizon`` is ARPU x margin over fixed periods.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from helpers.errors import UsageError, nearest
from helpers.metrics import Churn, churn_rate, mean_interval, total

HORIZONS = (30, 60, 90, 180, 365, 730)
AGE_UNITS = ("month", "days30", "horizon")
# Columns of ltv_historical, in order.
_COLUMNS = ["dimension", "value", "horizon", "per_customer", "se", "low", "high", "amount"]
_COLUMNS += ["customers", "cohorts", "first_cohort", "last_cohort", "coverage", "reason"]


def complete_through(cohorts: Iterable, ages: Iterable[int], age_unit: str) -> pd.DataFrame:
    """Give the day on which every member of a cohort has completed each age.

    Cohorts are month starts and their last member joins on the month's last day. By unit, an age
    is complete at the end of the calendar month that many months later ('month'), at the last day
    + 30 x (age + 1) - 1 days ('days30'), or at the last day + age - 1 days ('horizon'): the day of
    the first order is the first of the days. Returns a frame of days, cohort x age.
    """
    if age_unit not in AGE_UNITS:
        raise UsageError(f"There is no age unit '{age_unit}'.{nearest(age_unit, AGE_UNITS)}")
    starts = pd.DatetimeIndex(pd.to_datetime(list(cohorts)))
    ends = starts + pd.offsets.MonthEnd(0)

    def day(age: int) -> pd.DatetimeIndex:
        if age_unit == "month":
            return starts + pd.DateOffset(months=age) + pd.offsets.MonthEnd(0)
        return ends + pd.Timedelta(days=30 * (age + 1) - 1 if age_unit == "days30" else age - 1)

    return pd.DataFrame({age: day(age) for age in ages}, index=starts).rename_axis("cohort")


def _rows(
    cohort_ages: pd.DataFrame,
    age_unit: str,
    dimension: str,
    left_truncated: Collection,
    span: tuple[date | None, date | None],
) -> pd.DataFrame:
    """Return the rows of one unit and dimension whose cohorts may be pooled."""
    known = cohort_ages["dimension"].unique()
    if len(known) and dimension not in known:
        raise UsageError(f"There is no dimension '{dimension}'.{nearest(dimension, known)}")
    chosen = (cohort_ages["age_unit"] == age_unit) & (cohort_ages["dimension"] == dimension)
    cohort = pd.to_datetime(cohort_ages["cohort"])
    first, last = (pd.NaT if day is None else pd.Timestamp(day) for day in span)
    # A comparison with NaT is False, so an open end bars nothing.
    barred = cohort.isin(pd.to_datetime(list(left_truncated))) | (cohort < first) | (cohort > last)
    return cohort_ages.assign(cohort=cohort, barred=barred)[chosen]


def _pooled(rows: pd.DataFrame, ages: Iterable[int], as_of: date, value: str) -> pd.DataFrame:
    """Sum what cohorts that reached an age earned by then: one row per value and age."""
    names, free = rows["value"].unique(), rows[~rows["barred"]]
    ages, unit = tuple(ages), rows["age_unit"].iloc[0] if len(rows) else "horizon"
    cohorts = pd.DatetimeIndex(free["cohort"].unique())
    reached = complete_through(cohorts, ages, unit) <= pd.Timestamp(as_of)
    parts = []
    for age in ages:
        ready = free[free["cohort"].isin(cohorts[reached[age]])]
        part = _at_age(ready, age, value).reindex(names)
        parts.append(part.rename_axis("value").reset_index().assign(age=age))
    return pd.concat(parts).sort_values(["value", "age"], ignore_index=True)


def _at_age(ready: pd.DataFrame, age: int, value: str) -> pd.DataFrame:
    """Sum customers, amounts and squares to an age, by value of the dimension."""
    # The size stands in every row of a cohort; its first row is there at any age.
    size = ready.drop_duplicates(["value", "cohort"]).groupby("value")
    size = size.agg(
        customers=("customers", "sum"),
        cohorts=("cohort", "size"),
        first_cohort=("cohort", "min"),
        last_cohort=("cohort", "max"),
    )
    by_value = ready[ready["age"] <= age].groupby("value")
    size["amount"] = by_value[value].sum()
    size["squares"] = by_value[f"{value}_cumulative_squares"].sum()
    size["unknown"] = by_value[value].agg(lambda steps: steps.isna().any())
    size["coverage"] = np.nan
    if value in ("margin", "cost"):
        # On the lines whose cost is known, revenue is margin + cost.
        revenue, known = by_value["revenue"].sum(), by_value[["margin", "cost"]].sum().sum(axis=1)
        size["coverage"] = known / revenue.where(revenue > 0)
    return size


def ltv_historical(
    cohort_ages: pd.DataFrame,
    *,
    as_of: date,
    horizons: Iterable[int] = HORIZONS,
    value: str = "margin",
    left_truncated: Collection = (),
    dimension: str = "all",
    first_cohort: date | None = None,
    last_cohort: date | None = None,
    min_cell: int = 10,
    level: float = 0.95,
) -> pd.DataFrame:
    """Show what a customer has earned the shop by each age.

    Sum of ``value`` ('margin', 'revenue', 'refunds' or 'cost') to the horizon / number of
    customers, buyers again or not, pooled over cohorts of which every member has reached the
    horizon by ``as_of`` (the month's last day + horizon - 1 days). Cohorts in ``left_truncated``
    (month starts) are left out: some of their members are older than they look. Horizons rest on
    different cohorts, so compare them with ``cohorts`` and ``last_cohort`` in view.

    Returns one row per value of the dimension and horizon: dimension, value, horizon (days),
    per_customer, se, low, high, amount (the sum), customers, cohorts, first_cohort, last_cohort,
    coverage (share of revenue whose cost is known; for margin and cost), reason (why per_customer
    is missing). Interval: Student's t from sums of squares.
    """
    horizons = tuple(horizons)
    if unknown := sorted(set(horizons) - set(HORIZONS)):
        raise UsageError(f"horizons has {unknown}, must be among {', '.join(map(str, HORIZONS))}.")
    span = (first_cohort, last_cohort)
    rows = _rows(cohort_ages, "horizon", dimension, left_truncated, span)
    table = _priced(_pooled(rows, horizons, as_of, value), min_cell, level)
    return table.rename(columns={"age": "horizon"}).assign(dimension=dimension)[_COLUMNS]


def _priced(table: pd.DataFrame, min_cell: int, level: float) -> pd.DataFrame:
    """Turn pooled sums into value per customer with interval, or the reason there is none."""
    table = table.assign(
        customers=table["customers"].fillna(0).astype(int),
        cohorts=table["cohorts"].fillna(0).astype(int),
        coverage=table["coverage"].astype(float),
    )
    reasons = {
        "No cohort has reached this age.": table["cohorts"] == 0,
        f"Fewer than {min_cell} customers have reached this age.": table["customers"] < min_cell,
        "The cost of what was sold is not known.": (
            table["unknown"].eq(True) | (table["coverage"] == 0)
        ),
    }
    reason = np.select(list(reasons.values()), list(reasons), default="")
    amount = table["amount"].where(reason == "").astype(float)
    mean = mean_interval(amount, table["squares"], table["customers"], level=level)
    figures = {"per_customer": mean.value, "se": mean.se, "low": mean.low, "high": mean.high}
    return table.assign(amount=amount, reason=reason, **figures)


@dataclass(frozen=True)
class FormulaValue:
    """A formula LTV per customer, the inputs it stands on, or the reason there is none."""

    formula: str
    value: float
    arpu: float
    margin_rate: float
    cycles: float
    low: float = np.nan
    high: float = np.nan
    reason: str = ""


def _unusable(arpu: float, margin_rate: float) -> str:
    if not (np.isfinite(arpu) and arpu >= 0):
        return "Revenue per customer is not known, or below zero."
    if not np.isfinite(margin_rate):
        return "The margin rate is not known."
    if margin_rate > 1:
        return "The margin rate is above 1; it must be a share, 0.6 for 60 percent."
    return "" if margin_rate > 0 else "The margin rate is not above 0, so a customer earns nothing."


def ltv_formula(
    arpu: float,
    margin_rate: float,
    churn: float,
    *,
    churn_low: float = np.nan,
    churn_high: float = np.nan,
) -> FormulaValue:
    """Give the value of a customer if revenue, margin and churn stayed as they are for ever.

    ARPU x margin rate / churn, where ARPU and churn are of the same cycle and the same active
    customers; 1 / churn is the lifetime in cycles. Discrete convention: the cycle of acquisition
    counts in full (1 + (1 - c) + (1 - c)^2 + ... = 1 / c); no discount, no cap. One churn rate
    for customers who differ misleads in both directions, so show it beside ``ltv_historical``.
    low and high carry the interval of churn only. Unusable inputs give a reason, no number.

    >>> ltv_formula(25, 0.60, 0.05).value
    300.0
    """
    reason = _unusable(arpu, margin_rate)
    if not reason and not np.isfinite(churn):
        reason = "Churn is not known."
    elif not reason and churn == 0:
        reason = "No customer was lost, so 1 / churn has no value."
    elif not reason and not 0 < churn <= 1:
        reason = "Churn must be above 0 and at most 1 per cycle."
    name = "ARPU x margin rate / churn"
    if reason:
        return FormulaValue(name, np.nan, arpu, margin_rate, np.nan, reason=reason)
    earned = arpu * margin_rate
    low = earned / churn_high if churn_high > 0 else np.nan
    high = earned / churn_low if churn_low > 0 else np.nan
    return FormulaValue(name, earned / churn, arpu, margin_rate, 1 / churn, low, high)


def ltv_horizon(arpu: float, margin_rate: float, periods: float) -> FormulaValue:
    """Give the value of a customer who stays for a fixed number of periods.

    ARPU x margin rate x periods, with ARPU per period. Not the same figure as ``ltv_formula``:
    the lifetime is assumed, not estimated.

    >>> ltv_horizon(40, 0.60, 6).value
    144.0
    """
    reason = _unusable(arpu, margin_rate)
    if not reason and not (np.isfinite(periods) and periods > 0):
        reason = "The number of periods must be above 0."
    value = np.nan if reason else arpu * margin_rate * periods
    name = "ARPU x margin rate x periods"
    return FormulaValue(name, value, arpu, margin_rate, periods, reason=reason)


def ltv_formula_history(
    periods: pd.DataFrame, gaps: pd.DataFrame, *, window_days: int
) -> tuple[FormulaValue, Churn]:
    """Put the shop's own history into the formula, in customer-months on both sides.

    ARPU = revenue per purchase day / active months per purchase day, churn = customers lost per
    active customer-month, both with a customer active for at most ``window_days`` after a purchase
    (see ``churn_rate``); margin rate = margin / revenue whose cost is known. Dividing revenue by
    the buyers of a month instead would count only customers' good months and overstate the value.
    """
    churn = churn_rate(gaps, window_days)
    months = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    purchases = float(gaps["n"].sum())
    arpu = _ratio(_ratio(total(months, "revenue"), purchases), churn.active_months)
    rate = total(months, "margin_rate")
    # ARPU and churn share the months, which cancel: what is left uncertain is the share lost.
    bounds = {
        "churn_low": churn.lost_low / churn.active_months,
        "churn_high": churn.lost_high / churn.active_months,
    }
    value = ltv_formula(arpu, rate, churn.rate, **bounds)
    if churn.reason:
        value = replace(value, reason=churn.reason)
    return value, churn


def break_even_conversion(ltv: float, cost_per_click: float) -> float:
    """Find which share of clicks must become customers for the clicks to pay.

    Cost per click / LTV; above 1 no share is enough. Missing unless LTV is above 0.

    >>> break_even_conversion(100, 50)
    0.5
    """
    return cost_per_click / ltv if ltv > 0 else np.nan


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
        curves = {unit: _priced(pool, min_cell, level) for unit, pool in pools.items()}
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
    empty = empty.assign(amount=np.nan, squares=np.nan, unknown=False)
    if dimension not in set(cohort_ages["dimension"]):
        return empty
    rows = _rows(cohort_ages, unit, dimension, (), (None, None))
    rows = rows[rows["cohort"].isin(months)]
    rows = rows if channels is None else rows[rows["value"].isin(channels)]
    if rows.empty or empty.empty:
        return empty
    table = _pooled(rows, ages, as_of, of)
    # Customers, amounts and squares add up over channels: each customer has one.
    sums = table.groupby("age")[["customers", "amount", "squares"]].sum(min_count=1)
    most = table.assign(unknown=table["unknown"].eq(True)).groupby("age")
    # A channel whose costs are unknown leaves out its margin, not the question: zero only if all.
    return sums.join(most[["cohorts", "unknown", "coverage"]].max()).reset_index()


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else np.nan


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
    cac = _ratio(cost, new) if cost > 0 else np.nan
    ltv, low, high = (float(horizon[c].iloc[0]) for c in ("per_customer", "low", "high"))
    conversion = _ratio(new, clicks) if clicked else np.nan
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
            "cost_per_click": _ratio(cost, clicks),
            "conversion": conversion,
            "ltv": ltv,
            "ltv_low": low,
            "ltv_high": high,
            "ltv_to_cac": _ratio(ltv, cac),
            "ratio_low": _ratio(low, cac),
            "ratio_high": _ratio(high, cac),
            "allowable_cpc": allowable_cpc(ltv, conversion, buffer=buffer),
        }
        | {f"payback_{key}": state for key, state in asdict(paid_back).items()}
        | {"reason": reason}
    )
