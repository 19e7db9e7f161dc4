"""Ways to forecast what each customer will do next: purchase models, naive rules, a challenger.

Each is a function of an `Origin`, a day in the past with what was known then, and gives orders and
money of each customer up to the day the origin ends. The naive rules are in the choice like the
rest: a model that does not beat them is not worth its trouble.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.measures.metrics import DAYS_PER_MONTH
from helpers.models import boosting, btyd, gamma_gamma
from helpers.models.forecast import MODEL, SEASONED, STATE, Models, fit_models, states_at
from helpers.models.gamma_gamma import GammaGammaFit
from helpers.models.season import SEASONAL, Season
from helpers.models.segments import fit_segments

PURCHASE, SEGMENTED, NAIVE, LEARNED = "model", "by segment", "naive", "learned"


@dataclass(frozen=True)
class Origin:
    """What was known on the day ``cutoff``, and what customers did from then to the day ``end``.

    ``rows``: one customer each (summary ``customer_features``); ``train``: the same at an earlier
    day, whose results were known at the cutoff, and ``stretch``: how many times longer the held-out
    period is than theirs; ``months``: ``cohort_months`` before the cutoff; ``basis``: margin or
    revenue; ``season``: what was known of the season, if anything.
    """

    cutoff: pd.Timestamp
    end: pd.Timestamp
    rows: pd.DataFrame
    months: pd.DataFrame
    train: pd.DataFrame | None = None
    stretch: float = 1.0
    basis: str = "revenue"
    season: Season | None = None

    @property
    def days(self) -> int:
        """Days held out."""
        return (self.end - self.cutoff).days

    @property
    def money(self) -> np.ndarray:
        """What each customer really brought, in the basis."""
        return self.rows[f"later_{self.basis}"].to_numpy(float)

    @property
    def orders(self) -> np.ndarray:
        """How many purchase days each customer really had."""
        return self.rows["later_frequency"].to_numpy(float)

    @cached_property
    def rate(self) -> float:
        """Money per revenue in the year before the cutoff: 1 where money is revenue."""
        return _rate(self.rows, self.basis)

    @cached_property
    def states(self) -> pd.DataFrame:
        """Distinct histories at the cutoff, with the spend that goes with them."""
        keys = [*STATE, "spend_frequency"]
        found = self.rows.groupby(keys, as_index=False)["total_spend"].agg(["size", "sum"])
        return found.rename(columns={"size": "n", "sum": "total_spend"})

    @cached_property
    def spend_states(self) -> pd.DataFrame:
        """Distinct repeat spends at the cutoff."""
        spent = self.rows[self.rows["spend_frequency"] > 0]
        found = spent.groupby(["spend_frequency", "total_spend"]).size().rename("n").reset_index()
        return found.rename(columns={"spend_frequency": "frequency"})


@dataclass(frozen=True)
class Told:
    """What a rule forecasts of each customer of an origin; ``models``: those it was made with."""

    orders: np.ndarray
    money: np.ndarray
    models: Models | None = None


Rule = Callable[[Origin], Told]

BY_CHANNEL = f"{MODEL} by channel"
_FEW = 30  # customers below which a channel has no model of its own


def rules(*, seasoned: bool) -> dict[str, tuple[str, Rule]]:
    """Name every rule in the choice with its kind: purchase models, naive rules, the challenger.

    ``seasoned``: also those purchase models whose time can be changed for season.
    """
    found = {name: (PURCHASE, _purchase(name)) for name in btyd.MODELS if name != "NBD"}
    if seasoned:
        found |= {
            f"{name}{SEASONED}": (PURCHASE, _purchase(name, seasoned=True))
            for name in SEASONAL
            if name != "NBD"
        }
    return found | {
        BY_CHANNEL: (SEGMENTED, by_channel),
        "NBD": (NAIVE, _purchase("NBD")),
        "same rate": (NAIVE, same_rate),
        "same as last period": (NAIVE, same_as_before),
        "cohort baseline": (NAIVE, cohort_baseline),
        "boosting": (LEARNED, challenger),
    }


def _purchase(name: str, *, seasoned: bool = False) -> Rule:
    def rule(origin: Origin) -> Told:
        season = origin.season if seasoned else None
        models = fit_models(
            origin.states, origin.spend_states, origin.cutoff, model=name, season=season
        )
        at = states_at(origin.rows, origin.cutoff, models.clock.days_per_unit, season)
        orders = btyd.expected_purchases(models.purchase, at, models.clock.ahead([origin.days])[0])
        return Told(orders, orders * _spend(models.spend, origin) * origin.rate, models)

    return rule


def by_channel(origin: Origin) -> Told:
    """Customers of a channel share a purchase model of their own, drawn towards that of all.

    Says whether knowing the channel helps beside knowing the history. Channels of few customers
    count as one. Raises DataError where all came by one channel, or none is known.
    """
    channel = origin.rows["channel"].fillna("")
    few = channel.map(channel.value_counts()) < _FEW
    code, names = pd.factorize(channel.mask(few, ""), sort=True)
    if len(names) < 2:
        raise DataError("All customers came by one channel, or theirs is not known.")
    at = states_at(origin.rows, origin.cutoff)
    fits = fit_segments(at, code, btyd.MODELS[MODEL]).fits
    orders = np.empty(len(code))
    for number, fit in enumerate(fits):
        rows = code == number
        orders[rows] = btyd.expected_purchases(fit, at.part(rows), origin.days / at.days_per_unit)
    spend = gamma_gamma.fit_gamma_gamma(
        *(origin.spend_states[name] for name in ("frequency", "total_spend", "n"))
    )
    return Told(orders, orders * _spend(spend, origin) * origin.rate)


def _spend(fit: GammaGammaFit, origin: Origin) -> np.ndarray:
    """Expected spend per purchase of each customer of an origin."""
    return gamma_gamma.expected_spend(
        fit, origin.rows["spend_frequency"], origin.rows["total_spend"]
    )


def same_rate(origin: Origin) -> Told:
    """Everyone keeps buying at their own past rate, x / T, and spending as much each time."""
    rows, days = origin.rows, origin.days
    at = states_at(rows, origin.cutoff, 1.0)
    share = days / np.where(at.T > 0, at.T, np.inf)
    return Told(btyd.same_rate(at, days), rows["total_spend"].to_numpy() * share * origin.rate)


def same_as_before(origin: Origin) -> Told:
    """Everyone repeats what they did in as long a stretch before, first purchases aside."""
    rows = origin.rows
    return Told(
        rows["previous_frequency"].to_numpy(float),
        rows["previous_revenue"].to_numpy(float) * origin.rate,
    )


def cohort_baseline(origin: Origin) -> Told:
    """Everyone does what a customer of that age did on average in older cohorts.

    Purchases per customer by age in months, over the cohorts that had lived through the age by the
    cutoff; beyond the oldest the mean of the last three ages known goes on. Money: the mean repeat
    purchase of all of them.
    """
    rate, worth = cohort_curve(origin.months, origin.cutoff)
    first = pd.to_datetime(origin.rows["first_day"]).dt.to_period("M")
    last = origin.cutoff.to_period("M")
    age = (last.ordinal - first.astype("int64")).to_numpy()
    whole = origin.days / DAYS_PER_MONTH
    reach = np.concatenate([[0.0], np.cumsum(rate), _beyond(rate, age.max() + whole + 2)])
    ages = np.arange(len(reach))
    orders = np.interp(age + 1 + whole, ages, reach) - np.interp(age + 1, ages, reach)
    return Told(orders, orders * worth * origin.rate)


def _beyond(rate: np.ndarray, until: float) -> np.ndarray:
    more = max(int(until) - len(rate), 0)
    return rate.sum() + rate[-3:].mean() * np.arange(1, more + 1)


def cohort_curve(months: pd.DataFrame, cutoff: pd.Timestamp) -> tuple[np.ndarray, float]:
    """Give repeat purchases per customer by age in months, and revenue per repeat purchase.

    ``months``: ``cohort_months``; age 0 is the month of the first purchase. Sum over sum, over the
    cohorts that had lived through the age by ``cutoff``.
    """
    last = cutoff.to_period("M").ordinal
    cohort = pd.to_datetime(months["cohort"]).dt.to_period("M").astype("int64")
    age = pd.to_datetime(months["start"]).dt.to_period("M").astype("int64") - cohort
    size = months["new_customers"].groupby(cohort).sum()
    oldest = int(last - size.index.min())
    lived = np.array([size[size.index <= last - k].sum() for k in range(oldest + 1)])
    bought = np.bincount(age, months["purchases"], oldest + 1)[: oldest + 1]
    worth = months["repeat_revenue"].sum() / max(months["purchases"].sum(), 1)
    return bought / lived, float(worth)


def challenger(origin: Origin) -> Told:
    """What two-part boosting, trained on results known at the cutoff, says of each customer."""
    if origin.train is None:
        raise boosting.TooLittleError("The history is too short to train on results known by then.")
    learned = boosting.fit(origin.train, f"later_{origin.basis}")
    orders, money = learned.predict(origin.rows)
    return Told(orders * origin.stretch, money * origin.stretch)


def _rate(rows: pd.DataFrame, basis: str) -> float:
    revenue = rows["revenue_365"].sum()
    return float(rows["margin_365"].sum() / revenue) if basis == "margin" and revenue else 1.0
