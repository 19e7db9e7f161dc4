"""From an effect to a decision in money: chance of profit, expected loss, return, verdict."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from helpers.errors import UsageError
from helpers.experiments.effects import Effect, fieller

SHIP, STOP, EXTEND, SEGMENTS = "ship", "stop", "extend", "ship to segments"
WITHHELD = "withheld"


@dataclass(frozen=True)
class Prior:
    """What was believed of the net gain per customer before the test: normal; flat by default."""

    mean: float = 0.0
    sd: float = np.inf

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and self.sd > 0):
            raise UsageError("A prior has a finite mean and a standard deviation above zero.")


@dataclass(frozen=True)
class Rule:
    """The decision rule, declared before the result.

    Ship when the chance of profit reaches ``ship_at``, stop when it falls to ``stop_at``; and
    decide anyway, for the likelier side, when the expected loss of that is no more than
    ``bearable`` per customer.
    """

    ship_at: float = 0.975
    stop_at: float = 0.025
    bearable: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.stop_at < self.ship_at <= 1 and self.bearable >= 0):
            raise UsageError(
                "A rule ships at a higher chance of profit than it stops at, both from 0 to 1, and "
                f"a bearable loss is zero or more; not {self}."
            )


FLAT = Prior()


def posterior(effect: Effect, prior: Prior = FLAT) -> tuple[float, float]:
    """Combine what was believed with what was measured: mean and standard deviation.

    Precisions add: 1 / sd^2 = 1 / prior sd^2 + 1 / SE^2. Missing without a standard error.
    """
    if not effect.se > 0:
        return np.nan, np.nan
    weights = np.array([1 / prior.sd**2, 1 / effect.se**2])
    center = float((weights * [prior.mean, effect.value]).sum() / weights.sum())
    return center, float(weights.sum() ** -0.5)


def _gain_above_zero(center: float, sd: float) -> float:
    """Expectation of the positive part of a normal quantity."""
    if sd == 0:
        return max(center, 0.0)
    return float(center * stats.norm.cdf(center / sd) + sd * stats.norm.pdf(center / sd))


def odds(net: Effect, prior: Prior = FLAT) -> dict[str, float]:
    """Say how likely a profit is, and what the wrong decision costs on average.

    ``net`` is margin less all cost, per customer. profit = P(net > 0); loss_ship = mean of the loss
    if it is shipped (net below zero counts, gains as nothing); loss_stop = mean of the gain given
    up if it is stopped; mean, sd of the posterior. All under ``prior``, which the page states.
    """
    center, sd = posterior(net, prior)
    if np.isnan(center):
        return dict.fromkeys(("profit", "loss_ship", "loss_stop", "mean", "sd"), np.nan)
    return {
        "profit": float(stats.norm.cdf(center / sd)),
        "loss_ship": _gain_above_zero(-center, sd),
        "loss_stop": _gain_above_zero(center, sd),
        "mean": center,
        "sd": sd,
    }


def value_of_more(net: Effect, times: float, prior: Prior = FLAT) -> float:
    """Say what going on would be worth per customer of all who are to be treated afterwards.

    Expected value of sample information, the test ``times`` as large in all (2 = as much again):
    mean of the better decision with it, less the better decision now. Never negative; compare it,
    times the customers concerned, with what waiting costs.
    """
    if not times >= 1:
        raise UsageError(f"A test that goes on is at least as large as now, not {times} times.")
    center, sd = posterior(net, prior)
    if np.isnan(center):
        return np.nan
    later = posterior(Effect(net.value, net.se / np.sqrt(times), *[np.nan] * 3), prior)[1]
    moves = np.sqrt(max(sd**2 - later**2, 0.0))
    return _gain_above_zero(center, float(moves)) - max(center, 0.0)


def mroi(
    margin: Effect, cost: float, *, cost_se: float = 0.0, covariance: float = 0.0,
    level: float = 0.95,
) -> tuple[tuple[float, float, float], str]:  # fmt: skip
    """Give the return on marketing: incremental margin for each unit spent, with its interval.

    Incremental margin / incremental cost, both per customer; above 1 it paid. Fieller's interval,
    which for a cost that is known exactly is the effect's (normal) divided by it. (value, low,
    high) and a reason, empty where there is an interval. A campaign without cost has no return on
    it.
    """
    if not cost > 0:
        return (np.nan,) * 3, "the campaign cost nothing, so nothing was spent to have a return on"
    return fieller(margin.value, cost, margin.se**2, cost_se**2, covariance, level=level)


def break_even(margin: Effect, cost: float, control_mean: float) -> dict[str, float]:
    """Say what would have been enough: the dearest campaign that pays, and the lift that does.

    cost, cost_low, cost_high: the effect on margin per customer is the most a campaign may cost per
    customer (its interval; never below zero). lift: cost / control's mean margin, the relative
    effect at which it pays for itself; missing where that mean is not above zero.
    """
    ends = {"cost": margin.value, "cost_low": margin.low, "cost_high": margin.high}
    found = {name: float(np.maximum(end, 0.0)) for name, end in ends.items()}
    return found | {"lift": cost / control_mean if control_mean > 0 else np.nan}


def less_cost(margin: Effect, cost: float) -> Effect:
    """Take a known cost per customer off an effect on margin: the net gain per customer.

    The interval moves with it; p-value of net zero from effect and standard error.
    """
    value = margin.value - cost
    p_value = float(2 * stats.norm.sf(abs(value) / margin.se)) if margin.se > 0 else np.nan
    return Effect(value, margin.se, margin.low - cost, margin.high - cost, p_value)


def _percent(chance: float) -> str:
    """Write a chance, never as certain."""
    if chance > 0.999:
        return "above 99.9%"
    return "below 0.1%" if chance < 0.001 else f"{chance:.1%}"


def verdict(
    net: Effect, rule: Rule, *, prior: Prior = FLAT, fault: str = "", segments_differ: bool = False,
    segment_low: float = np.nan, can_extend: bool = True,
) -> tuple[str, str]:  # fmt: skip
    """Give the verdict of a rule declared beforehand, and why in a sentence.

    withheld (a check failed: ``fault``); ship; ship to segments (segments differ beyond chance, and
    the best has a net gain whose low end ``segment_low`` is above zero while the whole does not
    ship); stop; extend where undecided and there is more to be had, else stop, for a campaign that
    nobody saw pay is not repeated by default.
    """
    if fault:
        return WITHHELD, fault
    found = odds(net, prior)
    if np.isnan(found["profit"]):
        return WITHHELD, "the effect has no standard error, so there is no chance to give"
    chance = f"the chance of profit is {_percent(found['profit'])}"
    if found["profit"] >= rule.ship_at:
        return SHIP, f"{chance}, at or above the {rule.ship_at:.1%} declared"
    if segments_differ and segment_low > 0:
        return SEGMENTS, f"{chance} over all, but segments differ, and one gains beyond doubt"
    if found["profit"] <= rule.stop_at:
        return STOP, f"{chance}, at or below the {rule.stop_at:.1%} declared"
    side = SHIP if found["profit"] >= 0.5 else STOP
    wrong = found[f"loss_{side}"]
    if rule.bearable and wrong <= rule.bearable:
        return side, f"{chance}, and the expected loss is below what was declared bearable"
    if can_extend:
        return (
            EXTEND,
            f"{chance}: between the declared limits, and the shop has the customers to decide it",
        )
    return (
        STOP,
        f"{chance}: it could not be seen to pay, and the shop has too few customers to decide it",
    )
