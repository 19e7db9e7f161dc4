"""To whom should it go? Targeting in money against sending to all, to none, and to the usual few.

Only where customers are shown to react differently: else whoever was picked was picked by chance.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import DataError, UsageError
from helpers.experiments.effects import Effect
from helpers.experiments.multiplicity import holm
from helpers.experiments.pooling import heterogeneity
from helpers.experiments.scores import Scores, average

LIMIT = 0.05
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def group_effects(scores: np.ndarray, groups: object) -> pd.DataFrame:
    """Give the effect in each of some groups that were fixed beforehand.

    One row per group: group, customers, value, se, low, high, p_value; means of scores (GATE).
    Groups of fewer than two customers have no interval.
    """
    names = pd.Series(np.asarray(groups)).astype(str)
    if len(names) != len(scores):
        raise UsageError(f"There are {len(scores)} scores and {len(names)} groups.")
    rows = []
    for name, places in sorted(names.groupby(names).indices.items()):
        effect = average(scores[places])
        rows.append({"group": name, "customers": len(places), **effect._asdict()})
    return pd.DataFrame(rows)


def slope(scores: np.ndarray, predicted: np.ndarray) -> Effect:
    """Test whether customers predicted to gain more did gain more (best linear predictor).

    Slope of the score on the predicted effect with standard error robust to unequal spread (HC1):
    1 if predictions are calibrated, 0 if they say nothing. p is one-sided, for above 0
    (Chernozhukov, Demirer, Duflo and Fernandez-Val 2018). Missing where predictions are all alike.
    """
    off = predicted - predicted.mean()
    below = float((off**2).sum())
    scale = max(float(np.abs(predicted).max()), 1e-300)
    if not below > (1e-9 * scale) ** 2 * len(off):
        return Effect(*[np.nan] * 5)
    value = float((off * scores).sum()) / below
    left = scores - scores.mean() - value * off
    se = np.sqrt(float((off**2 * left**2).sum()) * len(off) / (len(off) - 2)) / below
    half = float(stats.norm.ppf(0.975)) * se
    return Effect(value, se, value - half, value + half, float(stats.norm.sf(value / se)))


def evidence(learners: Mapping[str, Scores], groups: object = None) -> tuple[pd.DataFrame, str]:
    """Look for proof that customers react differently; without it, targeting is refused.

    Tests: the slope of every learner's predictions, and Cochran's Q over ``groups`` named
    beforehand, if any, corrected together by Holm. Returns one row per test (test, p_value, holm)
    and a reason for refusal, empty where at least one stands at 5 percent.
    """
    if not learners:
        raise UsageError("Evidence needs the scores of at least one learner.")
    rows = [
        {"test": f"{name} predictions", "p_value": slope(each.score, each.predicted).p_value}
        for name, each in learners.items()
    ]
    if groups is not None:
        table = group_effects(next(iter(learners.values())).score, groups)
        rows.append({"test": "groups", "p_value": heterogeneity(table["value"], table["se"])[2]})
    table = pd.DataFrame(rows)
    table = table.assign(holm=holm(table["p_value"]))
    if not table["p_value"].notna().any():
        return table, "no prediction or group tells customers apart"
    if not table["holm"].min() <= LIMIT:
        return table, (
            "customers are not shown to react differently (smallest corrected p "
            f"{table['holm'].min():.2f}), so picking some of them would follow chance"
        )
    return table, ""


def chosen_share(ranking: np.ndarray, share: float) -> np.ndarray:
    """Give each customer's chance of being treated when the top share by ranking is.

    Customers with equal rank get the same chance, so the order of rows decides nothing.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"A share lies between 0 and 1, not {share}.")
    _, place, count = np.unique(-ranking, return_inverse=True, return_counts=True)
    before = np.concatenate([[0], np.cumsum(count)[:-1]])
    return np.clip((share * len(ranking) - before) / count, 0, 1)[place]


