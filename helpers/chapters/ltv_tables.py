"""Frames and sentences of the historical LTV notebook, made from measures and LTV results."""

import pandas as pd

from helpers.errors import UsageError
from helpers.measures import ltv, metrics, repurchase
from helpers.measures.withheld import withhold
from helpers.show import count, months, percent, ratio
from helpers.written import alike

REPEAT_DAYS = (30, 60, 90, 180, 365)


def tie_out(
    periods: pd.DataFrame, cohort_ages: pd.DataFrame, scope: pd.DataFrame, outside: pd.DataFrame
) -> pd.DataFrame:
    """Count the same revenue in order lines, in calendar months, and by age of the cohorts.

    A refund of an order placed before the files begin belongs to no cohort; such refunds stand
    beside the ages.
    """
    monthly = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    by_age = cohort_ages[
        (cohort_ages["age_unit"] == "days30") & (cohort_ages["dimension"] == "all")
    ]
    rows = [
        ("Order lines", scope["revenue"].sum()),
        ("Calendar months", monthly["revenue"].sum()),
        (
            "Ages of cohorts, and refunds of orders before the files",
            by_age["revenue"].sum() + outside["revenue"].sum(),
        ),
    ]
    table = pd.DataFrame(rows, columns=["counted by", "revenue"])
    return table.assign(difference=(table["revenue"] - table["revenue"].iloc[0]).round(2) + 0.0)


def identities(periods: pd.DataFrame) -> pd.DataFrame:
    """Check identities that hold in every month; the largest difference of any month is given."""
    rows = periods[periods["grain"] == "month"]
    total = rows[rows["dimension"] == "all"].set_index("start")
    channels = rows[rows["dimension"] == "channel"].groupby("start")
    product = (
        metrics.measure(total, "aov")
        * metrics.measure(total, "purchase_frequency")
        * total["customers"]
    )
    bought = total["customers"] > 0
    checks = {
        "Order value x frequency x buyers less revenue": (product - total["revenue"])[bought],
        "Channels less total, revenue": channels["revenue"].sum() - total["revenue"],
        "Channels less total, margin": channels["margin"].sum() - total["margin"],
        "Channels less total, orders": channels["orders"].sum() - total["orders"],
    }
    found = [(name, round(float(gap.abs().max()), 2) + 0.0) for name, gap in checks.items()]
    return pd.DataFrame(found, columns=["check", "largest_difference"])


def at(table: pd.DataFrame, horizon: int) -> pd.Series:
    """Pick the row of one horizon, of the whole shop; UsageError if it is not a known one."""
    if horizon not in ltv.HORIZONS:
        known = ", ".join(map(str, ltv.HORIZONS))
        raise UsageError(f"horizon_days is {horizon}; it must be one of {known}.")
    return table[table["horizon"] == horizon].iloc[0]


def repeat_shares(gaps: pd.DataFrame, *, min_cell: int = 10) -> pd.DataFrame:
    """Share of customers with a second purchase day within 30, 60, 90, 180 and 365 days.

    Missing where fewer than ``min_cell`` customers are still observed and waiting on that day.
    """
    found = [(days, repurchase.repeat_within(gaps, days)) for days in REPEAT_DAYS]
    table = pd.DataFrame(
        [(days, f"{days} days", e.value, e.low, e.high, e.n) for days, e in found],
        columns=["days", "within", "share", "low", "high", "observed"],
    )
    few = table["observed"] < min_cell
    hidden = {name: table[name].mask(few) for name in ("share", "low", "high")}
    return table.assign(**hidden, observed=table["observed"].mask(few & (table["observed"] > 0)))


