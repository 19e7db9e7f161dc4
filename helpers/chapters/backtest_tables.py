"""Whether the forecast would have been right before: the back-test of a shop, in tables and "
"words."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.measures.metrics import DAYS_PER_MONTH
from helpers.models import backtest, forecast
from helpers.models.backtest import BackTest
from helpers.models.calendar import SeasonCheck, check_season, season_cutoff, season_of
from helpers.models.rules import NAIVE, SEGMENTED, Origin
from helpers.models.terms import Horizon
from helpers.show import count, percent
from helpers.study import Study


def load_backtest(study: Study, states: pd.DataFrame, horizon: Horizon, basis: str) -> BackTest:
    """Try every rule from several days of the past, on the customers and orders known then."""
    reason = forecast.why_not(states, study.end)
    if reason:
        return BackTest(reason)
    months = summaries.load(study, "cohort_months")
    held = max(round(horizon.days / DAYS_PER_MONTH), 1)
    first = states["first_day"].min()
    days = backtest.origin_days(first, study.end, held)
    found = (_origin(study, months, first, cutoff, end, basis) for cutoff, end in days)
    kept = [origin for origin in found if not forecast.why_not(origin.states, origin.cutoff)]
    return backtest.backtest(kept)


def _origin(
    study: Study,
    months: pd.DataFrame,
    first: pd.Timestamp,
    cutoff: pd.Timestamp,
    end: pd.Timestamp,
    basis: str,
) -> Origin:
    """Give a day of the past with what was known then, and results known by then to learn from."""
    rows = features(study, cutoff, end)
    known = months[pd.to_datetime(months["start"]) <= cutoff]
    held = (end.to_period("M") - cutoff.to_period("M")).n
    history = (cutoff.to_period("M") - first.to_period("M")).n + 1
    taught = (cutoff.to_period("M") - min(held, history // 2)).end_time.normalize()
    train = features(study, taught, cutoff) if (taught - first).days >= 60 else None
    plain = Origin(cutoff, end, rows, known, basis=basis)
    season, _ = season_of(known, plain.states, plain.spend_states, cutoff)
    stretch = (end - cutoff).days / (cutoff - taught).days
    return Origin(cutoff, end, rows, known, train, stretch, basis, season)


def features(study: Study, split: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """Give customers as known on the day ``split``, with what they did up to ``until``."""
    return summaries.load(
        study, "customer_features", split=f"{split:%Y-%m-%d}", until=f"{until:%Y-%m-%d}"
    )


def load_season(study: Study, states: pd.DataFrame) -> SeasonCheck:
    """Estimate the season as known now, and say whether it would have helped before.

    Without two whole years there is none; without a quarter more it cannot be checked, and then it
    is not used.
    """
    months = summaries.load(study, "cohort_months")
    spend = summaries.load(study, "spend_states")
    season, reason = season_of(months, states, spend, study.end)
    if season is None:
        return SeasonCheck(reason)
    cutoff = season_cutoff(states["first_day"].min(), study.end)
    if cutoff is None:
        return SeasonCheck("Two years are known, but no quarter after them to check a season on.")
    known = Origin(cutoff, pd.Timestamp(study.end), features(study, cutoff, study.end), months)
    found = check_season(known.states, known.spend_states, months, cutoff, study.end)
    if found.reason:
        return SeasonCheck(found.reason)
    return SeasonCheck("", season, cutoff, found.months, found.plain_error, found.seasonal_error)


# --- tables --------------------------------------------------------------------------------------

_COLUMNS = ["rule", "kind", "forecast", "actual", "bias", "total_error", "rmse", "mae", "msle",
            "gini", "decile_error"]  # fmt: skip


def rule_scores(check: BackTest, measure: str = "money") -> pd.DataFrame:
    """Give each rule's forecasts of all held-out periods together, best customer by customer
    first."""
    if check.reason:
        return pd.DataFrame(columns=_COLUMNS)
    rows = check.pooled[check.pooled["measure"] == measure]
    return rows.sort_values("rmse", kind="stable")[_COLUMNS].reset_index(drop=True)


def origins(check: BackTest) -> pd.DataFrame:
    """Give the origins: held out from and until, customers, what happened, what the model said."""
    columns = [
        "held_out_after",
        "until",
        "customers",
        "orders",
        "orders_said",
        "money",
        "money_said",
    ]
    if check.reason:
        return pd.DataFrame(columns=columns)
    rows = check.scores[check.scores["rule"] == check.choice.used]
    wide = rows.pivot(index=["origin", "end"], columns="measure", values=["actual", "forecast"])
    customers = rows.groupby(["origin", "end"])["customers"].first()
    table = pd.DataFrame(
        {
            "customers": customers,
            "orders": wide["actual", "orders"],
            "orders_said": wide["forecast", "orders"],
            "money": wide["actual", "money"],
            "money_said": wide["forecast", "money"],
        }
    )
    names = {"origin": "held_out_after", "end": "until"}
    return table.reset_index().rename(columns=names)[columns]


def deciles(check: BackTest) -> pd.DataFrame:
    """Give money per customer by tenth of customers, forecast and actual: long, for a picture."""
    columns = ["decile", "what", "money"]
    if check.reason:
        return pd.DataFrame(columns=columns)
    table = check.deciles
    each = table[["forecast", "actual"]].div(table["customers"], axis=0)
    return each.assign(decile=table["decile"].astype(str)).melt(
        "decile", ["actual", "forecast"], var_name="what", value_name="money"
    )[columns]


def bins(check: BackTest) -> pd.DataFrame:
    """Give mean held-out orders by earlier frequency, long: frequency, rule, orders."""
    if check.reason:
        return pd.DataFrame(columns=["frequency", "rule", "orders"])
    rules = [name for name in check.bins if name not in ("frequency", "customers")]
    return check.bins.melt("frequency", rules, var_name="rule", value_name="orders")


def season_months(found: SeasonCheck) -> pd.DataFrame:
    """Give held-out months, actual and forecast with and without season: long, for a picture."""
    columns = ["start", "what", "orders"]
    if found.months is None:
        return pd.DataFrame(columns=columns)
    return found.months.melt("start", ["actual", "plain", "seasonal"], "what", "orders")[columns]


def season_table(found: SeasonCheck) -> pd.DataFrame:
    """Give the season: purchase intensity of a customer by month of the year, with its error."""
    columns = ["month", "intensity", "low", "high"]
    if found.season is None:
        return pd.DataFrame(columns=columns)
    names = pd.date_range("2000-01-01", periods=12, freq="MS").strftime("%B")
    spread = 1.96 * np.sqrt(np.diag(found.season.log_covariance))
    level = found.season.intensity
    return pd.DataFrame(
        {
            "month": names, "intensity": level,
            "low": level * np.exp(-spread), "high": level * np.exp(spread),
        }
    )  # fmt: skip


# --- sentences -----------------------------------------------------------------------------------


def total_bias(check: BackTest) -> float:
    """Give the error of the total of orders on the newest held-out period, as a share of actual."""
    if check.reason:
        return np.nan
    return float(_newest(check)["bias"])


def _newest(check: BackTest) -> pd.Series:
    rows = check.scores[
        (check.scores["rule"] == check.choice.used) & (check.scores["measure"] == "orders")
    ]
    return rows.loc[rows["origin"].idxmax()]


def inside(check: BackTest) -> bool:
    """Say whether the newest held-out total of orders lies in the model's own interval."""
    rows = check.coverage
    rows = rows[(rows["group"] == "total") & (rows["measure"] == "orders")]
    return bool(rows.loc[rows["origin"].idxmax(), "inside"])


