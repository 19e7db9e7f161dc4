"""Frames of what customers have been worth: the LTV family, three steps, segments, other tools."""

from collections.abc import Collection, Iterable
from datetime import date

import numpy as np
import pandas as pd

from helpers.chapters import ltv_tables
from helpers.measures import lifetimes, ltv, metrics, repurchase
from helpers.written import Formatter, count, percent

MEASURES = {"revenue": "revenue", "margin": "margin", "net": "after service"}


def family(
    served_ages: pd.DataFrame, *, as_of: date, has_service: bool, **options: object
) -> pd.DataFrame:
    """Give revenue, margin and margin after cost to serve per customer by age, one beside another.

    ``served_ages`` is the summary; ``options`` are those of `ltv.ltv_historical` (left_truncated,
    min_cell, level). All three rest on the same customers. One row per measure and horizon: the
    columns of `ltv_historical` and ``measure``. After service is missing, with a reason, where no
    cost of service is recorded, or margin is not known.
    """
    parts = {
        value: ltv.ltv_historical(served_ages, as_of=as_of, value=value, **options)
        for value in MEASURES
    }
    reason = parts["margin"]["reason"]
    if not has_service:
        reason = reason.mask(reason == "", "No cost to serve is recorded (service_costs).")
    figures = ["per_customer", "se", "low", "high", "amount"]
    known = {name: parts["net"][name].where(reason == "") for name in figures}
    parts["net"] = parts["net"].assign(**known, reason=reason)
    named = [part.assign(measure=MEASURES[value]) for value, part in parts.items()]
    return pd.concat(named, ignore_index=True)


def family_table(long: pd.DataFrame) -> pd.DataFrame:
    """Set the family out by age: the values, the interval of the last, who, the rest.

    A value that is known at no age has no columns, nor has coverage where no cost is known.
    """
    wide = {name: long[long["measure"] == name].set_index("horizon") for name in MEASURES.values()}
    first, coverage = wide["revenue"], wide["margin"]["coverage"]
    known = [name for name, part in wide.items() if part["per_customer"].notna().any()]
    known = known or ["revenue"]
    table = pd.DataFrame({name: wide[name]["per_customer"] for name in known})
    ends = {
        name: {f"{name.replace(' ', '_')}_{end}": wide[name][end] for end in ("low", "high")}
        for name in known
    }
    table = table.assign(**ends[known[-1]])
    table = table.assign(customers=first["customers"], cohorts=first["cohorts"])
    if coverage.max() > 0:
        table = table.assign(coverage=coverage)
    for name in known[:-1]:
        table = table.assign(**ends[name])
    return table.rename_axis("age in days").reset_index()


def family_formats(table: pd.DataFrame, money: Formatter) -> dict[str, Formatter]:
    """Say how each column of `family_table` is written."""
    fixed = {"age in days": count, "customers": count, "cohorts": count, "coverage": percent}
    return {name: fixed.get(name, money) for name in table.columns}


def unserved(service: pd.DataFrame, served_ages: pd.DataFrame) -> float:
    """Give what serving people without an order by then cost: it is in the value of nobody."""
    charged = served_ages.loc[served_ages["age_unit"] == "month", "service"].sum()
    return float(service["amount"].sum() - charged)


def three_steps(
    served_ages: pd.DataFrame,
    cohort: date | None,
    *,
    as_of: date,
    value: str = "margin",
    min_cell: int = 10,
    level: float = 0.95,
) -> pd.DataFrame:
    """Follow one cohort month by month: its margin summed, its customers, one divided by the other.

    One row per calendar month since the first order that was lived to its end: age (0 is the month
    of joining), in_month and amount (the sum so far, of ``value``), customers (all who joined),
    per_customer with low and high. Empty for a cohort without customers; a cohort of fewer than
    ``min_cell`` has no money.
    """
    columns = ["age", "in_month", "amount", "customers", "per_customer", "low", "high", "reason"]
    if cohort is None:
        return pd.DataFrame(columns=columns)
    month = pd.Timestamp(cohort).date()
    rows = ltv.chosen_rows(served_ages, "month", "all", (), (month, month))
    rows = rows[~rows["barred"]]
    lived = (as_of.year - month.year) * 12 + as_of.month - month.month
    if rows.empty or lived < 0:
        return pd.DataFrame(columns=columns)
    pool = ltv.pooled(rows, range(lived + 1), as_of, value)
    table = ltv.priced(pool, min_cell, level)
    in_month = table["amount"].diff().fillna(table["amount"])
    return table.assign(in_month=in_month)[columns]


