"""Lists of customers: the one place where the shop's own ids come out.

A list goes into the shop's folder, never under reports/. A list of those who may be written to
holds only customers whose consent for the purpose is granted at the month's end; the list of what
every customer has been worth is for the shop's own books, and says so.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from helpers import engines
from helpers.contract.conversions import minor_digits
from helpers.errors import DataError, UsageError, nearest
from helpers.files import replaced
from helpers.persons import keys as persons
from helpers.records import reports_folder

_BATCH_ROWS = 100_000
_HEADER = ("customer_id", "first_order", "last_order", "orders", "revenue")
_VALUE = (*_HEADER, "margin", "known_revenue", "average_order_value")
_FORECAST = (*_HEADER, "p_alive", "expected_orders", "expected_value", "expected_next_order",
             "own_gap_days", "quiet_days")  # fmt: skip
_MONEY = ("revenue", "margin", "known_revenue", "average_order_value", "expected_value")


@dataclass(frozen=True)
class CustomerList:
    """A list that was written: where, for which purpose and month, and how many are on it.

    The list of what customers have been worth has no purpose.
    """

    path: Path
    purpose: str
    month: str
    eligible: int
    customers: int
    name: str = ""

    def sentence(self) -> str:
        """Say how many customers may be written to, or how many have a value; counts only."""
        if not self.purpose:
            return (
                f"{self.customers:,} customers with an order by the end of {self.month}, each with "
                "a value; consent plays no part in this list, so do not write to it"
            )
        both = f"stand on the list {self.name} and have" if self.name else "have"
        return (
            f"{self.eligible:,} of {self.customers:,} customers with an order by the end of "
            f"{self.month} {both} consented to {self.purpose}"
        )


def write_list(shop: str, *, purpose: str, month: str = "", out: str = "") -> CustomerList:
    """Write the customers of a shop who have consented to a purpose by the end of a month.

    ``data/<shop>/lists/<month>/<purpose>.csv``, or ``out``. A row is a customer with an order by
    then whose last change of consent for the purpose, up to the month's end, granted it; without
    any change there is no consent. Columns: customer_id (the shop's own, with an apostrophe before
    it where a spreadsheet would take it for a formula), first_order and last_order (days), orders,
    revenue (net of refunds, in the shop's currency). Rows are in the order of the ids.
    Raises UsageError for a purpose or place that cannot be, DataError for a shop without consents.
    """
    from helpers.study import open_study

    study = open_study(shop, month)
    try:
        return _write_list(study, purpose, _target(study, purpose, out))
    finally:
        engines.close(study.con)


def write_value_list(shop: str, *, month: str = "", out: str = "") -> CustomerList:
    """Write what each customer has been worth by the end of a month: the whole customer book.

    ``data/<shop>/lists/<month>/customer_value.csv``, or ``out``. A row is a customer with an order
    by then: customer_id, first_order and last_order (days), orders, revenue (net of refunds),
    margin (of the lines whose cost is known, empty without any), known_revenue (the revenue of
    those lines), average_order_value (revenue / orders, to a whole minor unit). Highest margin
    first, then highest revenue, then by id. It is no list of whom to write to: consent plays no
    part in it. Raises UsageError for a place that cannot be.
    """
    from helpers.study import open_study

    study = open_study(shop, month)
    try:
        return _write_value_list(study, _target(study, "customer_value", out))
    finally:
        engines.close(study.con)


def write_forecast_list(
    shop: str, *, name: str, purpose: str, month: str = "", out: str = ""
) -> CustomerList:
    """Write the customers of a forecast's list who have consented to a purpose by the month's end.

    ``name``: wake-up, loyalty or next-order (see `prediction.candidates`);
    ``data/<shop>/lists/<month>/<name>.csv``, or ``out``. A row is a customer: customer_id,
    first_order, last_order, orders, revenue, then p_alive, expected_orders and expected_value of
    the next twelve months, expected_next_order (a day, given that one comes), own_gap_days (mean
    time between purchases so far) and quiet_days. Those with most to gain come first: by
    expected_value, next-order by day. The model is the one that notebook 04 of the month used; if
    it was not run, it is chosen anew. Raises UsageError for an unknown list, DataError where there
    is no forecast or no consent.
    """
    from helpers.study import open_study
    from helpers.summaries import prediction

    if name not in prediction.LISTS:
        raise UsageError(
            f"--forecast is '{name}', must be one of {', '.join(prediction.LISTS)}."
            f"{nearest(name, prediction.LISTS)}"
        )
    study = open_study(shop, month)
    try:
        return _write_forecast_list(study, name, purpose, _target(study, name, out))
    finally:
        engines.close(study.con)


def _write_forecast_list(study, name: str, purpose: str, target: Path) -> CustomerList:
    from helpers import summaries
    from helpers.chapters import outlooks
    from helpers.summaries import prediction

    _check_consents(study, purpose)
    view, states = outlooks.month_outlook(study)
    if view.models is None:
        raise DataError(f"{study.shop.name}: no forecast, so no list. {view.reason}")
    scored = outlooks.scored_customers(study, view, states)
    chosen = prediction.candidates(
        scored, summaries.loyalty_members(study), name, str(study.end)
    ).semi_join(summaries.consenting(study, purpose), "customer_id")
    scale = 10 ** minor_digits(study.currency)
    chosen = chosen.select(
        "customer_id",
        "quiet_days",
        p_alive=chosen.p_alive.round(4),
        expected_orders=chosen.expected_orders.round(3),
        expected_value=(chosen.value * scale).round().cast("int64"),
        expected_next_order=chosen.expected_next,
        own_gap_days=chosen.own_gap.round(1),
    )
    bought = _bought(summaries.engine_table(study, "customer_days"))
    known = persons.known(study.con, study.shop).select(own="customer_id", pseudonym="pseudonym")
    rows = chosen.join(bought, "customer_id").join(known, [("customer_id", "pseudonym")])
    rows = rows.select(**{n: "own" if n == "customer_id" else n for n in _FORECAST})
    first = rows.expected_next_order if name == "next-order" else rows.expected_value.desc()
    number = _write(study, rows.order_by([first, rows.customer_id]), target, _FORECAST)
    customers = int(study.con.execute(bought.count()))
    return CustomerList(target, purpose, study.month, number, customers, name)


def _write_value_list(study, target: Path) -> CustomerList:
    import ibis

    from helpers import summaries

    days = summaries.engine_table(study, "customer_days")
    known = persons.known(study.con, study.shop)
    rows = _bought(days).join(known.select(own="customer_id", pseudonym="pseudonym"),
                              [("customer_id", "pseudonym")])  # fmt: skip
    # No line with a cost, though there was revenue: the margin is not known, not nothing.
    unknown = (rows.known_revenue == 0) & (rows.margin == 0) & (rows.revenue != 0)
    rows = rows.select(
        customer_id="own",
        **{name: name for name in ("first_order", "last_order", "orders", "revenue")},
        margin=unknown.ifelse(ibis.null("int64"), rows.margin),
        known_revenue="known_revenue",
        average_order_value=(rows.revenue / rows.orders).round().cast("int64"),
    )
    order = [rows.margin.desc(nulls_first=False), rows.revenue.desc(), rows.customer_id]
    number = _write(study, rows.order_by(order), target, _VALUE)
    return CustomerList(target, "", study.month, number, number)


def _write_list(study, purpose: str, target: Path) -> CustomerList:
    from helpers import summaries
    from helpers.summaries import consent

    consents = _check_consents(study, purpose)
    days = summaries.engine_table(study, "customer_days")
    known = persons.known(study.con, study.shop)
    bought = _bought(days)
    granted = consent.as_of(consents, study.end)
    granted = granted.filter((granted.purpose == purpose) & (granted.state == "granted"))
    rows = bought.semi_join(granted, bought.customer_id == granted.customer_id)
    rows = rows.join(known.select(own="customer_id", pseudonym="pseudonym"),
                     rows.customer_id == known.pseudonym)  # fmt: skip
    rows = rows.select(customer_id="own", **{name: name for name in _HEADER[1:]})
    eligible = _write(study, rows.order_by("customer_id"), target)
    customers = int(study.con.execute(bought.count()))
    return CustomerList(target, purpose, study.month, eligible, customers)


def _bought(days):
    """One row per customer with an order: first and last order day, orders, revenue."""
    ordered = days.orders > 0
    found = days.group_by("customer_id").aggregate(
        first_order=days.day.min(where=ordered),
        last_order=days.day.max(where=ordered),
        orders=days.orders.sum(),
        **{name: days[name].sum() for name in ("revenue", "margin")},
        known_revenue=days.margin_revenue.sum(),
    )
    return found.filter(found.first_order.notnull())


def _check_consents(study, purpose: str):
    """Give the consents if there are any, and the purpose is one of theirs."""
    if not study.has("consents"):
        raise DataError(
            f"{study.shop.name} has no consents, so nobody may be written to. Give a table "
            "consents (customer_id, purpose, state, at) under [tables.consents] in shop.toml."
        )
    consents = study.table("consents")
    _check_purpose(study, consents, purpose)
    return consents


def _check_purpose(study, consents, purpose: str) -> None:
    names = study.con.execute(consents.select("purpose").distinct().order_by("purpose"))
    names = names["purpose"].tolist()
    if purpose not in names:
        raise UsageError(
            f"{study.shop.name}: no consent was ever given or withdrawn for '{purpose}'. Purposes: "
            f"{', '.join(names[:20])}.{nearest(purpose, names)}"
        )


def _target(study, purpose: str, out: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]{0,79}", purpose):
        raise UsageError(f"--purpose is '{purpose}'; it must be a word such as email_marketing.")
    place = study.shop.folder / "lists" / study.month / f"{purpose}.csv"
    target = Path(out).expanduser().resolve() if out else place
    if target.is_relative_to(reports_folder()):
        raise UsageError(
            f"--out is '{out}', under reports/: what is published holds no customers. Leave --out "
            "out, and the list goes into the shop's folder."
        )
    if target.is_dir():
        raise UsageError(f"--out is '{out}', a folder; name a file in it.")
    return target


def _write(study, rows, target: Path, header: tuple[str, ...] = _HEADER) -> int:
    """Write the list, readable by its owner alone, and give how many rows it has."""
    digits, number = minor_digits(study.currency), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with replaced(target, mode=0o600) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for batch in study.con.to_pyarrow_batches(rows, chunk_size=_BATCH_ROWS):
            columns = [batch.column(name).to_pylist() for name in header]
            for cells in zip(*columns, strict=True):
                pairs = zip(header, cells, strict=True)
                writer.writerow([_cell(name, value, digits) for name, value in pairs])
            number += batch.num_rows
    return number


def _cell(name: str, value, digits: int):
    """Write one value of a list as its column wants it; an unknown amount is empty."""
    if value is None:
        return ""
    if name in _MONEY:
        return _amount(int(value), digits)
    return _safe(value) if name == "customer_id" else int(value) if name == "orders" else value


def _safe(text: str) -> str:
    """Keep a spreadsheet from taking an id for a formula.

    >>> _safe("C0001"), _safe("=1+1"), _safe("+49 30")
    ('C0001', "'=1+1", "'+49 30")
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _amount(minor: int, digits: int) -> str:
    """Write whole minor units in currency units.

    >>> _amount(-1205, 2), _amount(7, 0)
    ('-12.05', '7')
    """
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}{f'.{rest:0{digits}d}' if digits else ''}"
