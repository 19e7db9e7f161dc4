"""Frames of when cohorts and channels have earned back what it cost to win them."""

import numpy as np
import pandas as pd

from helpers.measures import cohorts, economics
from helpers.measures.cohorts import Triangle
from helpers.written import Formatter

# How far curves of channels are followed, in days: eighteen steps of thirty.
LAST_DAY = 540
_COLUMNS = ["cohort", "customers", "cac", "days", "low", "high", "in_words", "state"]


def blended_cac(acquisition: pd.DataFrame) -> pd.Series:
    """Give the cost of a new customer by month of acquisition: all spend / all new customers."""
    months = acquisition.groupby("start")[["cost", "new_customers"]].sum(min_count=1)
    months = months[(months["cost"] > 0) & (months["new_customers"] > 0)]
    return (months["cost"] / months["new_customers"]).rename("cac")


def payback_table(cumulative: Triangle, cac: pd.Series) -> pd.DataFrame:
    """Give each cohort's cost of acquisition and the day by which it was earned back.

    Columns: cohort (month), customers, cac, days (paid back, or seen without it), low and high (the
    ages between which the interval of margin less cost holds zero; high is missing while no age
    lies clear above it), in_words, state; empty without recorded spend.
    """
    rows, ages = [], cohorts.payback(cumulative, cac)
    for month, cost in cac.items():
        if month not in cumulative.sizes.index or ages.loc[month, "state"] == "unknown":
            continue
        found = ages.loc[month]
        days = found["age"] if found["state"] == "paid back" else found["at_least"]
        name = f"{month:%Y-%m}"
        rows.append((name, int(cumulative.sizes.loc[month]), cost, days, found["low"],
                     found["high"], payback_words(found), found["state"]))  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def payback_words(found: pd.Series) -> str:
    """Say a payback age in words: by day 60 (30 to 90), or not yet, at least 120 days.

    >>> payback_words(pd.Series({"state": "not yet", "at_least": 120.0, "low": 90.0}))
    'not yet, at least 120 days; may be so from day 90'
    """
    if found["state"] == "not yet":
        maybe = f"; may be so from day {found['low']:.0f}" if found["low"] > 0 else ""
        return f"not yet, at least {found['at_least']:.0f} days{maybe}"
    low, high = found["low"], found["high"]
    end = "later than seen" if np.isnan(high) else f"{high:.0f}"
    start = found["age"] if np.isnan(low) else low
    return f"by day {found['age']:.0f} ({start:.0f} to {end})"


def payback_by_channel(
    whole: pd.DataFrame,
    cohort_ages: pd.DataFrame,
    acquisition: pd.DataFrame,
    basis: str,
    money: Formatter,
    **frame,
) -> pd.DataFrame:
    """Give the payback age of the whole shop and of every channel with cost, by cohort, in words.

    ``whole`` is `payback_table` of all customers. A row per cohort, newest first; columns: cohort,
    customers, all (blended cost of acquisition, then when it was earned back), and one per channel.
    Cohorts of a channel below the smallest group are left out, and so are those that are
    left-truncated.
    """
    costs = acquisition.assign(start=pd.to_datetime(acquisition["start"]))
    known = set(cohort_ages.loc[cohort_ages["dimension"] == "channel", "value"])
    columns = {"all": whole.set_index("cohort")}
    for channel, part in costs.groupby("channel"):
        if channel not in known or not part["cost"].gt(0).any():
            continue
        cumulative = _cumulative(cohort_ages, basis, channel, frame)
        columns[channel] = payback_table(cumulative, blended_cac(part)).set_index("cohort")
    words = {name: [f"{money(r.cac)}: {r.in_words}" for r in table.itertuples()]
             for name, table in columns.items()}  # fmt: skip
    found = pd.DataFrame({
        "customers": columns["all"]["customers"],
        **{name: pd.Series(words[name], table.index, dtype=object)
           for name, table in columns.items()},
    })  # fmt: skip
    return found.fillna("").rename_axis("cohort").sort_index(ascending=False).reset_index()


def net_curves(
    cohort_ages: pd.DataFrame, acquisition: pd.DataFrame, basis: str, **frame
) -> pd.DataFrame:
    """Follow what a customer of each paid channel has earned less what winning one cost, by age.

    Pooled over the cohorts that have lived through the age, and the cost of the same cohorts
    (all spend / all new customers of their months). One row per channel and age: channel, days,
    value, low, high (``cac`` is a plain count, so the band is that of the money), cac, customers.
    Ages of too few customers to be reliable are left out.
    A channel crosses zero at its payback age.
    """
    costs = acquisition.assign(start=pd.to_datetime(acquisition["start"]))
    known = set(cohort_ages.loc[cohort_ages["dimension"] == "channel", "value"])
    parts = []
    for channel, part in costs.groupby("channel"):
        months = part[(part["cost"] > 0) & (part["new_customers"] > 0)].set_index("start")
        if channel not in known or months.empty:
            continue
        rows = cohort_ages[cohort_ages["cohort"].isin(months.index)]
        if rows.empty or channel not in set(rows["value"]):
            continue
        # Channels of a cohort are pooled here, so a small one gives nobody away.
        cumulative = _cumulative(cohort_ages, basis, channel, {**frame, "min_cell": 1},
                                 keep=months.index)  # fmt: skip
        usable = cumulative.states.isin(["", "small"])
        spent, new = (
            usable.mul(months[c].reindex(usable.index).astype(float), axis=0).sum()
            for c in ("cost", "new_customers")
        )
        cac, pooled = spent / new.where(new > 0), cumulative.pooled
        ok = pooled["customers"] >= max(frame.get("min_cell", 10), frame.get("small", 30))
        table = pd.DataFrame({
            "channel": channel, "days": 30 * (pooled.index + 1),
            **{name: (pooled[name] - cac).where(ok) for name in ("value", "low", "high")},
            "cac": cac, "customers": pooled["customers"],
        })  # fmt: skip
        parts.append(table[table["days"] <= LAST_DAY].dropna(subset="value"))
    columns = ["channel", "days", "value", "low", "high", "cac", "customers"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _cumulative(
    cohort_ages: pd.DataFrame, basis: str, channel: str, frame: dict, keep=None
) -> Triangle:
    """Draw the money of a channel so far; only of the cohorts ``keep``, where given.

    Left truncation is a matter of the whole shop, so the first cohort of all stays in the frame.
    """
    rows = cohort_ages
    if keep is not None:
        inside = rows["cohort"].isin(keep) | (rows["dimension"] != "channel")
        rows = rows[inside | (rows["value"] != channel)]
    return cohorts.triangle(
        rows, measure=basis, cumulative=True, age_unit="days30", dimension="channel",
        value=channel, **frame,
    )  # fmt: skip


def crossings(curves: pd.DataFrame) -> pd.DataFrame:
    """Read each channel's payback age off its curve: channel, customers, cac, in_words, days."""
    rows = []
    for channel, part in curves.groupby("channel", sort=False):
        found = economics.payback_age(part["days"], part["value"], part["low"], part["high"], 0.0)
        facts = pd.Series(vars(found))
        days = found.age if found.state == "paid back" else found.at_least
        rows.append((channel, int(part["customers"].iloc[0]), part["cac"].iloc[0], found.state,
                     payback_words(facts), days, found.low, found.high))  # fmt: skip
    columns = ["channel", "customers", "cac", "state", "in_words", "days", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