def formula_table(
    periods: pd.DataFrame,
    gaps: pd.DataFrame,
    observed: pd.Series,
    basis: str,
    money,
    *,
    parts: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Set out the formula LTV with every input, and beside it what was observed."""
    window = repurchase.inactivity_window(gaps)
    if window.days is None:
        return pd.DataFrame([("Formula LTV", "no figure", window.reason)], columns=_FORMULA)
    value, churn = ltv.ltv_formula_history(periods, gaps, window_days=window.days, parts=parts)
    if churn.rate > 1:
        return pd.DataFrame(
            [("Formula LTV", "no figure", _all_lost(window.days))], columns=_FORMULA
        )
    lost = f"no purchase for {count(window.days)} days"
    rows = [
        ("A customer counts as lost after", lost,
         f"{percent(window.quantile)} of repeat purchases come sooner; "
         f"{percent(window.come_back)} of those called lost come back later"),
        ("Churn", percent(churn.rate, 1), "lost / active customer-months"),
        ("Lifetime", months(ltv.divided(1.0, churn.rate)), "1 / churn"),
        ("Revenue per active customer and month", money(value.arpu), "revenue / active months"),
        ("Margin rate", percent(value.margin_rate), "margin / revenue whose cost is known"),
        ("Formula LTV", _with_interval(value, money), value.reason or value.formula),
        (f"Observed by day {int(observed['horizon'])}, {basis}", money(observed["per_customer"]),
         "customers who reached that age"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_FORMULA)


_FORMULA = ["what", "figure", "how"]


def _all_lost(days: int) -> str:
    """Say why a window that loses everybody within a month is none."""
    return (
        f"By the waits seen so far, whoever has not bought for {count(days)} days would count as "
        "lost, and so everybody within a month: history is too short to tell."
    )


def _with_interval(value: ltv.FormulaValue, money) -> str:
    """Write a formula value with the interval that churn gives it."""
    if pd.isna(value.low):
        return money(value.value)
    figure, low, high = alike(money, [value.value, value.low, value.high])
    return f"{figure} ({low} to {high})"


def formula_sentence(periods: pd.DataFrame, gaps: pd.DataFrame, observed: pd.Series, money) -> str:
    """Say how the formula compares with what was observed, or why it cannot be used."""
    window = repurchase.inactivity_window(gaps)
    if window.days is None:
        return f"The formula cannot be used: {window.reason}"
    value, churn = ltv.ltv_formula_history(periods, gaps, window_days=window.days)
    if churn.rate > 1:
        return f"The formula cannot be used: {_all_lost(window.days)}"
    if value.reason:
        return f"The formula cannot be used: {value.reason}"
    if pd.isna(observed["per_customer"]):
        return f"The formula says {money(value.value)}; no cohort is old enough to hold it against."
    times = ratio(value.value / observed["per_customer"])
    said, seen = alike(money, [value.value, observed["per_customer"]])
    return (
        f"The formula says {said} for a whole lifetime of {months(value.cycles)}; "
        f"customers have brought {seen} by day "
        f"{int(observed['horizon'])}, so the formula is {times} times what was seen by then."
    )


def cost_beside_value(economics: pd.DataFrame) -> pd.DataFrame:
    """Give cost of acquisition and value side by side for channels with a cost."""
    if economics.empty:
        return pd.DataFrame(columns=["channel", "what", "amount"])
    rows = economics.dropna(subset=["cac", "ltv"]).rename_axis("channel").reset_index()
    names = {"cac": "cost of winning", "ltv": "value"}
    parts = [
        rows[["channel"]].assign(what=name, amount=rows[column]) for column, name in names.items()
    ]
    return pd.concat(parts, ignore_index=True)


def economics_table(economics: pd.DataFrame, *, min_cell: int = 10) -> pd.DataFrame:
    """Set out cost, value, their ratio with interval, the most a click may cost, and payback.

    Channels with fewer than ``min_cell`` new customers are withheld together, with as many more
    as it takes that none follows from the blended row.
    """
    columns = ["scope", "new_customers", "cac", "ltv", "ltv_to_cac", "ratio_low", "ratio_high"]
    columns += ["payback"]
    if economics.empty or economics["new_customers"].max() < min_cell:
        return pd.DataFrame(columns=columns)
    states = {"paid back": "day {:.0f}", "not yet": "not yet by day {:.0f}"}
    ages = economics["payback_age"].fillna(economics["payback_at_least"])
    text = [
        states.get(state, "unknown").format(age)
        for state, age in zip(economics["payback_state"], ages, strict=True)
    ]
    table = economics.assign(payback=text).reset_index()[columns]
    total = table["scope"].isin(["blended", "paid"])
    shown = withhold(table[~total], persons="new_customers", sums=[], key="scope", least=min_cell)
    # The row of all paid channels less those shown would give a withheld one away.
    whole = set(shown["scope"]) == set(table.loc[~total, "scope"])
    kept = table[total] if whole else table[table["scope"] == "blended"]
    return pd.concat([kept, shown], ignore_index=True)


def trust_sentence(by_age: pd.DataFrame, truncated, basis: str) -> str:
    """Say what the value is counted in, and which cohorts were left out."""
    cover = by_age["coverage"].dropna()
    known = f"; its cost is known for {percent(cover.iloc[0], 1)} of revenue" if len(cover) else ""
    left = (
        f"The cohort of {', '.join(f'{day:%B %Y}' for day in truncated)} is left out, because "
        "history starts later than the shop may have opened."
        if len(truncated)
        else "No cohort had to be left out: history starts when the shop opened."
    )
    word = "contribution margin" if basis == "margin" else "revenue, because no cost is known"
    return f"Value is counted in {word}{known}. {left}"


def known_note(row: pd.Series) -> str:
    """Say beside a value per customer for what share of revenue its cost is known."""
    if pd.isna(row["coverage"]):
        return "per customer"
    return f"per customer, cost known for {percent(row['coverage'])}"
