"""Frames and sentences of the predictive CLV notebook, made from summaries and forecasts."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import backtest_tables, cohort_tables
from helpers.measures import metrics
from helpers.models import btyd, drift, forecast, futures, newcomers
from helpers.models.backtest import BackTest
from helpers.models.calendar import SeasonCheck, month_edges
from helpers.models.forecast import SEASONED, Models
from helpers.models.futures import ClvForecast
from helpers.models.portfolio import standing, what_if
from helpers.models.season import SEASONAL
from helpers.models.terms import Horizon, Terms
from helpers.records import load_records
from helpers.show import count, percent, ratio
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
    Without known costs the margin rate is 1, so that value is revenue. The rate's standard error
    and the spread of single orders around it come from the same days.
    """
    serve, rate, error, noise = service_per_order(study, periods), 1.0, 0.0, 0.0
    repeat = summaries.load(study, "repeat_orders").iloc[0]
    if metrics.money_basis(periods) == "margin" and repeat["margin_revenue"] > 0:
        rate = (repeat["margin"] + repeat["order_cost"]) / repeat["margin_revenue"]
        known = repeat["orders"] * repeat["margin_revenue"] / repeat["revenue"]
        serve += repeat["order_cost"] / known
        squares = (
            repeat["earned_squares"]
            - 2 * rate * repeat["earned_known_squares"]
            + rate**2 * repeat["known_squares"]
        )
        days = max(repeat["known_days"], 1)
        noise = float(np.sqrt(max(squares, 0.0) / days))
        error = noise * np.sqrt(days) / repeat["margin_revenue"]
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


# --- the forecast --------------------------------------------------------------------------------


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


# --- tables --------------------------------------------------------------------------------------


