"""What ``python -m helpers forecast-summary`` does: a forecast from another package's summary."""

import pandas as pd

from helpers.errors import DataError
from helpers.files import near
from helpers.models import btyd, forecast, futures, gamma_gamma
from helpers.models.customer_summary import AS_OF, COLUMNS, read_summary, states_of
from helpers.models.terms import DAYS_IN, Horizon, Terms


def run(
    file: str,
    *,
    unit: str,
    horizon: float = 12.0,
    margin: float = 1.0,
    serve: float = 0.0,
    discount: float = 0.1,
    model: str = forecast.MODEL,
    out: str = "",
) -> list[str]:
    """Forecast the customers of a summary, and give the lines that say the result.

    ``out``: where to write one row per row of the summary, in its order and with its other columns:
    p_alive, expected_orders, expected_spend (per order), clv. Raises DataError where the summary
    cannot carry a forecast, with the reason.
    """
    summary = read_summary(file)
    states, spend, odd = states_of(summary, unit)
    terms = Terms(Horizon(horizon), margin, serve, discount)
    models, reason = forecast.fit_or_why_not(states, spend, AS_OF, model=model)
    if models is None:
        raise DataError(f"No forecast. {reason}")
    row = futures.clv_forecast(states, spend, models, terms).totals.iloc[-1]
    lines = [
        *odd,
        f"{int(row['customers']):,} customers, {model}, {horizon:g} months, {discount:.1%} a year: "
        f"{row['orders']:,.0f} orders ({row['orders_low']:,.0f} to {row['orders_high']:,.0f}), "
        "value "
        f"{row['clv']:,.2f} ({row['clv_low']:,.2f} to {row['clv_high']:,.2f}); intervals are 90% "
        "predictive",
        "A summary has no dates: there is no season, no month and no check on history in this.",
    ]
    if out:
        _scored(summary, models, terms, unit).to_csv(out, index=False)
        lines.append(near(out))
    return lines


def _scored(
    summary: pd.DataFrame, models: forecast.Models, terms: Terms, unit: str
) -> pd.DataFrame:
    """Score every row of a summary with its own values, not rounded to days."""
    x, recency, T, mean = (summary[name].to_numpy(float) for name in COLUMNS)
    scale = DAYS_IN[unit] / models.purchase.days_per_unit
    at = btyd.States(x, recency * scale, T * scale, days_per_unit=models.purchase.days_per_unit)
    pairs = forecast.distinct_pairs(at)
    steps = forecast.orders_if_alive(models, pairs, terms.horizon.edges)
    alive = btyd.p_alive(models.purchase, at)
    orders = alive * steps.sum(axis=1)[pairs[2]]
    later = alive * (steps * terms.discount_factors).sum(axis=1)[pairs[2]]
    paid = (x > 0) & (mean > 0)
    spend = gamma_gamma.expected_spend(models.spend, x * paid, (x * mean).clip(0) * paid)
    return summary.assign(
        p_alive=alive,
        expected_orders=orders,
        expected_spend=spend,
        clv=terms.net(later, later * spend),
    )
