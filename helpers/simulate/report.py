"""The truth of a simulated shop as a document: ``truth.toml``.

All sections but ``[facts]`` hold parameters and expectations; ``[facts]`` holds what happened to
be drawn, for tests that count rows and cents.
"""

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from helpers.simulate.config import Experiment, ShopConfig
from helpers.simulate.extras import PLAN_CHURN
from helpers.simulate.facts import realized_facts
from helpers.simulate.purchases import propensity
from helpers.simulate.truth import AGES, order_margin, replicated_values, value_by_age

MEASURES = ("orders", "revenue", "margin")
_NOTES = {
    "margin": "revenue - cogs - shipping_cost - payment_fee, net of refunds to be expected, all "
    "lines, before a campaign's own cost",
    "margin_known": "margin of lines with a known cost = margin x cost_known (missing at random)",
    "expectations": "over what chance may still do, given the hidden rate, drop-out, mean order "
    "value and life of each customer; only [facts] holds realized sums",
    "exposure": "sum over days of season[month] x weekday; purchase rates are per day of exposure",
    "refunds": "booked with the sale; refunds due after last_day are not in the files",
    "next_12_months": "365 days after as_of, customers acquired by then, no new campaigns; open "
    "windows run on; before cost to serve, not discounted",
    "ltv": "per customer to an age in days, first order included, customers who had reached the "
    "age by as_of; baseline without experiments (closed form), as_run with them (replicated, with "
    "standard errors)",
}


def describe(
    config: ShopConfig,
    seed: int,
    frames: dict[str, pd.DataFrame],
    sums: dict[str, Counter],
    faults: dict[str, Any],
) -> dict[str, Any]:
    """Give the truth of a shop: parameters, expectations, and the facts of this draw."""
    truth = {"notes": _NOTES, **_parameters(config, seed)}
    truth["ltv"] = {"baseline": {f"age_{age}": value_by_age(config, age) for age in _ages(config)}}
    if config.replicates:
        values = replicated_values(config, seed)
        truth["ltv"]["as_run"] = {f"age_{age}": values[age] for age in _ages(config)}
    truth["next_12_months"] = {
        name: int(value) if name in ("customers", "alive") else value
        for name, value in sums["next_12_months"].items()
    }
    truth["experiments"] = {
        test.experiment_id: experiment_truth(config, test, sums[f"experiment.{test.experiment_id}"])
        for test in config.experiments
        if f"experiment.{test.experiment_id}" in sums
    }
    truth["facts"] = realized_facts(config, frames, faults, truth["experiments"])
    return truth


def _ages(config: ShopConfig) -> list[int]:
    return [age for age in AGES if age < config.as_of_day]


def _parameters(config: ShopConfig, seed: int) -> dict[str, Any]:
    earns = order_margin(config)
    value = config.p * config.gamma / (config.q - 1)
    ship = sum(share * cost for _, share, cost in config.countries)
    return {
        "shop": {
            "seed": seed,
            "currency": config.currency,
            "time_zone": config.time_zone,
            "first_day": config.first_day,
            "last_day": config.last_day,
            "as_of": config.as_of,
            "expected_customers": float(config.customers),
        },
        "acquisition": {
            "growth_per_year": config.growth,
            "season": list(config.arrival_season),
            "shares": {c.name: c.share for c in config.channels},
            "media_cost": {c.name: c.cost for c in config.channels if c.cost},
            "never_bought_per_customer": config.never_bought,
        },
        "season": {"months": list(config.season), "weekdays": list(config.weekday)},
        "purchases": {
            "law": "BG/NBD in exposure",
            "r": config.r,
            "alpha_days": config.alpha,
            "a": config.a,
            "b": config.b,
            "alpha_days_by_channel": {c.name: config.alpha / c.quality for c in config.channels},
        },
        "spend": {
            "law": "Gamma-Gamma on the list value of an order, before discounts",
            "p": config.p,
            "q": config.q,
            "gamma": config.gamma,
            "mean_list_value": value,
            "independent_of_purchase_rate": True,
        },
        "orders": {
            "lines": list(config.lines),
            "quantities": list(config.quantities),
            "coupon_share_of_first_orders": config.coupon_share,
            "coupon_discount": config.coupon_discount,
            "promotions": [
                f"{p.promotion_id} {p.starts} to {p.ends}: {p.discount:.2f}"
                for p in config.promotions
            ],
        },
        "margin": {
            "cogs_share_of_list": {c.name: c.cogs_share for c in config.categories},
            "category_shares": {c.name: c.share for c in config.categories},
            "mean_cogs_share_of_list": sum(c.share * c.cogs_share for c in config.categories),
            "cost_known": 1 - config.cogs_missing,
            "shipping_by_country": {name: cost for name, _, cost in config.countries},
            "country_shares": {name: share for name, share, _ in config.countries},
            "mean_shipping": ship,
            "fee_fixed": config.fee_fixed,
            "fee_share": config.fee_share,
            "order_revenue_gross": value,
            "order_revenue": float(earns.revenue(value, 0.0)),
            "order_margin": float(earns.margin(value, 0.0, ship)),
        },
        "refunds": {
            "share_of_orders": config.refund_share,
            "full": config.refund_full,
            "undated": config.refund_undated,
            "share_of_revenue": 1 - earns.kept,
            "delay_days": [3, 30],
        },
        "consents": {"given_at_sign_up": config.consent_share, "withdrawal_mean_days": 5000},
        "service": {
            "contacts_per_order": config.contact_share,
            "cost_per_contact": config.contact_cost,
        },
        "subscriptions": {"law": "sBG by month", "a": PLAN_CHURN[0], "b": PLAN_CHURN[1]},
    }


