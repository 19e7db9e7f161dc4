"""What it costs to win a customer, a click and a lead; spend against plan; the share for tests.

Frames of summaries in, frames out. Money is in currency units.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.contract.goals import Acquisition
from helpers.measures.metrics import wilson
from helpers.measures.withheld import withhold

# Marketing teams commonly set aside about a tenth of their budget for tests.
TEST_LOW, TEST_HIGH = 0.08, 0.12
_NOT_SAID = Acquisition()
NO_OVERHEAD = "shop.toml does not say what people, tools and agencies cost ([acquisition])."


def _months(spend: pd.DataFrame, month: str, number: int) -> pd.DatetimeIndex:
    """Give the last so many months up to ``month``, from the first to the last with spend."""
    last = pd.Timestamp(f"{month}-01")
    window = pd.date_range(end=last, periods=number, freq="MS")
    spent = pd.to_datetime(spend.loc[spend["cost"] > 0, "start"])
    spent = spent[spent <= last]
    if spent.empty:
        return window[:0]
    return window[(window >= spent.min()) & (window <= spent.max())]


def per_event(cost: object, number: object, *, level: float = 0.95) -> tuple[np.ndarray, ...]:
    """Give cost / number with the interval that the chance of a Poisson number gives it.

    The money is known; who came of it is not wholly its doing, and another such period would bring
    another number. Exact (Garwood 1936): low = cost / the number's upper limit. All missing where
    the number is 0 or the cost is not above 0.
    """
    cost, n = (np.asarray(x, dtype=float) for x in (cost, number))
    n = np.where(n > 0, n, np.nan)
    cost = np.where(cost > 0, cost, np.nan)
    tail = (1 - level) / 2
    fewest, most = stats.chi2.ppf(tail, 2 * n) / 2, stats.chi2.ppf(1 - tail, 2 * n + 2) / 2
    return cost / n, cost / most, cost / fewest


def cost_of_winning(
    acquisition: pd.DataFrame,
    spend: pd.DataFrame,
    *,
    month: str,
    months: int = 12,
    beside: Acquisition = _NOT_SAID,
    left_truncated: Collection = (),
    least: int = 10,
) -> pd.DataFrame:
    """Put the ways to count the cost of a customer side by side, over the same months.

    blended = all spend / all new customers; paid = spend / new customers of channels with spend;
    lagged = spend of the month before / all new customers; fully loaded = (spend + what winning
    customers costs ``beside`` it, people, tools and agencies, as shop.toml says) / all new
    customers, missing while that says nothing. Months are the last ``months`` up to ``month``, from
    the first to the last with spend, without left-truncated ones (their customers may be old ones).

    One row each: way, how, cost, new_customers, cac, low, high, reason. Missing below ``least`` new
    customers. Empty where no spend is recorded.
    """
    window = _months(spend, month, months).difference(pd.to_datetime(list(left_truncated)))
    if window.empty:
        return pd.DataFrame(columns=_WAYS)
    spent, new = _by_month(spend, "cost"), _by_month(acquisition, "new_customers")
    paying = spend.loc[spend["start"].isin(window) & (spend["cost"] > 0), "channel"].unique()
    of_paid = _by_month(acquisition[acquisition["channel"].isin(paying)], "new_customers")
    before = window[(window - pd.DateOffset(months=1)) >= spent[spent > 0].index.min()]
    cost, customers = _sum(spent, window), _sum(new, window)
    lines = [
        ("blended", "all spend / all new customers", cost, customers),
        ("paid", "spend / new customers of channels with spend", cost, _sum(of_paid, window)),
        ("lagged", "spend of the month before / all new customers",
         _sum(spent, before - pd.DateOffset(months=1)), _sum(new, before)),
        ("fully loaded", "spend, people, tools and agencies / all new customers",
         cost + beside.overhead(cost, len(window)), customers),
    ]  # fmt: skip
    table = pd.DataFrame(lines, columns=_WAYS[:4])
    few = table["new_customers"] < max(least, 1)
    table["cac"], table["low"], table["high"] = per_event(
        table["cost"], table["new_customers"].mask(few)
    )
    reason = np.where(few, "Too few new customers in these months.", "")
    unknown = (table["way"] == "fully loaded") & table["cost"].isna()
    table["reason"] = np.where(unknown, NO_OVERHEAD, reason)
    return table.assign(first_month=window.min(), last_month=window.max())


_WAYS = ["way", "how", "cost", "new_customers", "cac", "low", "high", "reason"]
_WAYS += ["first_month", "last_month"]


def _by_month(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows.groupby(pd.to_datetime(rows["start"]))[column].sum().astype(float)


def _sum(months: pd.Series, chosen: pd.DatetimeIndex) -> float:
    return float(months.reindex(chosen).sum())


def by_channel(
    acquisition: pd.DataFrame,
    spend: pd.DataFrame,
    *,
    month: str,
    months: int = 12,
    left_truncated: Collection = (),
    least: int = 10,
) -> pd.DataFrame:
    """Give cost per customer, click and lead, and conversion, of each channel with spend.

    One row per channel: cost, clicks, leads, new_customers, cac (cac_low, cac_high),
    cost_per_click, cost_per_lead, conversion (new customers / clicks, with low and high). Months as
    in ``cost_of_winning``. Clicks or leads that were not recorded, and a conversion above one (more
    customers than clicks: the clicks are not theirs), are missing. Small channels stand together.
    """
    window = _months(spend, month, months).difference(pd.to_datetime(list(left_truncated)))
    chosen = spend[pd.to_datetime(spend["start"]).isin(window)]
    sums = chosen.groupby("channel")[["cost", "clicks", "leads"]].sum(min_count=1)
    sums = sums[sums["cost"] > 0]
    won = acquisition[pd.to_datetime(acquisition["start"]).isin(window)]
    won = won.groupby("channel")["new_customers"].sum()
    table = sums.assign(new_customers=won.reindex(sums.index).fillna(0).astype("int64"))
    table = table.sort_values("cost", ascending=False, kind="stable").reset_index()
    table = withhold(
        table, persons="new_customers", sums=["cost", "clicks", "leads"], key="channel", least=least
    )
    known = {name: table[name].astype(float).where(lambda x: x > 0) for name in ("clicks", "leads")}
    new = table["new_customers"].astype(float)
    cac = per_event(table["cost"], new)
    possible = known["clicks"].where(new <= known["clicks"])
    share = wilson(new.where(possible.notna()), possible.fillna(0))
    return table.assign(
        **known, cac=cac[0], cac_low=cac[1], cac_high=cac[2],
        cost_per_click=table["cost"] / known["clicks"],
        cost_per_lead=table["cost"] / known["leads"],
        conversion=share.value, conversion_low=share.low, conversion_high=share.high,
    )  # fmt: skip


# -- leads ----------------------------------------------------------------------------------------

_LEADS = ["leads", "priced", "cost", "converted", "existing", "fresh", "aged", "ripe", "in_time"]


def leads_by(leads: pd.DataFrame, *keys: str, least: int = 10) -> pd.DataFrame:
    """Give cost per lead, conversion and states of leads by product, channel, or both.

    One row per combination, most leads first: lead (the keys in words), leads, cost_per_lead (cost
    / leads whose cost is known), converted, fresh (younger than 30 days, not converted), aged
    (older, not converted), existing (customers before the lead), conversion (converted within 30
    days / leads that old, not of existing customers, with Wilson's interval low, high). Rows of
    few leads stand together.
    """
    if leads.empty:
        return pd.DataFrame(columns=["lead", *_LEADS, "cost_per_lead", "conversion", "low", "high"])
    sums = leads.groupby(list(keys))[_LEADS].sum().reset_index()
    sums.insert(0, "lead", sums[list(keys)].agg(", ".join, axis=1))
    sums = sums.drop(columns=list(keys)).sort_values(
        ["leads", "lead"], ascending=[False, True], ignore_index=True
    )
    table = withhold(sums, persons="leads", sums=_LEADS[1:], key="lead", least=least)
    priced = table["priced"].astype(float).where(lambda x: x > 0)
    share = wilson(table["in_time"], table["ripe"].astype(float).fillna(0))
    return table.assign(
        cost_per_lead=table["cost"] / priced, conversion=share.value, low=share.low, high=share.high
    )


# -- plan -----------------------------------------------------------------------------------------


def plan_against_spend(planned: pd.DataFrame, spend: pd.DataFrame, month: str) -> pd.DataFrame:
    """Hold what was spent against what was planned, by channel, for the month and the year to date.

    One row per channel with a plan or spend in the year, and "all": planned, spent, over (spent -
    planned), year_planned, year_spent, year_over, unplanned (spent in months of the year for which
    the channel has no plan; it is part of spent and over). Without any recorded spend, spent is
    missing, not zero. Empty where nothing was planned for the year so far.
    """
    now = pd.Timestamp(f"{month}-01")
    first = pd.Timestamp(year=now.year, month=1, day=1)
    keys = ["start", "channel"]
    plan, paid = (
        rows[pd.to_datetime(rows["start"]).between(first, now)] for rows in (planned, spend)
    )
    if plan.empty:
        return pd.DataFrame(columns=_PLAN)
    both = plan[[*keys, "planned"]].merge(paid[[*keys, "cost"]], on=keys, how="outer")
    both = both.assign(unplanned=both["cost"].where(both["planned"].isna(), 0.0))
    this = both[pd.to_datetime(both["start"]) == now]
    channels = sorted(both["channel"].unique())
    table = pd.DataFrame({"channel": [*channels, "all"]})
    for prefix, rows in (("", this), ("year_", both)):
        sums = rows.groupby("channel")[["planned", "cost", "unplanned"]].sum().reindex(channels)
        sums = sums.fillna(0.0)
        sums.loc["all"] = sums.sum()
        for name, column in (("planned", "planned"), ("cost", "spent")):
            table[f"{prefix}{column}"] = sums[name].to_numpy()
    table["unplanned"] = sums["unplanned"].to_numpy()
    if spend.empty:
        table[["spent", "year_spent", "unplanned"]] = np.nan
    over = {f"{p}over": table[f"{p}spent"] - table[f"{p}planned"] for p in ("", "year_")}
    return table.assign(**over)[_PLAN]


_PLAN = ["channel", "planned", "spent", "over", "year_planned", "year_spent", "year_over"]
_PLAN += ["unplanned"]


def planned_beside_spent(plan: pd.DataFrame) -> pd.DataFrame:
    """Lay plan and spend of the month side by side for a picture: channel, what, amount."""
    rows = plan[plan["channel"] != "all"].melt(
        "channel", ["planned", "spent"], var_name="what", value_name="amount"
    )
    return rows.assign(amount=rows["amount"].astype(float))


@dataclass(frozen=True)
class ShareForTests:
    """What tests of the month cost, as a share of the marketing budget (or, without, of spend)."""

    cost: float
    base: float
    of: str
    share: float
    reason: str = ""


def share_for_tests(
    costs: pd.DataFrame, planned: pd.DataFrame, spend: pd.DataFrame, month: str
) -> ShareForTests:
    """Work out cost of experiments / marketing budget of the month (spend, where none was planned).

    Cost is what the tests declare (`helpers.chapters.trial_costs.by_month`). Missing, with a
    reason, without a budget or spend, or where no experiment states a cost.
    """
    now = pd.Timestamp(f"{month}-01")

    def of_month(rows: pd.DataFrame, column: str) -> float:
        return float(rows.loc[pd.to_datetime(rows["start"]) == now, column].sum())

    plan, paid = of_month(planned, "planned"), of_month(spend, "cost")
    of, base = ("planned budget", plan) if plan > 0 else ("spend", paid)
    if costs.empty:
        return ShareForTests(np.nan, base, of, np.nan, "No experiment states what it cost.")
    cost = of_month(costs, "cost")
    if base <= 0:
        return ShareForTests(
            cost, np.nan, of, np.nan, "No budget or spend is recorded for the month."
        )
    return ShareForTests(cost, base, of, cost / base)