def oldest_whole_year(cohorts: Iterable, as_of: date, left_truncated: Collection) -> date | None:
    """Pick the latest cohort that has lived through twelve calendar months, or the oldest."""
    barred = set(pd.to_datetime(list(left_truncated)))
    known = sorted(set(pd.to_datetime(list(cohorts))) - barred)
    latest = pd.Timestamp(as_of).to_period("M").start_time - pd.DateOffset(months=11)
    grown = [cohort for cohort in known if cohort <= latest]
    chosen = grown[-1] if grown else known[0] if known else None
    return None if chosen is None else chosen.date()


# -- what other tools say ---------------------------------------------------------------------


def other_tools(
    cohort_ages: pd.DataFrame,
    paid_ages: pd.DataFrame,
    paid: pd.Series,
    *,
    as_of: date,
    left_truncated: Collection = (),
    min_cell: int = 10,
) -> pd.DataFrame:
    """Compute value and order value the ways other tools do, before and after refunds.

    ``paid_ages`` and ``paid`` (the row of paid_moments) count paid orders, and take refunds off
    when they were paid out. Rows: what, gross, net, customers (of gross), why. Twelve calendar
    months are ages 0 to 11, pooled over the cohorts that lived through them. The last row is this
    notebook's own: 365 full days for everybody, refunds taken off the order they refund; its gross
    is the same before refunds. With fewer than ``min_cell`` customers a row has no money.
    """
    number, orders = paid["customers"], paid["orders"]
    every = paid["every_customer"], paid["every_order"]
    late = [cohort for cohort in pd.to_datetime(paid_ages["cohort"].unique())
            if cohort not in set(pd.to_datetime(list(left_truncated)))]  # fmt: skip
    rows = [
        _year(paid_ages, late, as_of, "12 calendar months per customer",
              "refunds when paid out; the month of joining is only a part of one"),
        _year(paid_ages, None, as_of, "the same, first cohort of a late history kept",
              "its customers were there before the files begin, and only look new"),
        ("revenue / customers, whatever their age", _over(paid["gross_revenue"], number),
         _over(paid["net_revenue"], every[0]), number,
         "young and old customers mixed; it grows with the age of the shop"),
        ("order value, sum over sum", _over(paid["gross_revenue"], orders),
         _over(paid["net_revenue"], every[1]), number, "revenue / orders"),
        ("order value, mean of customers' means", _over(paid["gross_aov_total"], number), np.nan,
         number, "a customer with one order weighs as much as one with fifty"),
        _own_year(cohort_ages, as_of, left_truncated),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["what", "gross", "net", "customers", "why"])
    few = table["customers"] < min_cell
    return table.assign(gross=table["gross"].mask(few), net=table["net"].mask(few))


def _over(above: float, below: float) -> float:
    return ltv.divided(float(above), float(below))


def _year(paid_ages: pd.DataFrame, cohorts: list | None, as_of: date, name: str, why: str) -> tuple:
    """Pool what customers of cohorts that lived twelve calendar months brought in them."""
    rows = paid_ages.assign(cohort=pd.to_datetime(paid_ages["cohort"]))
    rows = rows if cohorts is None else rows[rows["cohort"].isin(cohorts)]
    over = rows["cohort"] + pd.DateOffset(months=12) <= pd.Timestamp(as_of) + pd.Timedelta(days=1)
    rows = rows[over]
    customers = rows.drop_duplicates("cohort")["customers"].sum()
    inside = rows[rows["age"] <= 11]
    gross, refunds = inside["gross"].sum(), inside["refunds"].sum()
    return (name, _over(gross, customers), _over(gross - refunds, customers), int(customers), why)


def _own_year(ages: pd.DataFrame, as_of: date, left_truncated: Collection) -> tuple:
    name, why = "365 days per customer, as in this notebook", "everybody has had the same time"
    rows = ltv.chosen_rows(ages, "horizon", "all", left_truncated, (None, None))
    if rows.empty:
        return (name, np.nan, np.nan, 0, why)
    found = {value: ltv.pooled(rows, [365], as_of, value) for value in ("revenue", "refunds")}
    amount = {value: part["amount"].fillna(0).sum() for value, part in found.items()}
    customers = found["revenue"]["customers"].fillna(0).sum()
    gross = amount["revenue"] + amount["refunds"]
    return (name, _over(gross, customers), _over(amount["revenue"], customers), int(customers), why)


# -- identities ------------------------------------------------------------------------------


