"""How satisfied customers say they are, and who answers: frames in, frames out."""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.measures.metrics import Estimate, design_effect, ratio_interval, wilson
from helpers.measures.withheld import withhold

KINDS = ("nps", "csat")


def nps(
    promoters: object, detractors: object, n: object, *, se: object = 0.0, level: float = 0.95
) -> pd.DataFrame:
    """Give the Net Promoter Score in points from -100 to 100, with its interval.

    100 x (p - d), variance (p + d - (p - d)^2) / n for the shares p of promoters and d of
    detractors, or ``se`` of p - d where that is more: of customers who answer more than once.
    Columns value, low, high; missing without answers, and without an interval where all answers are
    of one group (then the spread says nothing).

    >>> nps([50], [20], [100]).round(1).to_numpy().tolist()
    [[30.0, 14.7, 45.3]]
    """
    up, down, n = (np.asarray(x, dtype=float) for x in (promoters, detractors, n))
    n = np.where(n > 0, n, np.nan)
    p, d = up / n, down / n
    variance = (p + d - (p - d) ** 2) / n
    variance = np.where(variance > 1e-12, np.fmax(variance, np.square(se)), np.nan)
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(variance)
    ends = [np.clip(p - d + sign * half, -1, 1) for sign in (-1, 1)]
    return pd.DataFrame({"value": 100 * (p - d), "low": 100 * ends[0], "high": 100 * ends[1]})


def satisfaction(
    answers: pd.DataFrame, kind: str, dimension: str = "all", *, least: int = 10
) -> pd.DataFrame:
    """Give NPS (``kind`` nps) or CSAT (csat) in all, by value tier or by month.

    CSAT is the share of answers of 4 or 5 of 5, with Wilson's interval. One row per group: value
    of the dimension (``start`` for months), answers, customers, figure, low, high. Every answer
    counts, and intervals are those of customers drawn, who may answer more than once; groups of few
    customers stand together (months: are missing).
    """
    rows = answers[(answers["kind"] == kind) & (answers["dimension"] == dimension)]
    counts = ["answers", "customers", "promoters", "detractors", "satisfied", "balance"]
    counts += [f"{a}_{b}" for a in ("balance", "satisfied") for b in (a, "answers")]
    counts += ["answers_answers"]
    key = "start" if dimension == "month" else "value"
    rows = rows[[key, *counts]].sort_values(key, ignore_index=True)
    if dimension == "tier":
        order = {name: place for place, name in enumerate(_TIER_NAMES)}
        rows = rows.sort_values(key, key=lambda names: names.map(order), ignore_index=True)
    if dimension == "month":
        few = rows["customers"] < least
        rows = rows.assign(**{name: rows[name].astype(float).mask(few) for name in counts})
    else:
        sums = [name for name in counts if name != "customers"]
        rows = withhold(rows, persons="customers", sums=sums, key=key, least=least)
    n = rows["answers"].astype(float).fillna(0)
    if kind == "nps":
        names = ("balance", "answers", "balance_balance", "answers_answers", "balance_answers")
        drawn = ratio_interval(*(rows[name] for name in (*names, "customers")))
        found = nps(rows["promoters"], rows["detractors"], n, se=drawn.se)
        value, low, high = (found[name].to_numpy() for name in ("value", "low", "high"))
    else:
        share = wilson(rows["satisfied"], n, design=design_effect(rows, "satisfied", "answers"))
        value, low, high = share.value, share.low, share.high
    return rows[[key, "answers", "customers"]].assign(figure=value, low=low, high=high)


_TIER_NAMES = ["top 10%", "next 20%", "next 30%", "last 40%", "no order"]


def response_rate(requests: pd.DataFrame, *, least: int = 10) -> Estimate:
    """Give answered / requests at least 30 days old, where requests were recorded.

    Missing, with a reason, where none were, or of fewer than ``least`` customers.
    """
    asked, met = (int(requests[name].sum()) for name in ("ripe", "answered"))
    if not asked:
        reason = "Whom the shop asked is not recorded (touchpoints of kind survey would say)."
        return Estimate(np.nan, np.nan, np.nan, 0, reason)
    if requests["customers"].sum() < least:
        return Estimate(np.nan, np.nan, np.nan, asked, "Too few customers were asked.")
    share = wilson([met], [asked], design=design_effect(requests, "answered", "ripe"))
    return Estimate(float(share.value[0]), float(share.low[0]), float(share.high[0]), asked)