def gain_curve(
    scores: np.ndarray, rankings: Mapping[str, np.ndarray], *, cost: float,
    shares: tuple[float, ...] = SHARES, per: float = 1000.0, level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Compare ways to pick customers at every level of spend, in money for 1,000 customers.

    ``scores`` are of margin before the campaign's own cost, ``cost`` per treated customer;
    ``rankings`` name the ways (learner, top CLV, top response, ...), higher first. gain = mean of
    chance of being picked x (score - cost). One row per way and share: way, share, spend, gain, se,
    low, high (of 1,000 customers), against_random and its low, high: gain less that of picking as
    many at random, on the same customers. Rankings must come from other data than the scores
    (cross-fitted, or known before).
    """
    net = np.asarray(scores, dtype=float) - cost
    rows = []
    for way, ranking in rankings.items():
        ranking = np.asarray(ranking, dtype=float)
        if ranking.shape != net.shape or not np.isfinite(ranking).all():
            raise DataError(f"The ranking '{way}' needs a number for every scored customer.")
        for share in shares:
            picked = chosen_share(ranking, share)
            gain, more = (
                average(values, level=level) for values in (picked * net, (picked - share) * net)
            )
            row = {"way": way, "share": share, "spend": per * cost * share}
            row |= {name: per * getattr(gain, name) for name in ("value", "se", "low", "high")}
            # A constant ranking picks at random: no difference, and no spread.
            row |= {"against_random": per * more.value}
            row |= {f"against_random_{name}": per * getattr(more, name) for name in ("low", "high")}
            rows.append(row)
    return pd.DataFrame(rows).rename(columns={"value": "gain"})


def policies(
    each: Scores, *, cost: float, top: Mapping[str, np.ndarray] | None = None, per: float = 1000.0,
    level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Compare targeting with what shops do otherwise, in money for 1,000 customers.

    targeted: those predicted to bring more than they cost; all; none; top response (as many as are
    targeted, by predicted outcome without treatment); and every ranking of ``top`` (CLV). One row
    per policy: policy, share treated, spend, gain, se, low, high, and targeted_more with its low,
    high and p_value: targeted less this policy, on the same customers (paired).
    """
    net = each.score - cost
    picked = (each.predicted > cost).astype(float)
    share = float(picked.mean())
    ways = {"targeted": picked, "all": np.ones_like(net), "none": np.zeros_like(net)}
    for name, ranking in {"top response": each.response, **(top or {})}.items():
        ways[name] = chosen_share(np.asarray(ranking, dtype=float), share)
    rows = []
    for name, way in ways.items():
        gain, more = average(way * net, level=level), average((picked - way) * net, level=level)
        row = {"policy": name, "share": float(way.mean()), "spend": per * cost * float(way.mean())}
        row |= {"gain": per * gain.value, "se": per * gain.se}
        row |= {"low": per * gain.low, "high": per * gain.high}
        row |= {"targeted_more": per * more.value, "targeted_more_low": per * more.low}
        rows.append(row | {"targeted_more_high": per * more.high, "p_value": more.p_value})
    return pd.DataFrame(rows)


def calibration(each: Scores, *, parts: int = 10, level: float = 0.95) -> pd.DataFrame:
    """Set predicted effects against measured ones, by tenths of the prediction.

    One row per tenth, lowest first: part, customers, predicted (mean), value, se, low, high (mean
    of scores). Equal predictions stay together, so there may be fewer rows.
    """
    rank = pd.Series(each.predicted).rank(method="average", pct=True).to_numpy()
    place = np.minimum((rank * parts).astype(int), parts - 1)
    rows = []
    for part in np.unique(place):
        inside = place == part
        effect = average(each.score[inside], level=level)
        row = {"part": int(part) + 1, "customers": int(inside.sum())}
        row |= {"predicted": float(each.predicted[inside].mean())}
        rows.append(row | {name: getattr(effect, name) for name in ("value", "se", "low", "high")})
    return pd.DataFrame(rows)