def identities(
    periods: pd.DataFrame,
    cohort_ages: pd.DataFrame,
    served_ages: pd.DataFrame,
    segment_ages: pd.DataFrame,
    spans: pd.DataFrame,
) -> pd.DataFrame:
    """Check that what is counted in several ways agrees to the cent; the largest gap of each.

    Those of calendar months (`ltv_tables.identities`) stand first.
    """
    whole = cohort_ages[cohort_ages["dimension"] == "all"]
    served = served_ages[served_ages["age_unit"] == "month"]
    month = whole[whole["age_unit"] == "month"]
    by_cohort = whole[whole["age_unit"] == "horizon"].groupby("cohort")["revenue"].sum()
    segments = segment_ages.groupby(["dimension", "cohort"])["revenue"].sum().unstack(0)
    spanned = spans.groupby("grain")["revenue"].sum()
    checks = {
        "Segments less cohorts, revenue": segments.sub(by_cohort, axis=0).abs().max().max(),
        "Months, quarters and years, revenue": spanned.max() - spanned.min(),
        "Ages with service less ages, margin": served["margin"].sum() - month["margin"].sum(),
        "Margin less service less value after service": (
            served["margin"].sum() - served["service"].sum() - served["net"].sum()
        ),
    }
    found = [(name, round(abs(float(gap)), 2) + 0.0) for name, gap in checks.items()]
    table = pd.DataFrame(found, columns=["check", "largest_difference"])
    return pd.concat([ltv_tables.identities(periods), table], ignore_index=True)


# -- lifetime --------------------------------------------------------------------------------


def lifetime_table(
    life: lifetimes.Lifetime, retained: pd.DataFrame, churn: repurchase.Churn
) -> pd.DataFrame:
    """Set out lifetime by its definitions: what, days, how.

    ``retained`` is `retention_months`; what cannot be told is missing.
    """
    mean = life.restricted
    # A history so short that everybody is lost within a month tells no lifetime.
    month = metrics.DAYS_PER_MONTH if not churn.rate > 1 else np.nan
    smooth = retained["churn_smooth"].dropna()
    rows = [
        ("Lifetime of those who ended (LD), mean", life.mean_ended, np.nan, np.nan,
         "first to last purchase; too short, long lives are still open"),
        ("Lifetime of those who ended (LD), median", life.median_ended, np.nan, np.nan,
         "0 is a single purchase"),
        ("Average lifespan (ACL), restricted mean", mean.value, mean.low, mean.high,
         mean.reason or f"of all, days lived within {life.horizon} days (Kaplan-Meier)"),
        ("1 / churn, from all waits", _over(month, churn.rate), _over(month, churn.high),
         _over(month, churn.low), "one rate for all, for ever"),
        ("1 / churn, from month to month", _over(month, smooth.iloc[-1]) if len(smooth) else np.nan,
         np.nan, np.nan, "lost / active at the start, smoothed; the newest cannot be lost yet"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "days", "low", "high", "how"])


def simple_value(orders: float, revenue: float, churn: repurchase.Churn) -> dict[str, float]:
    """Multiply order value, orders per active month and lifespan: the simple customer value.

    The same as revenue per active month / churn: a check of the formula, in revenue.
    """
    value, often = _over(revenue, orders), _over(1.0, churn.active_months)
    lifespan = _over(1.0, churn.rate)
    return {"apv": value, "pf": often, "months": lifespan, "value": value * often * lifespan}


def clicks_table(economics: pd.DataFrame, *, min_cell: int = 10) -> pd.DataFrame:
    """Set out what a click cost, how often it became a customer, and the most it may cost.

    Rows: channel, clicks, cost_per_click, conversion, break_even (the conversion at which a click
    pays for itself), allowable_cpc. Only channels with clicks and ``min_cell`` new customers.
    """
    columns = ["channel", "clicks", "cost_per_click", "conversion", "break_even", "allowable_cpc"]
    if economics.empty:
        return pd.DataFrame(columns=columns)
    enough = (economics["clicks"] > 0) & (economics["new_customers"] >= min_cell)
    rows = economics[enough].drop(index=["blended", "paid"], errors="ignore")
    table = rows.rename_axis("channel").reset_index()
    worth = table["ltv"].where(table["ltv"] > 0)
    return table.assign(break_even=table["cost_per_click"] / worth)[columns]


def after_purchase(lost: pd.DataFrame) -> pd.DataFrame:
    """Name the rows of `mixture.lost_after` for a picture: after purchase 1, 2, ..."""
    return lost.assign(purchase=[f"after purchase {number}" for number in lost["number"]])
