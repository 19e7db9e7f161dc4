"""Compress once: clean tables become small summaries that everything else works on.

Each summary is an Ibis expression that any engine can say; money is in whole minor units inside
the engine and in currency units in the frames that `load` gives. Summaries hold facts; whether a
cell may be shown is decided in `helpers.measures.cohorts`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
from filelock import FileLock
from ibis.expr import types as ir

from helpers import engines, files
from helpers.cleaning import store as cleaning
from helpers.contract.conversions import minor_digits
from helpers.engines.faults import told
from helpers.errors import UsageError, nearest
from helpers.study import Study
from helpers.summaries import (
    consent,
    contracts,
    expressions,
    freshness,
    moments,
    reconciliation,
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


SUMMARIES = {
    "scope": Summary(("orders",), expressions.scope),
    "later_scope": Summary(("later_orders",), expressions.scope),
    "customer_days": Summary(("orders",), expressions.customer_days),
    "customer_facts": Summary(("customer_days", "orders", "customers"), expressions.customer_facts),
    "customer_states": Summary(("customer_facts",), expressions.customer_states),
    "spend_states": Summary(("customer_facts",), expressions.spend_states),
    "holdout_states": Summary(("customer_days",), expressions.holdout_states, ("split",)),
    "repeat_orders": Summary(
        ("customer_days", "customer_facts"), expressions.repeat_orders, ("as_of",)
    ),
    "refund_delays": Summary(("orders",), expressions.refund_delays),
    "gaps": Summary(("customer_days",), expressions.gaps, ("as_of",)),
    "gap_parts": Summary(("customer_days",), expressions.gap_parts, ("as_of",)),
    "periods": Summary(("customer_days", "customer_facts"), expressions.periods),
    "cohort_ages": Summary(("customer_days", "customer_facts"), expressions.cohort_ages),
    "acquisition": Summary(
        ("customer_facts", "marketing_spend"), expressions.acquisition, ("as_of",)
    ),
    "outside_cohorts": Summary(("customer_days", "customer_facts"), expressions.outside_cohorts),
    "experiment_moments": Summary(
        ("customer_days", "service_costs", "assignments", "experiments"),
        expressions.experiment_moments,
        ("as_of",),
    ),
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
    "promotion_spans": Summary(("promotions",), value_expressions.promotion_spans),
}  # fmt: skip
# One row per customer: they stay in the engine and are never given as a frame.
PRIVATE = ("customer_days", "customer_facts", "customer_segments")
_AMOUNTS = (*expressions.MONEY, "margin_revenue", "total_spend", "amount", "pre_margin")
_AMOUNTS += ("cost_per_customer", "fixed_cost", "order_cost")
_AMOUNTS += ("order_money", "paid_money", "paid_for_day", "sales")
_AMOUNTS += ("aov_total", "median_revenue", "moved_revenue", "planned", "service", "net")
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
    with told(study.shop):
        frame = engines.loaded(study.con, table, is_sorted=True)
    scale = 10 ** minor_digits(study.currency)
    for column, kind in table.schema().items():
        if column in _AMOUNTS:
            frame[column] = frame[column].astype("float64") / scale
        elif column == "order_number_squares":
            frame[column] = frame[column].astype("float64")
        elif column.endswith("_squares") or column == "margin_pre_margin":
            frame[column] = frame[column].astype("float64") / scale**2
        elif column.endswith("_cubes"):
            frame[column] = frame[column].astype("float64") / scale**3
        elif column in ("orders", "known_customers"):
            frame[column] = frame[column].astype("int64")
        elif kind.is_date():
            frame[column] = _in_one_unit(frame[column])
    return frame


def _in_one_unit(days: pd.Series) -> pd.Series:
    """Give days as pandas has them of DuckDB, whatever an engine's driver gives."""
    return pd.to_datetime(days).astype("datetime64[us]")


TIERS = responses.TIERS


def valued_states(
    study: Study, scores: pd.DataFrame, lines: pd.DataFrame, *, margin_rate: float, service: float
) -> pd.DataFrame:
    """Give customers a value in the engine, rank them into tiers, and count states by tier.

    ``scores`` holds discounted_orders by state, ``lines`` the intercept and slope of expected spend
    by spend_frequency (both from `helpers.models.forecast`); ``service`` is money per order. A
    customer's value is discounted_orders x ((intercept + slope x total_spend) x margin_rate -
    service). One row per state, spend_frequency and tier: n and total_spend, summed.
    """
    scale = 10 ** minor_digits(study.currency)
    facts = engine_table(study, "customer_facts")
    facts = facts.filter(facts.first_day.notnull())
    keys = ["frequency", "first_day", "last_day"]
    scores = scores[[*keys, "discounted_orders"]].assign(
        first_day=scores["first_day"].dt.date, last_day=scores["last_day"].dt.date
    )
    scored, lines = (
        engines.frame(study.con, pa.Table.from_pandas(frame, preserve_index=False))
        for frame in (scores, lines)
    )
    joined = facts.join(scored, keys).join(lines, "spend_frequency")
    spend = joined.intercept + joined.slope * joined.total_spend / scale
    joined = joined.mutate(value=joined.discounted_orders * (spend * margin_rate - service))
    # Not the customer: who comes first among equals would hang on a random pseudonym.
    facts_of = (*keys, "spend_frequency", "total_spend")
    order = [joined.value.desc(), *(joined[key] for key in facts_of)]
    rank = ibis.row_number().over(order_by=order) + 0.5
    share = rank / joined.count().over(ibis.window())
    tiered = joined.mutate(tier=ibis.cases(*((share <= edge, name) for name, edge in TIERS)))
    counted = tiered.group_by(*keys, "spend_frequency", "tier").aggregate(
        n=tiered.count(), total_spend=tiered.total_spend.sum()
    )
    with told(study.shop):
        frame = engines.loaded(study.con, counted)
    days = {name: _in_one_unit(frame[name]) for name in ("first_day", "last_day")}
    return frame.assign(**days, total_spend=frame["total_spend"].astype("float64") / scale)


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
    if not engines.exists(study.con, path):
        sources = [
            engine_table(study, source) if source in SUMMARIES else _clean_table(study, source)
            for source in made.made_from
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".lock"):
            if not engines.exists(study.con, path):
                table = made.make(*sources, **options)
                with told(study.shop):
                    engines.write_whole(study.con, table, path, table.columns)
    return engines.read(study.con, path)


def _clean_table(study: Study, source: str) -> ir.Table:
    if source.endswith("_set_aside"):
        return study.set_aside(source.removesuffix("_set_aside"))
    return study.table(source.removeprefix("later_"), later=source.startswith("later_"))


def code_digest() -> str:
    """Give the digest of the code that decides what clean tables and summaries hold."""
    return files.code_digest(*cleaning.CODE, *_CODE)


def _folder(study: Study) -> Path:
    """Keep summaries by the clean tables (and so by their pseudonyms), the month, and the code."""
    inputs = study.shop.folder / "summaries" / study.info.folder.name
    return inputs / f"{study.month}-{files.code_digest(*_CODE)[:12]}"
