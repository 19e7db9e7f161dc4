"""The forecast of a month as one object: its terms, its models, what customers will bring."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import backtest_tables, cohort_tables
from helpers.measures import metrics
from helpers.models import forecast, futures, newcomers
from helpers.models.backtest import BackTest
from helpers.models.calendar import SeasonCheck, month_edges
from helpers.models.forecast import SEASONED, Models
from helpers.models.futures import ClvForecast
from helpers.models.season import SEASONAL
from helpers.models.terms import Horizon, Terms
from helpers.records import load_records
from helpers.study import Study

TIERS = [name for name, _ in summaries.TIERS]


@dataclass(frozen=True)
class Outlook:
    """A forecast and what it stands on; without models, only the reason why there is none.

    ``valued``: states with their tier, as valued in the engine; ``months``: profit and loss by
    calendar month, customers to come included; ``coming``: how many of those were expected, and
    why.
    """

    reason: str
    terms: Terms
    basis: str
    models: Models | None = None
    forecast: ClvForecast | None = None
    valued: pd.DataFrame | None = None
    spend: pd.DataFrame | None = None
    months: pd.DataFrame | None = None
    coming: str = ""


def terms_of(
    study: Study, periods: pd.DataFrame, *, horizon_months: int, discount_rate: float
) -> Terms:
    """Set the terms of a forecast from the repeat orders of the last twelve months.

    The margin rate is that of repeat orders before the costs that an order causes whatever its
    value; these (shipping and payment fees) and the cost of service, per purchase day, are the cost
    to serve. So large orders and first orders with coupons do not set the price of repeat ones.
    Without known costs the margin rate is 1, so that value is revenue. The rate's standard error is
    that of customers drawn, with all their orders; the spread of single orders is that of days.
    """
    serve, rate, error, noise = service_per_order(study, periods), 1.0, 0.0, 0.0
    repeat = summaries.load(study, "repeat_orders").iloc[0]
    if metrics.money_basis(periods) == "margin" and repeat["margin_revenue"] > 0:
        rate = (repeat["margin"] + repeat["order_cost"]) / repeat["margin_revenue"]
        known = repeat["orders"] * repeat["margin_revenue"] / repeat["revenue"]
        serve += repeat["order_cost"] / known
        strayed, apart = (
            repeat[f"{of}earned_squares"]
            - 2 * rate * repeat[f"{of}earned_known_squares"]
            + rate**2 * repeat[f"{of}known_squares"]
            for of in ("", "customer_")
        )
        noise = float(np.sqrt(max(strayed, 0.0) / max(repeat["known_days"], 1)))
        error = float(np.sqrt(max(apart, 0.0)) / repeat["margin_revenue"])
    return Terms(
        horizon=Horizon(horizon_months, "months"),
        margin_rate=rate,
        cost_to_serve=serve,
        discount_rate=discount_rate,
        rate_error=error,
        order_noise=noise,
    )


def service_per_order(study: Study, periods: pd.DataFrame) -> float:
    """Give what service cost per order in the last twelve months; 0 where none is recorded."""
    year = metrics.last_months(periods, study.month, 12)
    service = summaries.load(study, "service")
    spent = service.loc[service["start"].isin(year["start"]), "amount"].sum()
    return float(spent / max(year["orders"].sum(), 1))


def fit(
    study: Study, states: pd.DataFrame, check: BackTest, season: SeasonCheck, model: str = ""
) -> tuple[Models | None, str]:
    """Fit the models that the back-test chose; with the season where that was shown to help.

    ``model`` goes before what was chosen.
    """
    name = model or (check.choice.used if check.choice else forecast.MODEL)
    plain = name.removesuffix(SEASONED)
    given = season.season if season.helps and plain in SEASONAL else None
    spend = summaries.load(study, "spend_states")
    return forecast.fit_or_why_not(states, spend, study.end, model=plain, season=given)


def outlook(
    study: Study, states: pd.DataFrame, terms: Terms, basis: str, seed: int, *,
    check: BackTest, season: SeasonCheck, per_order: float = 0.0,
) -> Outlook:  # fmt: skip
    """Forecast what today's customers will bring, by tier and in total, with intervals.

    Customers get their value, and their tier, in the engine; only states with counts come back.
    ``per_order``: cost of service per order, which the margin of first orders does not hold.
    """
    models, reason = fit(study, states, check, season)
    if models is None:
        return Outlook(reason, terms, basis)
    spend = summaries.load(study, "spend_states")
    worth = {"margin_rate": terms.margin_rate, "service": terms.cost_to_serve}
    valued = summaries.valued_states(study, *scores(states, spend, models, terms), **worth)
    valued = valued.assign(
        tier=pd.Categorical(valued["tier"], TIERS, ordered=True),
        cohort=valued["first_day"].dt.to_period("Q").astype(str),
    )
    found = futures.clv_forecast(valued, spend, models, terms, by="tier", seed=seed)
    ahead = month_edges(study.end, max(round(terms.horizon.days / metrics.DAYS_PER_MONTH), 1))
    present = futures.futures(valued, spend, models, ahead, draws=200, seed=seed)
    months = summaries.load(study, "cohort_months")
    look_new = cohort_tables.chosen_run_in(study, summaries.load(study, "cohort_ages")).months
    new = newcomers.newcomers(
        months, models, terms, study.end, len(ahead) - 1, left_out=look_new,
        service_per_order=per_order, draws=200, seed=seed,
    )  # fmt: skip
    table = newcomers.month_forecast(present, new, terms, study.end, seed=seed)
    return Outlook("", terms, basis, models, found, valued, spend, table, new.rule)


def scores(
    states: pd.DataFrame, spend: pd.DataFrame, models: Models, terms: Terms
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give what the engine joins to customers: the score of each state, and the lines of spend."""
    return forecast.score_states(states, spend, models, terms), forecast.score_spend(spend, models)


def scored_customers(study: Study, view: Outlook, states: pd.DataFrame):
    """Give every customer's score as an engine table; nothing of it comes into Python."""
    terms = view.terms
    return summaries.scored_customers(
        study, *scores(states, view.spend, view.models, terms),
        margin_rate=terms.margin_rate, service=terms.cost_to_serve,
    )  # fmt: skip


def month_outlook(
    study: Study, *, horizon_months: int = 12, discount_rate: float = 0.1
) -> tuple[Outlook, pd.DataFrame]:
    """Give the month's models and terms again, for lists and residual value, with their states.

    The model is that of notebook 04's record of this month; without a record the back-test is run.
    Without models the outlook says why.
    """
    states, periods = (summaries.load(study, n) for n in ("customer_states", "periods"))
    basis = metrics.money_basis(periods)
    terms = terms_of(study, periods, horizon_months=horizon_months, discount_rate=discount_rate)
    record = load_records(study).get("04_predictive_clv", {}).get("extra", {})
    season = backtest_tables.load_season(study, states)
    check = BackTest("The choice is that of the month's record.")
    if not record.get("model"):
        check = backtest_tables.load_backtest(study, states, terms.horizon, basis)
    models, reason = fit(study, states, check, season, model=record.get("model", ""))
    spend = summaries.load(study, "spend_states")
    return Outlook(reason, terms, basis, models, spend=spend), states


def model_name(view: Outlook) -> str:
    """Name the purchase model used; empty without a forecast."""
    return view.models.name if view.models is not None else ""
