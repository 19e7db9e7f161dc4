"""What the predictive CLV notebook says of a forecast: its terms, its fit, its limits."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import backtest_tables, forecast_tables, outlooks
from helpers.errors import DataError
from helpers.models import sbg
from helpers.models.backtest import BackTest
from helpers.show import count, percent
from helpers.study import Study


def terms_sentence(view: outlooks.Outlook, money) -> str:
    """Say what value means in this forecast: formula, rates, horizon."""
    terms = view.terms
    months = count(terms.horizon.value)
    if view.basis == "margin":
        error = percent(1.645 * terms.rate_error, 1)
        word = (
            f"margin at {percent(terms.margin_rate, 1)} (give or take {error}) of revenue before "
            "costs per order"
        )
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


def worth_note(view: outlooks.Outlook) -> str:
    """Say in a word what the headline's value is made of."""
    if view.basis == "margin":
        return "margin less cost to serve, discounted; customers of today"
    return "revenue, as no cost is known, discounted; customers of today"


def residual_sentence(view: outlooks.Outlook, money) -> str:
    """Say what is still to come without a horizon, or why that cannot be said."""
    if view.reason:
        return f"There is no forecast. {view.reason}"
    still = forecast_tables.residual(view)
    if np.isnan(still):
        return (
            "`clv_residual`, all that is still to come, needs a discount rate above zero: some "
            "customers never leave in the model, and without discount their orders have no sum."
        )
    total = forecast_tables.total_row(view)
    share = total["clv"] / still if still else np.nan
    return (
        "`clv_residual`, all that today's customers are still expected to bring, is "
        f"{money(still)}, "
        f"{money(still / total['customers'])} each; the horizon holds {percent(share)} of it. It "
        "has no interval: how long customers stay beyond what has been seen is the model's word "
        "alone."
    )


def coming_sentence(view: outlooks.Outlook, money) -> str:
    """Say what customers to come add, and on which rule their number rests."""
    if view.months is None:
        return "Without a forecast there is nothing to show month by month."
    new = view.months
    share = new["revenue_new"].sum() / max(new["revenue"].sum(), 1e-9)
    return (
        f"Customers not yet won are expected to bring {money(new['revenue_new'].sum())} of "
        f"{money(new['revenue'].sum())} ({percent(share)}), with "
        f"{count(new['new_customers'].sum())} of them: {view.coming}. They are no part of the "
        "value above."
    )


def fit_sentence(view: outlooks.Outlook) -> str:
    """Say how likely the data are under the purchase model, and what its spend model warns of."""
    if view.models is None:
        return "Without a model there are no parameters."
    fit, spend = view.models.purchase, view.models.spend
    said = (
        f"Log-likelihood of {view.models.name} {count(fit.log_likelihood, 1)}, AIC "
        f"{count(fit.aic, 1)} and BIC {count(fit.bic, 1)}, with time in weeks; they compare models "
        "of the same customers, never shops."
    )
    if spend.infinite_variance:
        said += (
            " Mean spend differs so much between customers that it has no variance (q below 2): a "
            "few large spenders can carry the forecast of money, so look at orders too."
        )
    return said


def one_customer_sentence(ranges: pd.DataFrame, money) -> str:
    """Say how wide the range of a single customer is, in the first tier and in the last."""
    if ranges.empty:
        return "Without a forecast there is no range of a customer."
    said = [
        f"one of the {row.tier} {money(row.low)} to {money(row.high)} ({count(row.orders_low)} to "
        f"{count(row.orders_high)} orders)"
        for row in ranges.iloc[[0, -1]].itertuples()
    ]
    return (
        f"Far less can be said of a single customer: 90% of the time, {' and '.join(said)}, for "
        "the customer in the middle of each tier. Plan with sums, not with single customers."
    )


def renewals_sentence(study: Study, discount_rate: float) -> str:
    """Say how many renewals of a contract are still to come, by how long it has run.

    From shifted-beta-geometric renewal (`sbg.residual_lifetime`), discounted; the reason where
    there is none.
    """
    if not study.has("subscriptions"):
        return "No contracts are recorded, so no renewals are to come."
    rows = sbg.contract_periods(summaries.load(study, "contract_waits"))
    if rows.loc[~rows["event"], "n"].sum() < study.shop.privacy.min_cell:
        return "Too few contracts run today to say how many renewals are to come."
    try:
        fit = sbg.fit_sbg(*(rows[name].to_numpy() for name in ("period", "event", "n")))
    except DataError as fault:
        return f"Renewals to come cannot be told. {fault}"
    new, year = sbg.residual_lifetime(fit, np.array([1, 13]), discount_rate=discount_rate)
    if not np.isfinite(new):
        return "Some contracts stay so long that renewals to come have no mean without a discount."
    return (
        f"A contract in its first month is expected to be renewed {count(new, 1)} more times, one "
        f"that has run for a year {count(year, 1)} times, discounted at {percent(discount_rate)} a "
        "year: who leaves easily leaves early. A month's price times that is what a contract is "
        "still worth in revenue."
    )


def limits_sentence(view: outlooks.Outlook, check: BackTest) -> str:
    """Say what the forecast does not know, and how far its check says it may be off."""
    if view.reason:
        return f"There is no forecast. {view.reason}"
    seen = (
        f"On the newest held-out period its total of orders was off by "
        f"{percent(backtest_tables.total_bias(check), 1)}, "
        + (
            "inside its own 90% interval."
            if backtest_tables.inside(check)
            else "outside its own 90% interval: read the forecast's interval as too narrow."
        )
        if not check.reason
        else f"It could not be held against history. {check.reason}"
    )
    known = "the season and its error are in it; " if view.models.season is not None else ""
    rate = "the error of the margin rate is in it, " if view.terms.rate_error > 0 else ""
    return (
        f"{seen} The interval of the total comes from {count(view.forecast.simulated)} customers "
        f"simulated many times over; {rate}{known}a change of price or assortment is not in it."
    )


def states_sentence(states: pd.DataFrame, scope: pd.DataFrame) -> str:
    """Say how many customers and distinct histories there are, and how many bought again."""
    customers = states["n"].sum()
    again = states.loc[states["frequency"] > 0, "n"].sum()
    returned = int(scope["customers"].iloc[0] - customers)
    left = f" {count(returned)} more have no purchase left after refunds; they are left out."
    return (
        f"{count(customers)} customers in {count(len(states))} distinct histories, "
        f"{percent(again / customers if customers else 0)} of them with a repeat purchase."
        f"{left if returned else ''}"
    )
