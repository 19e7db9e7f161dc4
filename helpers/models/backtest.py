"""Would the forecast have been right before? Every rule on months that it had not seen.

From several days in the past (origins) each rule forecasts what the customers known by then did
next. The scores decide which purchase model the forecast uses, and say whether a naive rule would
have done as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.models.btyd import MODELS
from helpers.models.forecast import MODEL, SEASONED, Day
from helpers.models.futures import clv_forecast
from helpers.models.rules import NAIVE, Origin, Told, rules
from helpers.models.terms import Horizon, Terms

# Rules whose error per customer is this near to the lowest count as equals; the total decides.
EQUALS = 0.02
LEVEL = 0.90
MEASURES = ("orders", "money")


@dataclass(frozen=True)
class Choice:
    """Which rule did best before, which model the forecast uses, and what choosing costs.

    ``best``: the rule of any kind that the scores choose; ``used``: the purchase model they choose,
    which alone can say when, with intervals (NBD, in which nobody leaves, is one of them);
    ``naive``: the best naive rule; ``beats``: whether the model used does better than it.
    ``regret``: chosen by the earlier origins, how much larger the error of the total of money was
    on the last one than that of the best rule there, as a share of the total (see `_regret`);
    missing with a single origin.
    """

    best: str
    used: str
    naive: str
    beats: bool
    regret: float


@dataclass(frozen=True)
class BackTest:
    """How every rule did on months that it had not seen.

    ``reason``: why there is no check, and then there is nothing else. ``scores``: one row per
    origin, rule and measure (orders, money); ``pooled``: the same over all origins; ``deciles``:
    forecast and actual by tenths of customers ranked by the model used, on the last origin;
    ``bins``: mean orders by earlier frequency there; ``coverage``: what the model's 90% intervals
    held; ``left_out``: rules that could not be tried, and why.
    """

    reason: str
    horizon_days: int = 0
    scores: pd.DataFrame | None = None
    pooled: pd.DataFrame | None = None
    choice: Choice | None = None
    deciles: pd.DataFrame | None = None
    bins: pd.DataFrame | None = None
    coverage: pd.DataFrame | None = None
    left_out: tuple[str, ...] = ()


def origin_days(
    first_day: Day, end: Day, months: int, *, most: int = 3, least_days: int = 180
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Choose the days to forecast from: month ends, each with the end of what is held out.

    As many whole months as the horizon are held out, at most half of the history. The last origin
    is that long before ``end``; up to two more lie a quarter of it apart, each with at least
    ``least_days`` of history. Newest first; empty where the history is too short.
    """
    first, end = pd.Timestamp(first_day), pd.Timestamp(end)
    history = (end.to_period("M") - first.to_period("M")).n + 1
    held = min(months, history // 2)
    if held < 1:
        return []
    found = []
    for step in range(most):
        back = held + step * max(held // 4, 1)
        cutoff = (end.to_period("M") - back).end_time.normalize()
        if (cutoff - first).days < least_days:
            break
        found.append((cutoff, (cutoff.to_period("M") + held).end_time.normalize()))
    return found


def backtest(origins: Iterable[Origin], *, max_simulated: int = 4_000) -> BackTest:
    """Try every rule on every origin, newest first, score it, choose, and say what it cost.

    A rule that cannot be tried (data it does not fit, too little to learn from) is left out with
    its reason; it is chosen only if it could be tried on every origin. Origins at which no purchase
    model could be fitted yet are no part of it.
    """
    origins, left = list(origins), {}
    if not origins:
        return BackTest("The history is too short to hold months out: it takes about a year.")
    if not origins[0].orders.sum():
        return BackTest("Nobody who was a customer at the cutoff has bought since.")
    answers = [(origin, _told(origin, left)) for origin in origins]
    # where no model can be fitted yet, there is no forecast to check
    tried = [(origin, told) for origin, told in answers if _modelled(told)]
    if not tried:
        return BackTest(
            f"No purchase model fits what was known then. {left.get(MODEL, '')}".strip()
        )
    everywhere = set.intersection(*(set(told) for _, told in tried))
    origins, told = [origin for origin, _ in tried], [found for _, found in tried]
    if not _modelled(everywhere):
        origins, told = origins[:1], told[:1]
        everywhere = set(told[0])
    scores = _scores(origins, told, everywhere)
    choice = choose(scores)
    last = told[0][choice.used]
    held = [(origin, found[choice.used]) for origin, found in zip(origins, told, strict=True)]
    return BackTest(
        reason="",
        horizon_days=origins[0].days,
        scores=scores,
        pooled=pool(scores),
        choice=choice,
        deciles=deciles(last.money, origins[0].money),
        bins=frequency_bins(origins[0], {choice.used: last, choice.naive: told[0][choice.naive]}),
        coverage=coverage(held, max_simulated),
        left_out=tuple(f"{name}: {why}" for name, why in left.items()),
    )


def _told(origin: Origin, left: dict[str, str]) -> dict[str, Told]:
    """Ask every rule about an origin; those that cannot say go to ``left``, with the reason."""
    found = {}
    for name, (_, rule) in rules(seasoned=origin.season is not None).items():
        try:
            found[name] = rule(origin)
        except DataError as fault:
            left.setdefault(name, f"{fault} ({origin.cutoff:%Y-%m-%d})")
    return found


def _modelled(names: Iterable[str]) -> list[str]:
    """Name the rules among these that rest on a purchase model, the one without leaving
    included."""
    return [name for name in names if name.removesuffix(SEASONED) in MODELS]


def _scores(origins: list[Origin], told: list[dict[str, Told]], names: set[str]) -> pd.DataFrame:
    """Score what rules said: one row per origin, rule and measure."""
    kinds, rows = rules(seasoned=True), []
    for origin, found in zip(origins, told, strict=True):
        for name in kinds:
            if name not in names:
                continue
            said = found[name]
            pairs = ((said.orders, origin.orders), (said.money, origin.money))
            for measure, (forecast, actual) in zip(MEASURES, pairs, strict=True):
                key = {
                    "origin": origin.cutoff,
                    "end": origin.end,
                    "rule": name,
                    "kind": kinds[name][0],
                }
                rows.append({**key, "measure": measure, **score(forecast, actual)})
    return pd.DataFrame(rows)


# --- scores --------------------------------------------------------------------------------------


def score(forecast: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Score a forecast of each customer against what each did.

    error and bias (of the total, bias as a share of actual); per customer mae, rmse and msle (of
    ln(1 + x), amounts below 0 as 0); gini: how well the ranking concentrates what happened, 1 the
    best order there is, 0 none; decile_error: sum over tenths of customers by forecast of how far
    each tenth's total was off, over the total.
    """
    miss, total = forecast - actual, actual.sum()
    ratio = np.log1p(np.maximum(forecast, 0)) - np.log1p(np.maximum(actual, 0))
    tenths = deciles(forecast, actual)
    off = np.abs(tenths["forecast"] - tenths["actual"]).sum()
    return {
        "customers": len(actual),
        "forecast": forecast.sum(),
        "actual": total,
        "error": miss.sum(),
        "bias": miss.sum() / total if total else np.nan,
        "mae": np.abs(miss).mean(),
        "rmse": np.sqrt((miss**2).mean()),
        "msle": (ratio**2).mean(),
        "gini": gini(forecast, actual),
        "decile_error": off / total if total else np.nan,
    }


def gini(forecast: np.ndarray, actual: np.ndarray) -> float:
    """Normalized Gini: area under what the top forecasts captured, over that of the true order.

    Customers with the same forecast share what they did, so that their order does not matter.
    """
    best = _concentration(actual, actual)
    return float(_concentration(forecast, actual) / best) if best else np.nan


def _concentration(by: np.ndarray, actual: np.ndarray) -> float:
    _, place = np.unique(-by, return_inverse=True)
    mean = np.bincount(place, actual) / np.bincount(place)
    captured = np.cumsum(mean[np.sort(place)]) / max(actual.sum(), 1e-300)
    return float(captured.mean() - (len(actual) + 1) / (2 * len(actual)))


def deciles(forecast: np.ndarray, actual: np.ndarray) -> pd.DataFrame:
    """Give forecast and actual by tenths of customers, 1 the highest forecasts.

    Equals are dealt out in the order of nothing they did: a tenth takes its share of them.
    """
    order = np.argsort(-forecast, kind="stable")
    _, place = np.unique(-forecast[order], return_inverse=True)
    shared = (np.bincount(place, actual[order]) / np.bincount(place))[place]
    tenth = np.arange(len(order)) * 10 // max(len(order), 1)
    sums = [np.bincount(tenth, values, 10) for values in (forecast[order], shared)]
    customers = np.bincount(tenth, minlength=10)
    return pd.DataFrame(
        {"decile": np.arange(1, 11), "customers": customers, "forecast": sums[0], "actual": sums[1]}
    )


def pool(scores: pd.DataFrame) -> pd.DataFrame:
    """Pool the scores of all origins: one row per rule and measure.

    bias is sum over sum; total_error is the mean over origins of the absolute error of the total,
    as a share; mae, rmse and msle are over all customers of all origins, gini and decile_error
    mean.
    """
    rows = scores.assign(
        absolute=(scores["error"] / scores["actual"]).abs(), square=scores["rmse"] ** 2
    )
    n = rows["customers"]
    rows = rows.assign(**{k: rows[k] * n for k in ("mae", "square", "msle")})
    by = rows.groupby(["measure", "rule", "kind"], sort=False)
    found = by.agg(
        origins=("origin", "nunique"), customers=("customers", "sum"), forecast=("forecast", "sum"),
        actual=("actual", "sum"), error=("error", "sum"), total_error=("absolute", "mean"),
        mae=("mae", "sum"), square=("square", "sum"), msle=("msle", "sum"), gini=("gini", "mean"),
        decile_error=("decile_error", "mean"),
    ).reset_index()  # fmt: skip
    n = found["customers"]
    return found.assign(
        bias=found["error"] / found["actual"],
        mae=found["mae"] / n,
        rmse=np.sqrt(found["square"] / n),
        msle=found["msle"] / n,
    ).drop(columns="square")


# --- the choice ----------------------------------------------------------------------------------


def choose(scores: pd.DataFrame) -> Choice:
    """Choose by money: nearest customer by customer, and among equals nearest in total.

    Equals are within 2% of the lowest root mean square error over all origins (the mean absolute
    error would be won by forecasting nothing for everyone); of these the lowest mean absolute error
    of the total wins.
    """
    money = scores[scores["measure"] == "money"]
    best = _best(money)
    used = _best(money[money["rule"].isin(_modelled(money["rule"].unique()))])
    naive = _best(money[(money["kind"] == NAIVE) & (money["rule"] != used)])
    return Choice(
        best=best,
        used=used,
        naive=naive,
        beats=_best(money[money["rule"].isin([used, naive])]) == used,
        regret=_regret(money),
    )


def _best(money: pd.DataFrame) -> str:
    pooled = pool(money)
    equal = pooled[pooled["rmse"] <= pooled["rmse"].min() * (1 + EQUALS)]
    return str(equal.loc[equal["total_error"].idxmin(), "rule"])


def _regret(money: pd.DataFrame) -> float:
    """Error of the total that choosing by earlier origins cost on the last one, in hindsight.

    Against the rule that was nearest in total there among those no worse customer by customer.
    """
    last = money["origin"].max()
    earlier, now = money[money["origin"] < last], money[money["origin"] == last]
    if earlier.empty:
        return np.nan
    now, chosen = now.set_index("rule"), _best(earlier)
    rivals = now[now["rmse"] <= now.loc[chosen, "rmse"] * (1 + EQUALS)]
    return float(abs(now.loc[chosen, "bias"]) - rivals["bias"].abs().min())


# --- beside the scores ---------------------------------------------------------------------------


def frequency_bins(origin: Origin, told: dict[str, Told], last: int = 7) -> pd.DataFrame:
    """Mean held-out orders of a customer by frequency; a frequency nobody has gets no row."""
    code = np.minimum(origin.rows["frequency"].to_numpy(), last).astype(int)
    customers = np.bincount(code, minlength=last + 1)
    names = [f"{k}+" if k == last else str(k) for k in range(last + 1)]
    seen = customers > 0
    table = {"frequency": np.array(names)[seen], "customers": customers[seen]}
    for name, orders in {"actual": origin.orders, **{k: v.orders for k, v in told.items()}}.items():
        table[name] = np.bincount(code, orders, last + 1)[seen] / customers[seen]
    return pd.DataFrame(table)


def coverage(held: list[tuple[Origin, Told]], max_simulated: int) -> pd.DataFrame:
    """Say how often the model's own 90% intervals held what happened: totals and tiers.

    One row per origin and group (total, and four tiers by expected money): orders and money,
    forecast, low, high, actual, inside. Intervals of money are those of revenue times the rate.
    """
    parts = []
    for origin, told in held:
        tiers = _tiers(told.money)
        rows = origin.rows.assign(n=1, tier=tiers)
        terms = Terms(Horizon(origin.days, "days"), margin_rate=min(origin.rate, 1.0))
        found = clv_forecast(
            rows, origin.spend_states, told.models, terms, by="tier", level=LEVEL, draws=100,
            max_simulated=max_simulated,
        ).totals.set_index("tier")  # fmt: skip
        for measure, column, actual in (
            ("orders", "orders", origin.orders), ("money", "margin", origin.money),
        ):  # fmt: skip
            sums = pd.Series(actual).groupby(tiers).sum()
            sums["total"] = actual.sum()
            table = found[[column, f"{column}_low", f"{column}_high"]]
            table.columns = ["forecast", "low", "high"]
            table = table.assign(actual=sums, origin=origin.cutoff, measure=measure)
            inside = table["actual"].between(table["low"], table["high"])
            parts.append(table.assign(inside=inside).rename_axis("group").reset_index())
    return pd.concat(parts, ignore_index=True)


def _tiers(money: np.ndarray) -> np.ndarray:
    """Number the tiers by expected money: 1 the top tenth, then the next 20, 30 and 40 percent."""
    place = np.empty(len(money))
    place[np.argsort(-money, kind="stable")] = (np.arange(len(money)) + 0.5) / max(len(money), 1)
    return (np.searchsorted([0.1, 0.3, 0.6], place) + 1).astype(str)