def holdout_note(check: BackTest) -> str:
    """Say beside the held-out error whether it lies within the model's own interval."""
    if check.reason:
        return "of total orders"
    return f"of total orders, {'inside' if inside(check) else 'outside'} its own interval"


def choice_sentence(check: BackTest) -> str:
    """Say which model is used, whether it beats the naive rules, and what the choice may cost."""
    if check.reason:
        return f"No rule could be tried on history. {check.reason} BG/NBD is used."
    choice, money = check.choice, check.pooled[check.pooled["measure"] == "money"]
    row = money.set_index("rule")
    used, naive = row.loc[choice.used], row.loc[choice.naive]
    beats = "does better than" if choice.beats else "does no better than"
    parts = [
        f"**{choice.used}** is used: of the purchase models whose error per customer is within "
        f"{percent(backtest.EQUALS)} of the least it is nearest in total. It {beats} the best "
        f"naive rule, {choice.naive}: error of the total "
        f"{percent(used['total_error'], 1)} against {percent(naive['total_error'], 1)}, root mean "
        f"square error per customer {count(used['rmse'], 2)} against {count(naive['rmse'], 2)}."
    ]
    if choice.best != choice.used:
        kind = row.loc[choice.best, "kind"]
        means = {
            NAIVE: "it cannot say when, or with which interval, so it is a warning that the model "
            "is not worth its trouble",
            SEGMENTED: "channels differ by more than histories tell, so read what is forecast for "
            "one of them with that in mind",
        }.get(kind, "it cannot say when, or with which interval, so it is a warning")
        parts.append(
            f"Of all rules {choice.best} is nearest; {means}: "
            f"its error of the total is {percent(row.loc[choice.best, 'total_error'], 1)}."
        )
    if np.isfinite(choice.regret):
        parts.append(
            "Chosen by the earlier periods alone, the choice would have cost "
            f"{percent(choice.regret, 1)} of the total on the newest, against the best in "
            "hindsight."
        )
    else:
        parts.append("With a single held-out period, what choosing costs cannot be told.")
    return " ".join(parts)


def coverage_sentence(check: BackTest) -> str:
    """Say how many of the model's own 90% intervals held what happened."""
    if check.reason:
        return "There are no intervals to check."
    rows, parts = check.coverage, []
    for measure, word in (("orders", "orders"), ("money", "money")):
        of = rows[rows["measure"] == measure]
        total, tiers = of[of["group"] == "total"], of[of["group"] != "total"]
        parts.append(
            f"{count(total['inside'].sum())} of {count(len(total))} totals of {word} and "
            f"{count(tiers['inside'].sum())} of {count(len(tiers))} tiers"
        )
    overlap = (
        "The held-out periods overlap, so they are no independent witnesses; where"
        if rows["origin"].nunique() > 1
        else "One held-out period is one witness; where"
    )
    return (
        f"The model's 90% intervals held {' and '.join(parts)}. {overlap} less than about nine in "
        "ten are held, the world moved by more than the model knows, and the forecast's interval "
        "is too narrow."
    )


def left_out_sentence(check: BackTest) -> str:
    """Say which rules could not be tried, and why; empty if all could."""
    if not check.left_out:
        return "Every rule could be tried on every held-out period."
    return "Not in the choice: " + "; ".join(check.left_out)


def alerts(check: BackTest) -> list[str]:
    """Say so where the forecast failed its own check; empty if it did not, or could not be held."""
    if check.reason or inside(check):
        return []
    return [
        f"On held-out months the forecast of orders was off by {percent(total_bias(check), 1)}, "
        "outside its own interval: plan with a wider margin than 04 shows."
    ]
