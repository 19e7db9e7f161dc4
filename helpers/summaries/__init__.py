"""Compress once: clean tables become small summaries that everything else works on.

Each summary is an Ibis expression that any engine can say; money is in whole minor units inside
the engine and in currency units in the frames that `load` gives. Summaries hold facts; whether a
cell may be shown is decided in `helpers.measures.cohorts`.
"""

from collections.abc import Callable
from pathlib import Path

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
from helpers.summaries import consent, experiment_samples, prediction, responses
from helpers.summaries.days import MONEY
from helpers.summaries.listed import PRIVATE, SUMMARIES

_AMOUNTS = (*MONEY, "margin_revenue", "total_spend", "amount")
_AMOUNTS += ("cost_per_customer", "fixed_cost", "order_cost")
_AMOUNTS += ("order_money", "paid_money", "paid_for_day", "sales")
_AMOUNTS += ("aov_total", "median_revenue", "moved_revenue", "planned", "service", "net")
_AMOUNTS += prediction.AMOUNTS
_AMOUNTS += ("discounts", "list_value", "orders_revenue")
_AMOUNTS += ("all_revenue", "gross_revenue", "gross_aov_total", "gross", "net_revenue")
_AMOUNTS += ("revenue_ripe",)
_PRODUCTS = ("discounts_list_value", "revenue_revenue")  # money x money
_WHOLE = ("orders", "known_customers")
# What a change of code can change about summaries; it joins the digest of the clean tables.
_CODE = ("summaries", "study.py", "measures")


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
    power = SUMMARIES[name].money_power
    # Sums are exact in the engine; their decimals are slow in Python.
    exact = [
        column
        for column, kind in table.schema().items()
        if kind.is_decimal() and (power or _is_number(column))
    ]
    if exact:
        table = table.mutate(**{column: table[column].cast("float64") for column in exact})
    frame, scale = _frame(study, table, is_sorted=True), 10 ** minor_digits(study.currency)
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
        elif column.endswith("_squares") or column in _PRODUCTS:
            frame[column] = frame[column].astype("float64") / scale**2
        elif column.endswith("_cubes"):
            frame[column] = frame[column].astype("float64") / scale**3
        elif column in _WHOLE:
            frame[column] = frame[column].astype("int64")
        elif kind.is_date():
            frame[column] = _in_one_unit(frame[column])
    return frame


def _is_number(column: str) -> bool:
    """Say whether `load` gives a column as a plain number, whatever the engine keeps it as."""
    return column in (*_AMOUNTS, *_PRODUCTS, *_WHOLE) or column.endswith(("_squares", "_cubes"))


def _frame(study: Study, table: ir.Table, *, is_sorted: bool = False) -> pd.DataFrame:
    with told(study.shop):
        return engines.loaded(study.con, table, is_sorted=is_sorted)


def _sent(study: Study, frame: pd.DataFrame) -> ir.Table:
    with told(study.shop):
        return engines.frame(study.con, pa.Table.from_pandas(frame, preserve_index=False))


def _in_one_unit(days: pd.Series) -> pd.Series:
    """Give days as pandas has them of DuckDB, whatever an engine's driver gives."""
    return pd.to_datetime(days).astype("datetime64[us]")


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
        _sent(study, scores[own].assign(**days)),
        _sent(study, lines),
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
    frame = _frame(study, counted)
    days = {name: _in_one_unit(frame[name]) for name in ("first_day", "last_day")}
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
    return _frame(study, cells)


MOST_ROWS = 200_000


def experiment_rows(study: Study, experiment: str) -> pd.DataFrame:
    """Give a bounded sample of an experiment's customers, without ids, money in currency units.

    At most 200,000 customers by a hash of the id, in an order that says nothing about them; see
    `experiment_samples.experiment_rows` for the columns. Never shown, only learnt from.
    """
    names = ("experiment_people", "experiment_spends", "customer_days")
    table = experiment_samples.experiment_rows(
        *(engine_table(study, name) for name in names),
        experiment,
        most=MOST_ROWS,
        as_of=study.end.isoformat(),
    )
    frame = _frame(study, table)
    scale = 10 ** minor_digits(study.currency)
    money = ("pre", "margin", "revenue", "placebo", "spend", "recent", "was_spend", "was_recent")
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
    if not engines.exists(study.con, path):
        sources = [
            engine_table(study, source) if source in SUMMARIES else _clean_table(study, source)
            for source in made.made_from
        ]
        is_told = not made.needs or study.has(made.needs)

        def make() -> list[ir.Table]:
            found = made.make(*sources, **options)
            tables = found if isinstance(found, list) else [found]
            return [table if is_told else table.filter(False) for table in tables]

        _made(study, path, make, is_sorted=name not in PRIVATE)
    return engines.read(study.con, path)


def _made(
    study: Study, path: Path, make: Callable[[], list[ir.Table]], *, is_sorted: bool = True
) -> None:
    """Write tables, one below the other, to their place if nothing is there, under a lock.

    Tables of customers are as they come: nobody loads them, and to sort them costs as much as all
    else that is done to them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not engines.exists(study.con, path):
            with told(study.shop), engines.gathered(study.con, make()) as table:
                order = table.columns if is_sorted else ()
                engines.write_whole(study.con, table, path, order)


def _clean_table(study: Study, source: str) -> ir.Table:
    if source.endswith("_set_aside"):
        return study.set_aside(source.removesuffix("_set_aside"))
    name = source.removeprefix("later_")
    table = study.table(name, later=source.startswith("later_"))
    if name in study.info.tables:
        return table
    # An absent table is an empty frame, and joins push filters down to it that its reader lacks.
    path = _folder(study) / f"absent-{name}.parquet"
    _made(study, path, lambda: [table])
    return engines.read(study.con, path)


def code_digest() -> str:
    """Give the digest of the code that decides what clean tables and summaries hold."""
    return files.code_digest(*cleaning.CODE, *_CODE)


def _folder(study: Study) -> Path:
    """Keep summaries by the clean tables (and so by their pseudonyms), the month, and the code."""
    inputs = study.shop.folder / "summaries" / study.info.folder.name
    return inputs / f"{study.month}-{files.code_digest(*_CODE)[:12]}"
