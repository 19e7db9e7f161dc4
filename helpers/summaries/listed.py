"""All summaries by name: what each is made from, its expression, and the options it takes."""

from collections.abc import Callable
from dataclasses import dataclass

from helpers.summaries import (
    ages,
    behaviour,
    cohort_expressions,
    consent,
    contracts,
    days,
    experiment_moments,
    experiment_samples,
    experiment_trails,
    experiments,
    expressions,
    freshness,
    moments,
    prediction,
    reconciliation,
    resampling,
    responses,
    value_expressions,
    winning,
)


@dataclass(frozen=True)
class Summary:
    """How one summary is made: its sources, its expression, and the options it takes.

    ``make`` gives a table, or a list of them that share no work: they are laid one below the other.
    """

    made_from: tuple[str, ...]
    make: Callable
    options: tuple[str, ...] = ()
    # Which power of money a column is, where the names of columns follow a rule of their own.
    money_power: Callable[[str], int] | None = None
    # A source without which there is nothing to tell: then no row, and no look at the others.
    needs: str = ""


SUMMARIES = {
    "scope": Summary(("orders",), expressions.scope),
    "later_scope": Summary(("later_orders",), expressions.scope),
    "customer_facts": Summary(("orders", "customers"), days.customer_facts),
    "customer_days": Summary(("orders", "customer_facts"), days.customer_days),
    "customer_states": Summary(("customer_facts",), expressions.customer_states),
    "spend_states": Summary(("customer_facts",), expressions.spend_states),
    "repeat_orders": Summary(("customer_days",), expressions.repeat_orders, ("as_of",)),
    "refund_delays": Summary(("orders",), expressions.refund_delays),
    "gaps": Summary(("customer_days",), expressions.gaps, ("as_of",)),
    "gap_parts": Summary(("customer_days",), expressions.gap_parts, ("as_of",)),
    "periods": Summary(("customer_days",), expressions.periods),
    "cohort_ages": Summary(("customer_days", "customer_facts"), ages.cohort_ages),
    "cohort_groups": Summary(("customer_days", "customer_facts"), resampling.cohort_groups),
    "acquisition": Summary(
        ("customer_facts", "marketing_spend"), expressions.acquisition, ("as_of",)
    ),
    "outside_cohorts": Summary(("customer_days",), ages.outside_cohorts),
    "experiment_assigned": Summary(
        ("assignments", "experiments", "customer_facts"), experiments.experiment_assigned
    ),
    "experiment_history": Summary(
        ("experiment_assigned", "customer_days", "service_costs"), experiments.experiment_history
    ),
    "experiment_people": Summary(
        ("experiment_assigned", "experiment_history", "touchpoints"), experiments.experiment_people
    ),
    "experiment_spends": Summary(
        ("experiment_people", "customer_days", "service_costs"), experiments.experiment_spends
    ),
    "experiment_sums": Summary(
        ("experiment_spends",), experiment_moments.experiment_sums, ("as_of",)
    ),
    "experiment_caps": Summary(
        ("experiment_people", "experiment_sums"), experiment_moments.experiment_caps, (),
        experiment_moments.money_power,
    ),
    "experiment_moments": Summary(
        ("experiment_people", "experiment_sums", "experiment_caps"),
        experiment_moments.experiment_moments,
        ("as_of",), experiment_moments.money_power,
    ),
    "experiment_days": Summary(
        ("experiment_people", "experiment_spends"), experiment_trails.experiment_days,
        ("as_of",), experiment_moments.money_power,
    ),
    "experiment_arms": Summary(
        ("experiment_people", "experiment_spends", "touchpoints", "consents", "assignments"),
        experiment_trails.experiment_arms, (),
        experiment_moments.money_power,
    ),
    "experiment_states": Summary(
        ("experiment_people", "experiment_spends", "customer_days"),
        experiment_trails.experiment_states, ("as_of",), experiment_moments.money_power,
    ),
    "shop_windows": Summary(
        ("customer_days", "service_costs"), experiment_samples.shop_windows, ("as_of",),
        experiment_moments.money_power,
    ),
    "assigned_revenue": Summary(
        ("orders", "assignments", "experiments"), experiment_samples.assigned_revenue,
        needs="assignments",
    ),
    "known_states": Summary(("customer_days",), experiment_samples.known_states, ("split",)),
    "known_spends": Summary(("customer_days",), experiment_samples.known_spends, ("split",)),
    "assigned": Summary(("assignments",), expressions.assigned),
    "experiment_list": Summary(("experiments",), expressions.experiment_list),
    "service": Summary(("service_costs",), expressions.service),
    "consent_coverage": Summary(
        ("consents", "customer_facts", "customer_days"), consent.consent_coverage, ("as_of",),
        needs="consents",
    ),
    "sent_without_consent": Summary(("consents", "touchpoints"), consent.sent_without_consent),
    "reconciliation": Summary(
        ("orders", "later_orders", "payments", "later_payments", "orders_set_aside",
         "payments_set_aside"),
        reconciliation.reconciliation,
        ("tolerance",),
        needs="payments",
    ),
    "table_gaps": Summary(freshness.DATED, freshness.table_gaps),
    "month_pairs": Summary(("customer_days",), cohort_expressions.month_pairs),
    "customer_moments": Summary(("customer_days", "month_pairs"), moments.customer_moments),
    "known_months": Summary(("orders", "customer_days"), expressions.known_months),
    "cash_months": Summary(("orders",), moments.cash_months),
    "utc_months": Summary(("orders",), moments.utc_months),
    "spend_months": Summary(("marketing_spend",), winning.spend_months, ("as_of",)),
    "planned_months": Summary(("budget",), winning.planned_months),
    "experiment_costs": Summary(("experiments", "assignments"), winning.experiment_costs),
    "lead_states": Summary(("leads", "customer_facts"), winning.lead_states, ("as_of",)),
    "checkouts": Summary(("carts", "orders"), winning.checkouts, ("as_of",), needs="carts"),
    "referrals": Summary(("customers", "customer_facts"), winning.referrals),
    "mails": Summary(
        ("touchpoints", "orders"), responses.mails, ("as_of",), needs="touchpoints"
    ),
    "touch_months": Summary(("touchpoints",), responses.touch_months),
    "fatigue": Summary(("touchpoints",), responses.fatigue),
    "webinars": Summary(("touchpoints", "customer_days"), responses.webinars, ("as_of",)),
    "engagement": Summary(
        ("touchpoints", "customer_facts", "customer_days"), responses.engagement,
        needs="touchpoints",
    ),
    "survey_answers": Summary(
        ("surveys", "customer_days"), responses.survey_answers, needs="surveys"
    ),
    "survey_requests": Summary(("surveys", "touchpoints"), responses.survey_requests, ("as_of",)),
    "activation_waits": Summary(
        ("activations", "customer_facts"), responses.activation_waits, ("as_of",)
    ),
    "contract_months": Summary(("subscriptions",), contracts.contract_months, ("as_of",)),
    "contract_waits": Summary(("subscriptions",), contracts.contract_waits, ("as_of",)),
    "customer_segments": Summary(
        ("customer_facts", "orders", "customers"), value_expressions.customer_segments
    ),
    "segment_ages": Summary(
        ("customer_days", "customer_segments"), value_expressions.segment_ages
    ),
    "served_ages": Summary(
        ("customer_days", "service_costs", "customer_facts"), value_expressions.served_ages
    ),
    "service_drivers": Summary(
        ("customer_days", "service_costs"), value_expressions.service_drivers
    ),
    "spans": Summary(("customer_days",), value_expressions.spans, ("as_of",)),
    "concentration": Summary(("customer_days", "customers"), value_expressions.concentration),
    "paid_ages": Summary(("orders",), value_expressions.paid_ages),
    "paid_moments": Summary(("orders", "scope"), value_expressions.paid_moments),
    "active_stock": Summary(("customer_days",), value_expressions.active_stock, ("window",)),
    "customer_traits": Summary(
        ("customer_segments", "customers", "touchpoints"),
        cohort_expressions.customer_traits,
    ),
    "trait_ages": Summary(
        ("customer_days", "customer_traits"), cohort_expressions.trait_ages, ("dimension",)
    ),
    "trait_groups": Summary(
        ("customer_days", "customer_traits"), resampling.trait_groups, ("dimension",)
    ),
    "basket_ages": Summary(
        ("customer_days", "customer_facts"), cohort_expressions.basket_ages
    ),
    "rfm_cells": Summary(("customer_days",), behaviour.rfm_cells, ("as_of",)),
    "state_moves": Summary(("customer_days",), behaviour.state_moves, ("as_of",)),
    "product_pairs": Summary(("orders",), behaviour.product_pairs, ("as_of",)),
    "next_items": Summary(
        ("customer_days", "orders", "customer_segments"), behaviour.next_items, ("as_of",)
    ),
    "touch_calendar": Summary(("touchpoints", "customer_facts"), behaviour.touch_calendar),
    "activated_value": Summary(
        ("customer_days", "activations", "customer_facts"), behaviour.activated_value, ("as_of",)
    ),
    "promotion_spans": Summary(("promotions",), value_expressions.promotion_spans),
    "cohort_months": Summary(("customer_days",), prediction.cohort_months),
    "customer_features": Summary(
        ("customer_days", "orders", "consents", "touchpoints", "service_costs", "acquisition"),
        prediction.customer_features,
        ("split", "until"),
    ),
}  # fmt: skip
# One row per customer: they stay in the engine and are never given as a frame.
PRIVATE = ("customer_days", "customer_facts", "customer_segments", "customer_traits")
PRIVATE += ("experiment_assigned", "experiment_history", "experiment_people", "experiment_spends")
PRIVATE += ("experiment_sums",)