def experiment_truth(config: ShopConfig, test: Experiment, sums: Counter) -> dict[str, Any]:
    """Give what an experiment was expected to do per assigned customer in its window.

    ``effects.<arm>``: arm less control over all assigned (for an experiment that was not
    randomized also over the treated alone, and the difference that a naive comparison of the arms
    must be expected to show).
    """
    assigned = sum(sums[f"n.{arm.name}"] for arm in test.arms)
    control = test.arms[0]
    truth: dict[str, Any] = {
        "population": test.population,
        "randomized": test.randomized,
        "control_arm": control.name,
        "window_days": test.window_days,
        "starts": test.starts,
        "ends": test.ends,
        "window_over": test.ends <= config.as_of,
        "assigned": int(assigned),
        "fixed_cost": test.fixed_cost,
    }
    if not test.randomized:
        orders = np.arange(1, 9)
        truth["propensity_by_past_orders"] = [float(p) for p in propensity(orders)]
    if not assigned:
        return truth
    truth["arms"] = {arm.name: _arm_truth(arm, sums, assigned) for arm in test.arms}
    truth["effects"] = {}
    for arm in test.arms[1:]:
        effect = {
            m: (sums[f"{m}.{arm.name}"] - sums[f"{m}.{control.name}"]) / assigned for m in MEASURES
        }
        effect["margin_after_cost"] = effect["margin"] - arm.cost - arm.service_cost
        if arm.pull_days:
            effect["orders_pulled_forward"] = sums[f"pulled.{arm.name}"] / assigned
            effect["pull_days"] = arm.pull_days
        if not test.randomized:
            effect |= _selection(sums, control.name, arm.name)
        truth["effects"][arm.name] = effect
    return truth


def _arm_truth(arm: Any, sums: Counter, assigned: float) -> dict[str, Any]:
    means = {measure: sums[f"{measure}.{arm.name}"] / assigned for measure in MEASURES}
    does = {
        "assigned": int(sums[f"n.{arm.name}"]),
        "multiplier": arm.multiplier,
        "discount": arm.discount,
        "campaign_cost": arm.cost,
        "service_cost": arm.service_cost,
    }
    return {**does, **means}


def _selection(sums: Counter, control: str, arm: str) -> dict[str, float]:
    treated, others = sums[f"n.{arm}"], sums[f"n.{control}"]
    found = {}
    for m in MEASURES:
        own = sums[f"{m}.{arm}.own"] / max(treated, 1)
        found[f"{m}_on_treated"] = own - sums[f"{m}.{arm}.if_control"] / max(treated, 1)
        found[f"{m}_naive"] = own - sums[f"{m}.{control}.own"] / max(others, 1)
    return found


def to_toml(values: dict[str, Any]) -> str:
    """Write nested dictionaries of plain values as TOML; numbers with at most 8 digits."""
    return "\n".join(_section(values, ())).strip() + "\n"


def _section(values: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
    nested = {k: v for k, v in values.items() if isinstance(v, dict)}
    lines = ["", f"[{'.'.join(path)}]"] if path and (plain or not nested) else []
    lines += [f"{name} = {_value(value)}" for name, value in plain.items()]
    for name, value in nested.items():
        lines += _section(value, (*path, name))
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float):
        # Eight decimals: more than any use, fewer than where machines differ. Never "-0.0".
        return repr(round(float(value), 8) + 0.0)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
