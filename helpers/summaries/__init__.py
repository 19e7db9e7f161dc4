"""Compress once: clean tables become small summaries that everything else works on.

Each summary is an Ibis expression that any engine can say; money is in whole minor units inside
the engine and in currency units in the frames that `load` gives. Summaries hold facts; whether a
cell may be shown is decided in `helpers.measures.cohorts`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ibis
import pandas as pd
from filelock import FileLock
from ibis.expr import types as ir

from helpers import files
from helpers.cleaning import store as cleaning
from helpers.contract.conversions import minor_digits
from helpers.errors import UsageError, nearest
from helpers.study import Study
from helpers.summaries import (
    behaviour,
    cohort_expressions,
    consent,
    contracts,
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
    """How one summary is made: its sources, its expression, and the options it takes."""

    made_from: tuple[str, ...]
    make: Callable
    options: tuple[str, ...] = ()
    # Which power of money a column is, where the names of columns follow a rule of their own.
    money_power: Callable[[str], int] | None = None


SUMMARIES = {
    "scope": Summary(("orders",), expressions.scope),
    "later_scope": Summary(("later_orders",), expressions.scope),
    "customer_days": Summary(("orders",), expressions.customer_days),
    "customer_facts": Summary(("customer_days", "orders", "customers"), expressions.customer_facts),
    "customer_states": Summary(("customer_facts",), expressions.customer_states),
    "spend_states": Summary(("customer_facts",), expressions.spend_states),
    "repeat_orders": Summary(
        ("customer_days", "customer_facts"), expressions.repeat_orders, ("as_of",)
    ),
    "refund_delays": Summary(("orders",), expressions.refund_delays),
    "gaps": Summary(("customer_days",), expressions.gaps, ("as_of",)),
    "gap_parts": Summary(("customer_days",), expressions.gap_parts, ("as_of",)),
    "periods": Summary(("customer_days", "customer_facts"), expressions.periods),
    "cohort_ages": Summary(("customer_days", "customer_facts"), expressions.cohort_ages),
    "cohort_groups": Summary(("customer_days", "customer_facts"), resampling.cohort_groups),
    "acquisition": Summary(
        ("customer_facts", "marketing_spend"), expressions.acquisition, ("as_of",)
    ),
    "outside_cohorts": Summary(("customer_days", "customer_facts"), expressions.outside_cohorts),
    "experiment_people": Summary(
        ("customer_days", "service_costs", "touchpoints", "assignments", "experiments",
         "customer_facts"),
        experiments.experiment_people,
    ),
    "experiment_moments": Summary(
        ("experiment_people",), experiments.experiment_moments, ("as_of",),
        experiments.money_power,
    ),
    "experiment_days": Summary(
        ("experiment_people", "customer_days", "service_costs"), experiment_trails.experiment_days,
        ("as_of",), experiments.money_power,
    ),
    "experiment_arms": Summary(
        ("experiment_people", "touchpoints", "consents", "assignments"),
        experiment_trails.experiment_arms, (),
        experiments.money_power,
    ),
    "experiment_states": Summary(
        ("experiment_people", "customer_days", "customer_facts"),
        experiment_trails.experiment_states, ("as_of",), experiments.money_power,
    ),
    "shop_windows": Summary(
        ("customer_days", "service_costs"), experiment_samples.shop_windows, ("as_of",),
        experiments.money_power,
    ),
    "assigned_revenue": Summary(
        ("orders", "assignments", "experiments"), experiment_samples.assigned_revenue
    ),
    "known_states": Summary(("customer_days",), experiment_samples.known_states, ("split",)),
    "known_spends": Summary(("customer_days",), experiment_samples.known_spends, ("split",)),
    "assigned": Summary(("assignments",), expressions.assigned),
    "experiment_list": Summary(("experiments",), expressions.experiment_list),
    "service": Summary(("service_costs",), expressions.service),
    "consent_coverage": Summary(
        ("consents", "customer_facts", "customer_days"), consent.consent_coverage, ("as_of",)
    ),
    "sent_without_consent": Summary(("consents", "touchpoints"), consent.sent_without_consent),
    "reconciliation": Summary(
        ("orders", "later_orders", "payments", "later_payments", "orders_set_aside",
         "payments_set_aside"),
        reconciliation.reconciliation,
        ("tolerance",),
    ),
    "table_gaps": Summary(freshness.DATED, freshness.table_gaps),
    "customer_moments": Summary(("customer_days",), moments.customer_moments),
    "known_months": Summary(("orders",), expressions.known_months),
    "cash_months": Summary(("orders",), moments.cash_months),
    "utc_months": Summary(("orders",), moments.utc_months),
    "spend_months": Summary(("marketing_spend",), winning.spend_months, ("as_of",)),
    "planned_months": Summary(("budget",), winning.planned_months),
    "experiment_costs": Summary(("experiments", "assignments"), winning.experiment_costs),
    "lead_states": Summary(("leads", "customer_facts"), winning.lead_states, ("as_of",)),
    "checkouts": Summary(("carts", "orders"), winning.checkouts, ("as_of",)),
    "referrals": Summary(("customers", "customer_facts"), winning.referrals),
    "mails": Summary(("touchpoints", "orders"), responses.mails, ("as_of",)),
    "touch_months": Summary(("touchpoints",), responses.touch_months),
    "fatigue": Summary(("touchpoints",), responses.fatigue),
    "webinars": Summary(("touchpoints", "customer_days"), responses.webinars, ("as_of",)),
    "engagement": Summary(
        ("touchpoints", "customer_facts", "customer_days"), responses.engagement
    ),
    "survey_answers": Summary(("surveys", "customer_days"), responses.survey_answers),
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
    "spans": Summary(("customer_days", "customer_facts"), value_expressions.spans, ("as_of",)),
    "concentration": Summary(("customer_days", "customers"), value_expressions.concentration),
    "paid_ages": Summary(("orders",), value_expressions.paid_ages),
    "paid_moments": Summary(("orders",), value_expressions.paid_moments),
    "active_stock": Summary(
        ("customer_days", "customer_facts"), value_expressions.active_stock, ("window",)
    ),
    "month_pairs": Summary(("customer_days",), cohort_expressions.month_pairs),
    "customer_traits": Summary(
        ("customer_segments", "orders", "customers", "touchpoints"),
        cohort_expressions.customer_traits,
    ),
    "trait_ages": Summary(
        ("customer_days", "customer_traits"), cohort_expressions.trait_ages, ("dimension",)
    ),
    "basket_ages": Summary(
        ("customer_days", "orders", "customer_facts"), cohort_expressions.basket_ages
    ),
    "rfm_cells": Summary(("customer_days",), behaviour.rfm_cells, ("as_of",)),
    "state_moves": Summary(("customer_days",), behaviour.state_moves, ("as_of",)),
    "product_pairs": Summary(("customer_days", "orders"), behaviour.product_pairs, ("as_of",)),
    "next_items": Summary(
        ("customer_days", "orders", "customer_segments"), behaviour.next_items, ("as_of",)
    ),
    "touch_calendar": Summary(("touchpoints", "customer_facts"), behaviour.touch_calendar),
    "activated_value": Summary(
        ("customer_days", "activations", "customer_facts"), behaviour.activated_value, ("as_of",)
    ),
    "promotion_spans": Summary(("promotions",), value_expressions.promotion_spans),
    "cohort_months": Summary(("customer_days", "customer_facts"), prediction.cohort_months),
    "customer_features": Summary(
        ("customer_days", "orders", "customers", "consents", "touchpoints", "service_costs",
         "acquisition"),
        prediction.customer_features,
        ("split", "until"),
    ),
}  # fmt: skip
# One row per customer: they stay in the engine and are never given as a frame.
PRIVATE = ("customer_days", "customer_facts", "customer_segments", "customer_traits")
PRIVATE += ("experiment_people",)
_AMOUNTS = (*expressions.MONEY, "margin_revenue", "total_spend", "amount")
_AMOUNTS += ("cost_per_customer", "fixed_cost", "order_cost")
_AMOUNTS += ("order_money", "paid_money", "paid_for_day", "sales")
_AMOUNTS += ("aov_total", "median_revenue", "moved_revenue", "planned", "service", "net")
_AMOUNTS += prediction.AMOUNTS
_AMOUNTS += ("discounts", "list_value", "orders_revenue")
_AMOUNTS += ("all_revenue", "gross_revenue", "gross_aov_total", "gross", "net_revenue")
# What a change of code can change about summaries; it joins the digest of the clean tables.
_CODE = ("summaries", "study.py")


def load(study: Study, name: str, **options: object) -> pd.DataFrame:
    """Give a summary as of the study's month: a small frame, money in currency units.

    Computed once, under a lock, and kept beside the shop's clean tables, keyed by its inputs.
    Raises UsageError for a name that is not a summary, or one of customers (`engine_table`).
    """
    names = [key for key in SUMMARIES if key not in PRIVATE]
    if name not in names:
        raise UsageError(
            f"No summary '{name}'. Summaries: {', '.join(names)}.{nearest(name, names)}"
        )
    table = engine_table(study, name, **options)
    if SUMMARIES[name].money_power:  # sums exact in the engine; their decimals are slow in Python
        exact = [column for column, kind in table.schema().items() if kind.is_decimal()]
        table = table.mutate(**{column: table[column].cast("float64") for column in exact})
    frame, scale = table.execute(), 10 ** minor_digits(study.currency)
    power = SUMMARIES[name].money_power
    for column, kind in table.schema().items():
        if power and kind.is_numeric():
            factor = scale ** power(column)
            frame[column] = (
                frame[column].astype("float64") / factor
                if factor > 1
                else frame[column].astype("int64")
            )
            continue
        if column in _AMOUNTS:
            frame[column] = frame[column].astype("float64") / scale
        elif column in ("order_number_squares", "orders_squares", "orders_cubes"):
            frame[column] = frame[column].astype("float64")
        elif column.endswith("_squares") or column == "discounts_list_value":
            frame[column] = frame[column].astype("float64") / scale**2
        elif column.endswith("_cubes"):
            frame[column] = frame[column].astype("float64") / scale**3
        elif column in ("orders", "known_customers"):
            frame[column] = frame[column].astype("int64")
        elif kind.is_date():
            frame[column] = pd.to_datetime(frame[column])
    return frame


TIERS = responses.TIERS


def scored_customers(
    study: Study, scores: pd.DataFrame, lines: pd.DataFrame, *, margin_rate: float, service: float
) -> ir.Table:
    """Give every customer with a purchase the score of their state: an engine table, never a frame.

    ``scores`` holds discounted_orders (and what else is to be joined) by state, ``lines`` the
    intercept and slope of expected spend by spend_frequency (both from `helpers.models.forecast`);
    ``service`` is money per order. One row per customer: customer_id, the history, the scores,
    expected_spend, ``value`` = discounted_orders x (expected_spend x margin_rate - service),
    ``residual`` likewise, and the tier by value.
    """
    days = {name: scores[name].dt.date for name in ("first_day", "last_day")}
    own = [name for name in scores if name not in ("n", "clv", "expected_spend")]
    return prediction.scored_customers(
        engine_table(study, "customer_facts"),
        ibis.memtable(scores[own].assign(**days)),
        ibis.memtable(lines),
        scale=10 ** minor_digits(study.currency),
        margin_rate=margin_rate,
        service=service,
        tiers=TIERS,
    )


def valued_states(
    study: Study, scores: pd.DataFrame, lines: pd.DataFrame, *, margin_rate: float, service: float
) -> pd.DataFrame:
    """Give customers a value in the engine, rank them into tiers, and count states by tier.

    See `scored_customers`. One row per state, spend_frequency and tier: n and total_spend, summed,
    and the sums of value and, where it was scored, residual.
    """
    scored = scored_customers(study, scores, lines, margin_rate=margin_rate, service=service)
    worth = [name for name in ("value", "residual") if name in scored.columns]
    counted = scored.group_by(
        "frequency", "first_day", "last_day", "spend_frequency", "tier"
    ).aggregate(
        n=scored.count(),
        total_spend=scored.total_spend.sum(),
        **{name: scored[name].sum() for name in worth},
    )
    names = [name for name in counted.columns if name not in worth]
    frame = study.con.execute(counted.order_by(names))
    days = {day: pd.to_datetime(frame[day]) for day in ("first_day", "last_day")}
    scale = 10 ** minor_digits(study.currency)
    return frame.assign(**days, total_spend=frame["total_spend"].astype("float64") / scale)


def loyalty_members(study: Study) -> ir.Table:
    """Give the customers who are members of the loyalty program: customer_id, in the engine."""
    customers = study.table("customers")
    return customers.filter(customers.loyalty_member).select("customer_id").distinct()


def consenting(study: Study, purpose: str = "") -> ir.Table | None:
    """Give who has consented to a purpose (or to any) by the month's end; None without consents."""
    if not study.has("consents"):
        return None
    granted = consent.as_of(study.table("consents"), study.end)
    granted = granted.filter(granted.state == "granted")
    granted = granted.filter(granted.purpose == purpose) if purpose else granted
    return granted.select("customer_id").distinct()


