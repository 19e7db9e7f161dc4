"""Incremental CLV: margin of the window plus the change in what customers are still worth.

Three lines: no carry-over (what comes after the window is as it would have been), the purchase
model (each customer's residual value from the history at the window's end), and, once a longer
horizon has been lived through, what was observed. A purchase model reads an order that was pulled
forward as a higher rate, so its residual part is a surrogate and not a measurement.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.models import forecast, gamma_gamma
from helpers.models.forecast import STATE, Models
from helpers.models.terms import Terms

# Sums of a window that go with a value that is linear in total spend.
_METRICS = ("margin", "orders", "revenue", "converted", "pre")


def residual_lines(states: pd.DataFrame, models: Models, terms: Terms) -> pd.DataFrame:
    """Value histories: what one customer of each is still expected to bring, discounted.

    A customer's value is base + slope x total_spend (over repeat days with spend): discounted
    orders x ((intercept + slope x total_spend) x margin rate - cost to serve). ``states`` has
    frequency, first_day, last_day, spend_frequency and ``horizon``, the day it was known on; one
    row per row of it, in order: base, slope. A history without a purchase (frequency below 0) is
    worth nothing that this model knows of.
    """
    result = pd.DataFrame({"base": 0.0, "slope": 0.0}, index=states.index)
    rows = states[states["frequency"] >= 0]
    if rows.empty:
        return result
    # Only time since the horizon counts, so histories known on different days are moved to one.
    latest = rows["horizon"].max()
    moved = {day: rows[day] + (latest - rows["horizon"]) for day in ("first_day", "last_day")}
    moved = rows[["frequency"]].assign(**moved)
    known = moved.groupby(STATE, as_index=False).size().rename(columns={"size": "n"})
    scored = forecast.score_states(known, _NO_SPEND, replace(models, as_of=latest), terms)
    orders = moved.merge(scored, "left", on=STATE)["discounted_orders"].to_numpy()
    intercept, slope = gamma_gamma.spend_line(models.spend, rows["spend_frequency"].to_numpy())
    result.loc[rows.index, "base"] = orders * (intercept * terms.margin_rate - terms.cost_to_serve)
    result.loc[rows.index, "slope"] = orders * slope * terms.margin_rate
    return result


_NO_SPEND = pd.DataFrame({"frequency": [], "total_spend": [], "n": []}, dtype=float)


def value_moments(states: pd.DataFrame, lines: pd.DataFrame, name: str) -> pd.DataFrame:
    """Sum a value that is linear in total spend, with its square and products, by history.

    Adds to ``states`` the columns name, name_squares, and margin_name (likewise orders, revenue,
    converted, pre, missing): sums over the customers of the row, as `effects` reads them.
    """
    n, base, slope = states["n"], lines["base"], lines["slope"]
    spend, squares = states["total_spend"], states["total_spend_squares"]
    value = n * base + slope * spend
    found = {name: value, f"{name}_missing": value * states["missing"]}
    found[f"{name}_squares"] = n * base**2 + 2 * base * slope * spend + slope**2 * squares
    for metric in _METRICS:
        cross = states[f"{metric}_total_spend"]
        key = f"{name}_{metric}" if metric == "pre" else f"{metric}_{name}"
        found[key] = base * states[metric] + slope * cross
    return states.assign(**found)


def covariate(states: pd.DataFrame, models: Models, terms: Terms) -> pd.DataFrame:
    """Make the CLV forecast from data before the first assignment a covariate: ``score``.

    ``states`` are the histories 'before'; a customer without one has score 0 and counts in
    ``missing``. Columns as `value_moments` gives them (score, score_squares, pre_score, ...).
    """
    lines = residual_lines(states, models, terms).mul(1 - states["missing"], axis=0)
    return value_moments(states, lines, "score").rename(columns={"score_pre": "pre_score"})


def lifetime_moments(
    states: pd.DataFrame, models: Models, terms: Terms, *, window_days: int
) -> pd.DataFrame:
    """Add to the histories 'after' what follows the window: ``residual`` and ``lifetime``.

    residual = value at the window's end, discounted to the assignment by (1 + rate) ^ (-window /
    365.25); lifetime = margin of the window + residual; both with squares and products with the
    covariates ``pre`` and ``missing``.
    """
    factor = discount_to_start(terms, window_days)
    lines = residual_lines(states, models, terms) * factor
    rows = value_moments(states, lines, "residual")
    return rows.assign(
        margin_missing=rows["margin"] * rows["missing"],
        missing=rows["missing"] * rows["n"],
        lifetime=rows["margin"] + rows["residual"],
        lifetime_squares=rows["margin_squares"]
        + 2 * rows["margin_residual"]
        + rows["residual_squares"],
        lifetime_pre=rows["margin_pre"] + rows["residual_pre"],
        lifetime_missing=rows["margin"] * rows["missing"] + rows["residual_missing"],
    )  # fmt: skip


def discount_to_start(terms: Terms, window_days: int) -> float:
    """Give the factor that discounts the end of a window to the assignment."""
    return float(np.power(1 + terms.discount_rate, -window_days / 365.25))
