"""Frames and sentences of the predictive CLV notebook, made from summaries and forecasts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.measures import metrics
from helpers.models import btyd, forecast
from helpers.models.forecast import ClvForecast, Models
from helpers.models.holdout import Holdout, holdout_check, holdout_cutoff
from helpers.models.terms import Horizon, Terms
from helpers.show import count, percent
from helpers.study import Study

TIERS = [name for name, _ in summaries.TIERS]


@dataclass(frozen=True)
class Outlook:
    """A forecast and what it stands on; without models, only the reason why there is none."""

    reason: str
    terms: Terms
    basis: str
    models: Models | None = None
    forecast: ClvForecast | None = None


def load_holdout(study: Study, states: pd.DataFrame, horizon: Horizon) -> Holdout:
    """Fit on the part of history before a cut-off and forecast the part after it."""
    cutoff = holdout_cutoff(states["first_day"].min(), study.end, horizon)
    seen = summaries.load(study, "holdout_states", split=f"{cutoff:%Y-%m-%d}")
    return holdout_check(seen, cutoff=cutoff, end=study.end)


def terms_of(
    study: Study, periods: pd.DataFrame, *, horizon_months: int, discount_rate: float
) -> Terms:
    """Set the terms of a forecast from the repeat orders of the last twelve months.

    The margin rate is that of repeat orders before the costs that an order causes whatever its
    value; these (shipping and payment fees) and the cost of service, per purchase day, are the cost
    to serve. So large orders and first orders with coupons do not set the price of repeat ones.
    Without known costs the margin rate is 1, so that value is revenue.
    """
    year = metrics.last_months(periods, study.month, 12)
    service = summaries.load(study, "service")
    spent = service.loc[service["start"].isin(year["start"]), "amount"].sum()
    serve, rate = spent / max(year["orders"].sum(), 1), 1.0
    repeat = summaries.load(study, "repeat_orders").iloc[0]
    if metrics.money_basis(periods) == "margin" and repeat["margin_revenue"] > 0:
        rate = (repeat["margin"] + repeat["order_cost"]) / repeat["margin_revenue"]
        known = repeat["orders"] * repeat["margin_revenue"] / repeat["revenue"]
        serve += repeat["order_cost"] / known
    return Terms(
        horizon=Horizon(horizon_months, "months"),
        margin_rate=rate,
        cost_to_serve=serve,
        discount_rate=discount_rate,
    )


def outlook(study: Study, states: pd.DataFrame, terms: Terms, basis: str, seed: int) -> Outlook:
    """Forecast what today's customers will bring, by tier and in total, with intervals.

    Customers get their value, and their tier, in the engine; only states with counts come back.
    """
    spend = summaries.load(study, "spend_states")
    models, reason = forecast.fit_or_why_not(states, spend, study.end)
    if models is None:
        return Outlook(reason, terms, basis)
    scores = forecast.score_states(states, spend, models, terms)
    valued = summaries.valued_states(
        study,
        scores,
        forecast.score_spend(spend, models),
        margin_rate=terms.margin_rate,
        service=terms.cost_to_serve,
    )
    tier = pd.Categorical(valued["tier"], TIERS, ordered=True)
    found = forecast.clv_forecast(
        valued.assign(tier=tier), spend, models, terms, by="tier", seed=seed
    )
    return Outlook("", terms, basis, models, found)


def total_row(view: Outlook) -> pd.Series:
    """Give the total of a forecast; all missing where there is none."""
    names = ("orders", "revenue", "margin", "clv")
    if view.forecast is None:
        keys = ["customers", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
        return pd.Series(np.nan, index=keys)
    return view.forecast.totals.iloc[-1]


def tiers(view: Outlook) -> pd.DataFrame:
    """Give the tiers: customers, orders, value in total and per customer, with intervals."""
    columns = ["tier", "customers", "orders", "clv", "clv_low", "clv_high", "share"]
    columns += ["per_customer", "low", "high"]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    table = view.forecast.totals.iloc[:-1]
    table = table.assign(tier=table["tier"].astype(str)).reset_index(drop=True)
    each = {"per_customer": "clv", "low": "clv_low", "high": "clv_high"}
    per_customer = {name: table[column] / table["customers"] for name, column in each.items()}
    return table.assign(share=table["clv"] / table["clv"].sum(), **per_customer)[columns]


def by_month(view: Outlook, study: Study) -> pd.DataFrame:
    """Give the forecast of today's customers month by month, in steps of 365.25/12 days."""
    if view.forecast is None:
        return pd.DataFrame(columns=["start", "orders", "revenue", "net"])
    steps = view.forecast.steps
    start = pd.Timestamp(study.end) + pd.to_timedelta(1 + steps["day_from"].round(), unit="D")
    return steps.assign(start=start.dt.normalize())[["start", "orders", "revenue", "net"]]