def total_row(view: Outlook) -> pd.Series:
    """Give the total of a forecast; all missing where there is none."""
    names = ("orders", "revenue", "margin", "clv")
    if view.forecast is None:
        keys = ["customers", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
        return pd.Series(np.nan, index=keys)
    return view.forecast.totals.iloc[-1]


def residual(view: Outlook) -> float:
    """Give all that today's customers are still expected to bring, discounted, without horizon."""
    known = view.valued is not None and "residual" in view.valued
    return float(view.valued["residual"].sum()) if known else np.nan


def tiers(view: Outlook) -> pd.DataFrame:
    """Give the tiers: customers, orders, value in total and per customer, with intervals."""
    columns = ["tier", "customers", "orders", "revenue", "margin", "clv", "clv_low", "clv_high"]
    columns += ["share", "residual", "per_customer", "low", "high"]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    table = view.forecast.totals.iloc[:-1]
    table = table.assign(tier=table["tier"].astype(str)).reset_index(drop=True)
    each = {"per_customer": "clv", "low": "clv_low", "high": "clv_high"}
    per_customer = {name: table[column] / table["customers"] for name, column in each.items()}
    still = np.nan
    if "residual" in view.valued:
        still = (
            view.valued.groupby("tier", observed=False)["residual"].sum().reindex(TIERS).to_numpy()
        )
        still = still[: len(table)]
    return table.assign(share=table["clv"] / table["clv"].sum(), residual=still, **per_customer)[
        columns
    ]


def one_customer(view: Outlook, seed: int, *, most: int = 400) -> pd.DataFrame:
    """Give what a single customer in the middle of each tier may do: 90% predictive ranges.

    One row per tier: orders_low, orders_high, low, high (margin less service over the horizon, not
    discounted). At most ``most`` customers of a tier are looked at, evenly from first to last.
    """
    columns = ["tier", "orders_low", "orders_high", "low", "high"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    states = view.valued.sort_values([*forecast.STATE, "spend_frequency"], kind="stable")
    parts = []
    for tier, part in states.groupby("tier", observed=True, sort=True):
        upto = part["n"].cumsum().to_numpy()
        places = (np.arange(min(most, upto[-1])) + 0.5) * (upto[-1] / min(most, upto[-1]))
        chosen = part.iloc[np.searchsorted(upto, places, side="right").clip(max=len(part) - 1)]
        ranges = futures.customer_ranges(chosen, view.models, view.terms, seed=seed)
        parts.append(ranges.median().rename(str(tier)))
    found = pd.DataFrame(parts).rename_axis("tier").reset_index()
    return found.rename(columns={"net_low": "low", "net_high": "high"})[columns]


def cohorts(view: Outlook, seed: int, *, least: int = 0) -> pd.DataFrame:
    """Give the forecast by quarter of first purchase; quarters below ``least`` join the one
    before."""
    columns = [
        "cohort",
        "customers",
        "orders",
        "revenue",
        "clv",
        "clv_low",
        "clv_high",
        "per_customer",
    ]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    found = futures.clv_forecast(
        view.valued.assign(cohort=_large(view.valued, least)), view.spend, view.models, view.terms,
        by="cohort", draws=200, seed=seed,
    )  # fmt: skip
    table = found.totals
    return table.assign(per_customer=table["clv"] / table["customers"])[columns]


def _large(valued: pd.DataFrame, least: int) -> pd.Series:
    sizes, names, last = valued.groupby("cohort")["n"].sum(), {}, ""
    for cohort, size in sizes.items():
        last = cohort if size >= least or not last else last
        names[cohort] = last
    return valued["cohort"].map(names)


def by_month(view: Outlook) -> pd.DataFrame:
    """Give profit and loss by calendar month: customers of today, customers to come, and both.

    Margin and net are missing where no cost is known.
    """
    columns = ["start", "orders", "new_customers", "revenue_present", "revenue_new", "revenue",
               "revenue_low", "revenue_high", "margin", "service", "net"]  # fmt: skip
    if view.months is None:
        return pd.DataFrame(columns=columns)
    unknown = {} if view.basis == "margin" else {"margin": np.nan, "net": np.nan}
    return view.months[columns].assign(**unknown)


def month_lines(months: pd.DataFrame) -> pd.DataFrame:
    """Lay revenue by month out for a picture: of both with its interval, of each without one.

    Long: start, who, revenue, low, high.
    """
    parts = {
        "both": ("revenue", "revenue_low", "revenue_high"),
        "of today": ("revenue_present",), "to come": ("revenue_new",),
    }  # fmt: skip
    names = {"revenue_low": "low", "revenue_high": "high"}
    rows = [
        months[["start", *columns]].rename(columns={columns[0]: "revenue", **names}).assign(who=who)
        for who, columns in parts.items()
    ]
    return pd.concat(rows, ignore_index=True)[["start", "who", "revenue", "low", "high"]]


def parameters(view: Outlook) -> pd.DataFrame:
    """Give the fitted parameters with their 95% intervals, purchase and spend model together."""
    columns = ["model", "parameter", "estimate", "low", "high"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for name, fit in ((view.models.name, view.models.purchase), ("Gamma-Gamma", view.models.spend)):
        for parameter, error in zip(fit.names, fit.standard_errors, strict=True):
            value = getattr(fit, parameter)
            floor = dict(zip(fit.names, fit.floors, strict=True))[parameter]
            # The interval is on the logarithm of what lies above the floor: nearly normal there.
            times = np.exp(1.96 * error / (value - floor))
            low, high = floor + (value - floor) / times, floor + (value - floor) * times
            rows.append((name, parameter, value, low, high))
    return pd.DataFrame(rows, columns=columns)


def fit_by_frequency(view: Outlook, states: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Give customers by repeat purchase days, counted and as the model expects: long.

    The last row takes in as many frequencies as it takes that no row counts fewer customers than
    may be shown.
    """
    columns = ["repeat_days", "what", "customers"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    models = view.models
    at = forecast.states_at(states, study.end, models.clock.days_per_unit, models.season)
    least = study.shop.privacy.min_cell
    for last in range(7, 0, -1):
        seen, expected = btyd.frequency_table(models.purchase, at, last=last).T
        if not ((seen > 0) & (seen < least)).any():
            break
    names = [*(str(k) for k in range(last)), f"{last}+"]
    parts = {"customers": seen, "model": expected}
    return pd.concat(
        [
            pd.DataFrame({"repeat_days": names, "what": what, "customers": values})
            for what, values in parts.items()
        ],
        ignore_index=True,
    )


def cohort_drift(view: Outlook, states: pd.DataFrame) -> drift.Drift:
    """Compare cohorts: is one model enough for all of them?"""
    if view.models is None:
        return drift.Drift("There is no model to compare cohorts by.", drift.NONE)
    together = states.groupby(forecast.STATE, as_index=False)["n"].sum()
    return drift.compare_cohorts(together, view.models)


def channel_drift(view: Outlook, states: pd.DataFrame) -> drift.Drift:
    """Compare the channels that won customers: is one model enough for all of them?"""
    if view.models is None:
        return drift.Drift("There is no model to compare channels by.", drift.NONE)
    return drift.compare_segments(states, view.models)


def identity(view: Outlook) -> pd.DataFrame:
    """Check the forecast: tiers add up to the total, months too, and money is orders x spend."""
    columns = ["check", "difference"]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    totals, steps, terms = view.forecast.totals, view.forecast.steps, view.terms
    total, parts = totals.iloc[-1], totals.iloc[:-1]
    engine = (view.valued["value"]).sum()
    free = replace(terms, discount_rate=0.0)
    plain = what_if(standing(view.valued, view.spend, view.models, free))
    net = total["revenue"] * terms.margin_rate - total["orders"] * terms.cost_to_serve
    rows = [
        ("Tiers less total, value", parts["clv"].sum() - total["clv"]),
        ("Steps less total, value", steps["clv"].sum() - total["clv"]),
        ("Customers one by one in the engine less total, value", engine - total["clv"]),
        ("Revenue x margin rate - service less net", net - total["net"]),
        ("Value without discount less net", plain - total["net"]),
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(difference=table["difference"].round(2) + 0.0)


_COUNTED = ("customers", "orders", "orders_said", "orders_present", "orders_new", "new_customers",
            "consented")  # fmt: skip
_SHARES = ("share", "bias", "total_error", "decile_error", "change", "p_alive")
_RATIOS = ("rmse", "mae", "msle", "gini", "estimate", "low", "high", "intensity", "expected")


def formats(study: Study, table: pd.DataFrame, **own: object) -> dict:
    """Say how the columns of a table of this notebook are written: counts, shares, ratios, money.

    What is named in ``own`` is written so; columns of numbers that no list names are money.
    """
    found = {}
    for name in table:
        if name in own:
            found[name] = own[name]
        elif name in _COUNTED:
            found[name] = count
        elif name in _SHARES:
            found[name] = percent
        elif name in _RATIOS:
            found[name] = ratio
        elif pd.api.types.is_float_dtype(table[name]):
            found[name] = study.money
    return found


def with_interval(total: pd.Series, name: str, *, per: str = "") -> dict[str, float]:
    """Give a figure of a total with its interval, as a headline takes it; ``per`` divides it."""
    by = total[per] if per else 1
    keys = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    return {key: total[column] / by for key, column in keys.items()}