def value_thirds(study: Study, scored: ir.Table, value: str = "residual") -> pd.DataFrame:
    """Give value by thirds of recency, frequency and spend: 28 cells, see `prediction.thirds`."""
    cells = prediction.thirds(scored, value)
    return study.con.execute(cells.order_by("recency", "frequency", "money"))


MOST_ROWS = 200_000


def experiment_rows(study: Study, experiment: str) -> pd.DataFrame:
    """Give a bounded sample of an experiment's customers, without ids, money in currency units.

    At most 200,000 customers by a hash of the id, in an order that says nothing about them; see
    `experiment_samples.experiment_rows` for the columns. Never shown, only learnt from.
    """
    people, days = (engine_table(study, name) for name in ("experiment_people", "customer_days"))
    table = experiment_samples.experiment_rows(
        people, days, experiment, most=MOST_ROWS, as_of=study.end.isoformat()
    )
    frame = study.con.execute(table.order_by(table.columns))
    scale = 10 ** minor_digits(study.currency)
    money = (
        "pre",
        "margin",
        "revenue",
        "placebo",
        "spend",
        "recent",
    )
    return frame.assign(**{name: frame[name].astype("float64") / scale for name in money})


def engine_table(study: Study, name: str, **options: object) -> ir.Table:
    """Give a summary as an engine table, computing it (and what it is made from) if missing."""
    made = SUMMARIES[name]
    unknown = set(options) - set(made.options) | set(options) & {"as_of"}
    if unknown:
        raise UsageError(f"Summary {name} takes {made.options or 'no option'}, not {unknown}.")
    if "as_of" in made.options:
        options = {"as_of": study.end.isoformat(), **options}
    suffix = "".join(f"-{key}-{value}" for key, value in sorted(options.items()) if key != "as_of")
    path = _folder(study) / f"{name}{suffix}.parquet"
    if not path.is_file():
        sources = [
            engine_table(study, source) if source in SUMMARIES else _clean_table(study, source)
            for source in made.made_from
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".lock"):
            if not path.is_file():
                table = made.make(*sources, **options)
                part = path.with_suffix(".part")
                study.con.to_parquet(table.order_by(table.columns), str(part))
                part.replace(path)
    return study.con.read_parquet(str(path))


def _clean_table(study: Study, source: str) -> ir.Table:
    if source.endswith("_set_aside"):
        return study.set_aside(source.removesuffix("_set_aside"))
    name = source.removeprefix("later_")
    table = study.table(name, later=source.startswith("later_"))
    if name in study.info.tables:
        return table
    # An absent table is an empty frame, and joins push filters down to it that its reader lacks.
    path = _folder(study) / f"absent-{name}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        study.con.to_parquet(table, str(part))
        part.replace(path)
    return study.con.read_parquet(str(path))


def code_digest() -> str:
    """Give the digest of the code that decides what clean tables and summaries hold."""
    return files.code_digest(*cleaning.CODE, *_CODE)


def _folder(study: Study) -> Path:
    """Keep summaries by the clean tables (and so by their pseudonyms), the month, and the code."""
    inputs = study.shop.folder / "summaries" / study.info.folder.name
    return inputs / f"{study.month}-{files.code_digest(*_CODE)[:12]}"