def rule_scores(holdout: Holdout) -> pd.DataFrame:
    """Give each rule's forecast of the held-out period, its bias and its error per customer."""
    columns = ["rule", "orders", "actual", "bias", "rmse", "mae"]
    return pd.DataFrame(columns=columns) if holdout.scores is None else holdout.scores[columns]


def bins(holdout: Holdout) -> pd.DataFrame:
    """Give mean held-out orders by earlier frequency, long: frequency, rule, orders."""
    if holdout.bins is None:
        return pd.DataFrame(columns=["frequency", "rule", "orders"])
    rules = ["actual", forecast.MODEL, "same rate"]
    return holdout.bins.melt("frequency", rules, var_name="rule", value_name="orders")


def parameters(view: Outlook) -> pd.DataFrame:
    """Give the fitted parameters with their 95% intervals, purchase and spend model together."""
    columns = ["model", "parameter", "estimate", "low", "high"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for name, fit in (("BG/NBD", view.models.purchase), ("Gamma-Gamma", view.models.spend)):
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
    at = forecast.states_at(states, study.end)
    least = study.shop.privacy.min_cell
    for last in range(7, 0, -1):
        seen, expected = btyd.frequency_table(view.models.purchase, at, last=last).T
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


def identity(view: Outlook) -> pd.DataFrame:
    """Check the forecast: tiers add up to the total, months too, and money is orders x spend."""
    columns = ["check", "difference"]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    totals, steps, terms = view.forecast.totals, view.forecast.steps, view.terms
    total, parts = totals.iloc[-1], totals.iloc[:-1]
    net = total["revenue"] * terms.margin_rate - total["orders"] * terms.cost_to_serve
    rows = [
        ("Tiers less total, value", parts["clv"].sum() - total["clv"]),
        ("Months less total, value", steps["clv"].sum() - total["clv"]),
        ("Revenue x margin rate - service less net", net - total["net"]),
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(difference=table["difference"].round(2) + 0.0)


def terms_sentence(view: Outlook, money) -> str:
    """Say what value means in this forecast: formula, rates, horizon."""
    terms = view.terms
    months = count(terms.horizon.value)
    if view.basis == "margin":
        word = f"margin at {percent(terms.margin_rate, 1)} of revenue before costs per order"
    else:
        word = "revenue, because no cost is known"
    serve = (
        f"less {money(terms.cost_to_serve)} per order for shipping, fees and service"
        if terms.cost_to_serve
        else "with no cost to serve recorded"
    )
    return (
        f"`clv_forecast` over {months} months: expected orders x expected revenue per order, as "
        f"{word}, {serve}, discounted at {percent(terms.discount_rate)} a year, mid-month."
    )


def limits_sentence(view: Outlook, check: Holdout) -> str:
    """Say what the forecast does not know, and how far its check says it may be off."""
    if view.reason:
        return f"There is no forecast. {view.reason}"
    seen = (
        f"On the held-out period its total was off by {percent(check.bias, 1)}, "
        + (
            "inside its own 90% interval."
            if check.inside
            else "outside its own 90% interval: read the forecast's interval as too narrow."
        )
        if not check.reason
        else f"It could not be held against history. {check.reason}"
    )
    return (
        f"{seen} The interval of the total comes from {count(view.forecast.simulated)} customers "
        "simulated many times over; the margin rate is held fixed, and a change of season, price "
        "or assortment is not in it."
    )


def states_sentence(states: pd.DataFrame, scope: pd.DataFrame) -> str:
    """Say how many customers and distinct histories there are, and how many bought again."""
    customers = states["n"].sum()
    again = states.loc[states["frequency"] > 0, "n"].sum()
    returned = int(scope["customers"].iloc[0] - customers)
    left = f" {count(returned)} more have no purchase left after refunds; they are left out."
    return (
        f"{count(customers)} customers in {count(len(states))} distinct histories, "
        f"{percent(again / customers)} of them with a repeat purchase.{left if returned else ''}"
    )


def holdout_note(check: Holdout) -> str:
    """Say beside the held-out error whether it lies within the model's own interval."""
    if check.reason:
        return "of total orders"
    return f"of total orders, {'inside' if check.inside else 'outside'} its own interval"


def with_interval(total: pd.Series, name: str, *, per: str = "") -> dict[str, float]:
    """Give a figure of a total with its interval, as a headline takes it; ``per`` divides it."""
    by = total[per] if per else 1
    keys = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    return {key: total[column] / by for key, column in keys.items()}


def alerts(check: Holdout) -> list[str]:
    """Say so where the forecast failed its own check; empty if it did not, or could not be held."""
    if check.reason or check.inside:
        return []
    return [
        f"On held-out months the forecast of orders was off by {percent(check.bias, 1)}, outside "
        "its own interval: plan with a wider margin than 04 shows."
    ]
