"""Faults that real exports have, as data: what is wrong, and what becomes of it.

``tests/test_faults.py`` plants them in a shop of three hundred lines, those of a file one at a time
and those of lines one of each rule at a time, and all of lines together in the sample shop. ``result`` is the documented answer:

=========== ==================================================================================
kept        nothing is wrong: the rows stay as they are
repaired    read as it was meant; where ``rule`` names one, the rows are counted
flagged     the rows stay and are counted under ``rule``
quarantined the rows are taken out under ``rule``, with their money
refused     nothing is cleaned; ``rule`` holds words of the message
=========== ==================================================================================
"""

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from helpers.contract.shop import ROOT

SAMPLE = ROOT / "data" / "sample"
LINES = 300
# Settings that both shops have when faults are planted.
NON_PRODUCTS = {
    "POST": "postage", "BANKFEE": "fee", "BAD": "bad_debt", "TRIAL": "test", "GIFT50": "gift_card",
    "FREE": "sample", "M": "manual", "DISC": "discount", "ADJ": "adjustment",
}  # fmt: skip
SECTIONS = (
    '[statuses]\ncanceled = ["Storniert", "retourniert"]\n[non_products]\nversion = "1"\n'
    "[non_products.codes]\n" + "".join(f'{c} = "{k}"\n' for c, k in NON_PRODUCTS.items())
)
SETTINGS = (
    'currency = "EUR"\ntime_zone = "Europe/Amsterdam"\nopened_at = 2024-01-01\n'
    'history_starts_at = 2024-01-01\ncomplete_through = 2026-07-05\nduplicates = "quarantine"\n'
)


def sample_lines() -> list[dict[str, str]]:
    """Read the order lines of the sample shop as text."""
    with (SAMPLE / "orders.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def small_lines() -> list[dict[str, str]]:
    """Cut about three hundred lines in order from the sample: all lines of its first customers."""
    people: dict[str, list] = {}
    for number, line in enumerate(sample_lines()):
        known = people.setdefault(line["customer_id"], [])
        if line["order_id"].startswith("X") or line in (each for _, each in known):
            continue
        known.append((number, line))
    chosen: list = []
    for customer in sorted(set(people) - {""}):
        if len(chosen) < LINES and all(_is_plain(line) for _, line in people[customer]):
            chosen += people[customer]
    return [line for _, line in sorted(chosen, key=lambda each: each[0])]


def _cents(lines: list[dict[str, str]]) -> int:
    return sum(round(float(line["revenue"]) * 100) for line in lines)


def _is_plain(line: dict[str, str]) -> bool:
    refund = line["is_refund"] == "true"
    return bool(line["refunded_at"]) if refund else line["revenue"] != "0.00"


SMALL = small_lines()


@dataclass
class Draft:
    """The files and settings of a shop while a fault is being planted in it."""

    lines: list[dict[str, str]]
    files: dict[str, bytes] = field(default_factory=dict)
    settings: str = SETTINGS
    sections: str = SECTIONS
    orders: str = 'files = "orders.csv"'
    tables: tuple[str, ...] = ()

    def text(self, lines: list | None = None, **options) -> str:
        """Write lines as CSV text, the header from all of them."""
        lines, out = self.lines if lines is None else lines, io.StringIO()
        names = dict.fromkeys(name for line in lines for name in line)
        writer = csv.DictWriter(out, names, restval="", lineterminator="\n", **options)
        writer.writeheader()
        writer.writerows(lines)
        return out.getvalue()

    def write(self, folder: Path) -> Path:
        """Write the shop: orders.csv of its lines, unless a fault brings files of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        files = dict(self.files)
        if '"orders.csv"' in self.orders and "orders.csv" not in files:
            files["orders.csv"] = self.text().encode()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        tables = "".join(f'[tables.{t}]\nfiles = "{t}.csv"\n' for t in self.tables)
        toml = f"{self.settings}\n{self.sections}\n{tables}\n[tables.orders]\n{self.orders}\n"
        (folder / "shop.toml").write_text(toml, encoding="utf-8")
        return folder


Plant = Callable[[Draft], None]


@dataclass(frozen=True)
class Fault:
    """One fault: what is done to the files, and its documented result.

    ``rows`` and ``money`` (cents) are what the rule counts or takes out; ``flags`` what else is
    counted (None: not asked), ``customers`` and ``orders`` how many more of them the clean tables hold. A fault of
    ``lines`` adds these to the orders; any other is planted by ``plant``. ``came`` says how an
    independent reader reads the orders: pattern, encoding, delimiter, decimal. ``then`` is asked
    about the clean order lines, by order id.
    """

    name: str
    does: str
    result: str
    rule: str = ""
    rows: int = 0
    money: int = 0
    lines: tuple[dict[str, str], ...] = ()
    plant: Plant | None = None
    flags: Mapping[str, int] | None = field(default_factory=dict)
    customers: int = 0
    orders: int = 0
    came: Mapping[str, str] = field(default_factory=dict)
    then: Callable[[pd.DataFrame], bool] | None = None

    def planted(self, draft: Draft) -> Draft:
        """Plant the fault."""
        draft.lines = [*draft.lines, *(dict(line) for line in self.lines)]
        if self.plant:
            self.plant(draft)
        return draft


LINE = {
    "line_id": "1", "customer_id": "C0008", "ordered_at": "2026-03-10 10:00:00",
    "revenue": "12.34", "quantity": "1", "unit_price": "12.34", "discount": "0.00", "cogs": "5.00",
    "shipping_cost": "3.95", "payment_fee": "0.50", "product_id": "P01", "category": "coffee",
    "channel": "organic", "cart_flow": "", "coupon": "", "country": "NL", "currency": "EUR",
    "status": "paid", "is_refund": "false", "refund_of": "", "refunded_at": "",
}  # fmt: skip


def line(order_id: str, **values: str) -> dict[str, str]:
    """Give one more order line of a customer that both shops have: one unit at 12.34."""
    return {**LINE, "order_id": order_id, **values}


def each(start: str, column: str, *values: str, **others: str) -> tuple[dict[str, str], ...]:
    """Give one line for each value of a column, each an order of its own."""
    return tuple(
        line(f"{start}-{n}", **{**others, column: value}) for n, value in enumerate(values, 1)
    )


def back(order_id: str, **values: str) -> dict[str, str]:
    """Give a refund of one unit at 12.34, with a date, that names no order."""
    told = {
        "revenue": "-12.34", "quantity": "-1", "cogs": "-5.00", "shipping_cost": "0.00",
        "payment_fee": "0.00", "status": "refund", "is_refund": "true",
        "refunded_at": "2026-03-20 10:00:00", "ordered_at": "2026-03-20 10:00:00",
    }  # fmt: skip
    return line(order_id, **{**told, **values})


def _aside(name: str, does: str, rule: str, *lines: dict, money: int = 1234, **more) -> Fault:
    return Fault(name, does, "quarantined", rule, len(lines), money * len(lines), lines, **more)


def _flag(name: str, does: str, rule: str, *lines: dict, **more) -> Fault:
    more = {"rows": len(lines), "orders": len({each["order_id"] for each in lines}), **more}
    return Fault(name, does, "flagged", rule, lines=lines, **more)


def _kept(name: str, does: str, *lines: dict, result: str = "kept", **more) -> Fault:
    more = {"orders": len({each["order_id"].strip() for each in lines}), **more}
    return Fault(name, does, result, lines=lines, **more)


def _day(order: str, day: str) -> Callable[[pd.DataFrame], bool]:
    return lambda clean: str(clean.order_date[order])[:10] == day


def _value(order: str, column: str, value) -> Callable[[pd.DataFrame], bool]:
    return lambda clean: clean[column][order] == value


NOTHING = ("", "nan", "None", "NULL", "N/A", "#N/A", "-", "   ")

IDS = (
    _aside("customer_words_for_none", "the customer is '', nan, None, NULL, N/A, #N/A, - or blank",
           "customer_id_missing", *each("XI1", "customer_id", *NOTHING)),
    _aside("order_words_for_none", "the order id is '', nan, None, NULL, N/A, #N/A, - or blank",
           "order_id_missing", *(line(word) for word in NOTHING)),
    _aside("customer_of_a_page", "a customer id of more than 1,000 characters",
           "customer_id_missing", line("XI2", customer_id="x" * 1001)),
    _kept("customer_blanks", "a known customer's id with blanks around it",
          line("XI3", customer_id="  C0008 "), result="repaired", rule="id_mended", rows=1),
    _kept("customer_apostrophe", "a known customer's id with Excel's apostrophe before it",
          line("XI4", customer_id="'C0008"), result="repaired", rule="id_mended", rows=1),
    _kept("customer_point_zero", "one customer as 4711 and as 4711.0",
          *each("XI5", "customer_id", "4711", "4711.0"),
          result="repaired", rule="id_mended", rows=1, customers=1),
    _kept("email_case", "one customer's e-mail in capitals, in lower case, and with a blank",
          *each("XI6", "customer_id", "Anna@Example.ORG", "anna@example.org", " anna@example.org"),
          result="repaired", rule="id_mended", rows=2, customers=1),
    _kept("phone_in_groups", "one customer's telephone number with and without blanks",
          *each("XI7", "customer_id", "+31 6 1234-5678", "+31612345678"),
          result="repaired", rule="id_mended", rows=1, customers=1),
    _kept("leading_zeros", "0042 and 42 are two customers",
          *each("XI8", "customer_id", "0042", "42"), customers=2),
    _kept("order_id_blanks", "two lines of one order, its id once with blanks",
          line("XI9"), line(" XI9 ", line_id="2"), result="repaired"),
    _flag("order_of_two_customers", "two lines of one order, each of another customer",
          "order_of_two_customers", line("XI10"), line("XI10", line_id="2", customer_id="C0010")),
    _flag("many_names", "one customer id with six names", "id_of_many",
          *each("XI11", "person", *(f"Anna {n}" for n in "ABCDEF"), customer_id="TILL"),
          customers=1),
)  # fmt: skip

DATES = (
    _aside("other_date_format", "some dates in another format than the file's",
           "ordered_at_unreadable",
           *each("XD1", "ordered_at", "31/01/2026 10:15", "01.02.2026", "Mar 3, 2026", "20260310")),
    _aside("impossible_day", "days that no calendar has", "ordered_at_unreadable",
           *each("XD2", "ordered_at", "2026-02-30 10:00:00", "2025-02-29", "2026-13-01", "2026-00-10")),
    _aside("impossible_clock", "hours that no clock has", "ordered_at_unreadable",
           *each("XD3", "ordered_at", "2026-03-10 24:00:00", "2026-03-10 10:61:00")),
    _aside("two_digit_year", "years of two digits", "ordered_at_unreadable",
           *each("XD4", "ordered_at", "26-03-10", "10-03-26 10:00")),
    _aside("excel_serial", "the number by which Excel counts a day", "ordered_at_unreadable",
           *each("XD5", "ordered_at", "45678", "45678.5")),
    _aside("words_for_a_date", "no date at all", "ordered_at_unreadable",
           *each("XD6", "ordered_at", "", "yesterday", "NaT", "0000-00-00 00:00:00")),
    _aside("placeholder_dates", "the days that programs write for none", "date_placeholder",
           *each("XD7", "ordered_at", "1970-01-01 00:00:00", "1900-01-01", "1980-01-01")),
    _aside("before_the_opening", "before the shop opened", "before_the_opening",
           *each("XD8", "ordered_at", "2023-12-31 23:59:59", "2002-03-10")),
    _aside("soon", "in the days after the last complete one", "after_the_period",
           *each("XD9", "ordered_at", "2026-07-06 00:00:00", "2026-08-05 23:59:59")),
    _aside("far_future", "more than a month after the last complete day", "date_in_future",
           *each("XD10", "ordered_at", "2026-08-06 00:00:00", "2031-03-10", "2199-12-31")),
    _flag("skipped_hour", "a time that the clock skipped in spring", "hour_skipped",
          line("XD11", ordered_at="2026-03-29 02:30:00")),
    _kept("doubled_hour", "a time in the doubled hour of autumn; the first is meant",
          line("XD12", ordered_at="2025-10-26 02:30:00"), rule="hour_doubled", rows=1,
          then=lambda clean: str(clean.ordered_at["XD12"]) == "2025-10-26 00:30:00"),
    _kept("offset_next_day", "an offset in the stamp: 23:30 UTC is the next day in the shop",
          line("XD13", ordered_at="2026-03-10T23:30:00Z"), then=_day("XD13", "2026-03-11")),
    _kept("offset_day_before", "an offset of the other side of the world",
          line("XD14", ordered_at="2026-03-10 02:00:00 +1200"), then=_day("XD14", "2026-03-09")),
    _kept("parts_of_a_second", "stamps with parts of a second, or without seconds, or a day alone",
          *each("XD15", "ordered_at", "2026-03-10 10:00:00.123", "2026-03-10 10:00", "2026-03-10"),
          then=_day("XD15-3", "2026-03-10")),
)  # fmt: skip

AMOUNTS = (
    _aside("comma_in_a_point_file", "amounts with a decimal comma, and with groups",
           "revenue_unreadable", *each("XA1", "revenue", "12,34", "1,234.56", "1.234,56"), money=0),
    _aside("signs_and_words", "amounts with a currency, or words for one", "revenue_unreadable",
           *each("XA2", "revenue", "€12.34", "12.34 EUR", "n/a", "", "free", "(12.34)"), money=0),
    _aside("endless_amounts", "amounts that no money can be", "revenue_unreadable",
           *each("XA3", "revenue", "1e400", "inf", "-inf", "NaN", "1e3", "99999999999999999"),
           money=0),
    _kept("rounded", "half a cent is rounded away from zero",
          line("XA4", revenue="12.345", unit_price="12.345"), then=_value("XA4", "revenue", 1235)),
    _flag("zero_amount", "a sale that brought nothing", "zero_revenue",
          line("XA5", revenue="0.00", discount="12.34")),
    _flag("sale_below_zero", "a line that says it is no refund, with an amount below zero",
          "sale_negative", line("XA6", revenue="-12.34", unit_price="", is_refund="false")),
    _flag("zero_quantity", "money for no units", "quantity_zero",
          line("XA7", quantity="0", unit_price="")),
    _flag("negative_price", "a price below zero", "price_negative",
          line("XA8", quantity="-1", unit_price="-12.34")),
    _flag("negative_discount", "a discount below zero", "discount_negative",
          line("XA9", unit_price="10.00", discount="-2.34")),
    _flag("no_product_of_price", "revenue that is not quantity times price", "amount_mismatch",
          line("XA10", unit_price="20.00")),
    _flag("extreme_amount", "an amount far above all others", "amount_extreme",
          line("XA11", revenue="99999.99", unit_price="99999.99")),
    _flag("bulk", "more units than a consumer buys", "quantity_bulk",
          line("XA12", quantity="1000", unit_price="0.01", revenue="10.00")),
    _flag("unreadable_extras", "optional numbers that cannot be read count as missing",
          "unreadable_value",
          *each("XA13", "quantity", "two", "1e400", "inf"),
          *each("XA14", "cogs", "5,00", "unknown")),
)  # fmt: skip

REFUNDS = (
    _aside("refund_above_zero", "a refund with an amount above zero", "refund_positive",
           back("XR1", revenue="12.34")),
    _flag("refund_of_unknown", "a refund of an order that no file has", "refund_without_sale",
          back("XR2", refund_of="O-nowhere"), orders=0),
    _flag("refund_undated", "a refund without a date of its own", "refund_without_date",
          line("XR3"), back("XR3-R", refund_of="XR3", refunded_at=""), rows=1, orders=1),
    _flag("refund_over_sale", "a refund that is larger than its sale", "refund_over_sale",
          line("XR4"), back("XR4-R", refund_of="XR4", revenue="-99.00", unit_price=""), rows=1, orders=1),
    _kept("refund_over_two", "a refund of two units that were sold in two orders",
          line("XR5-1", product_id="Q5"), line("XR5-2", product_id="Q5"),
          back("XR5-R", product_id="Q5", quantity="-2", revenue="-24.68"),
          rule="refund_split", rows=1, orders=2),
    _flag("refund_beyond_sales", "a refund of more units than were ever sold",
          "refund_without_sale", line("XR6", product_id="Q6"),
          back("XR6-R", product_id="Q6", quantity="-3", revenue="-37.02"),
          rows=1, flags={"refund_split": 1}, orders=1),
    _flag("refund_before_sale", "a refund of what was sold only later", "refund_without_sale",
          line("XR7", product_id="Q7", ordered_at="2026-04-01 10:00:00"),
          back("XR7-R", product_id="Q7"), rows=1, orders=1),
    _kept("refund_unsaid", "an amount below zero without a word about refunds is one",
          line("XR8"), back("XR8", line_id="2", is_refund="", revenue="-12.34"),
          then=lambda clean: clean.refund_of["XR8"].dropna().tolist() == ["XR8"]),
)  # fmt: skip

KEYS = (
    _flag("same_key", "two lines of one order and line id that say different things",
          "line_id_twice", line("XK1"), line("XK1", product_id="P02")),
    Fault("copies", "a line that stands three times, one copy with an id written in another way",
          "quarantined", "duplicate_line", 2, 2468,
          (line("XK2"), line("XK2"), line("XK2", customer_id="C0008 ")),
          flags={"id_mended": 1}, orders=1),
)  # fmt: skip

STATUSES = (
    *(
        _aside(f"status_{kind}", f"the status says {' or '.join(words)}", f"status_{kind}",
               *each(f"XS-{kind}", "status", *words))
        for kind, words in {
            "test": ("test", "TEST"), "canceled": ("cancelled", "Canceled", "storniert", "Retourniert"),
            "void": ("void", "Voided"), "failed": ("failed", "Declined"), "draft": ("draft", "auto-draft"),
        }.items()
    ),
    _flag("status_unpaid", "the status says it is not paid yet", "status_unpaid",
          *each("XS-unpaid", "status", "pending", "Authorized")),
    _kept("status_unknown", "a status that no list has", line("XS-new", status="picked up")),
    *(
        _aside(f"code_{kind}", f"the line's code stands for {kind.replace('_', ' ')}",
               f"line_{kind}", line(f"XP-{kind}", product_id=code))
        for code, kind in NON_PRODUCTS.items() if kind not in ("manual", "discount", "adjustment")
    ),
    _flag("code_money", "adjustments, discounts and manual lines", "line_without_product",
          *each("XP-money", "product_id", "M", "DISC", "ADJ")),
    _kept("code_in_small", "codes are compared exactly: no code of the list",
          line("XP-small", product_id="post")),
    _flag("guest", "an order without an account", "guest_order",
          line("XG1", is_guest="yes"), line("XG2", is_guest="false"), rows=1),
)  # fmt: skip

EVIL = (
    "<script>alert(1)</script>", '=cmd()|"/c calc"', "{{ 7*7 }}", "**bold** [x](javascript:a)",
    "@SUM(A1)", "+1+1", "-1+1", "'; DROP TABLE orders; --",
)  # fmt: skip
TEXTS = (
    *(
        _kept(f"text_in_{column}", f"HTML, formulas and templates in {column}",
              *each(f"XT-{column}", column, *EVIL),
              **({"customers": len(EVIL), "flags": {"id_mended": 2}} if column == "customer_id" else {}))
        for column in ("product_id", "category", "channel", "coupon", "customer_id")
    ),
    _kept("long_text", "a category of a hundred thousand characters",
          line("XT-long", category="y" * 100_000)),
    _kept("other_scripts", "emoji, right-to-left and combined letters, line breaks and quotes",
          *each("XT-utf", "customer_id", "🦊", "שרה", "\u202eevil", "e\u0301", 'a "b"\nc'),
          customers=5),
    _aside("usd", "a currency without a rate", "currency_without_rate",
           line("XC1", currency="USD"), line("XC1", line_id="2", currency="doubloon")),
    _aside("no_currency", "no currency, in a file that names it", "currency_missing",
           *each("XC2", "currency", "", "  ")),
    _kept("eur_in_small", "the shop's currency in small letters", line("XC3", currency="eur"),
          result="repaired"),
    _aside("header_again", "a header in the middle, where files were put together",
           "ordered_at_unreadable", {name: name for name in line("order_id")}, money=0,
           flags={"unreadable_value": 8}),
)  # fmt: skip

BY_LINE = (*IDS, *DATES, *AMOUNTS, *REFUNDS, *KEYS, *STATUSES, *TEXTS)

# -- whole files -----------------------------------------------------------------------------


def _content(
    change: Callable[[str], bytes | str], name: str = "orders.csv", orders: str = ""
) -> Plant:
    """Write the orders' CSV text anew, as bytes or UTF-8, under a name, with settings."""

    def plant(draft: Draft) -> None:
        new = change(draft.text())
        draft.files[name] = new.encode() if isinstance(new, str) else new
        draft.orders = f'files = "{name}"\n{orders}'

    return plant


def _set(*, orders: str = "", settings: str = "", without: str = "", sections: str = "",
         tables: tuple[str, ...] = (), **files: str) -> Plant:  # fmt: skip
    """Change settings, and add other tables as CSV text by name."""

    def plant(draft: Draft) -> None:
        draft.orders += f"\n{orders}"
        kept = [each for each in draft.settings.splitlines() if not (without and without in each)]
        draft.settings = "\n".join([*kept, settings])
        draft.sections += f"\n{sections}"
        draft.tables = (*draft.tables, *tables, *files)
        for name in tables:
            draft.files[f"{name}.csv"] = (SAMPLE / f"{name}.csv").read_bytes()
        for name, text in files.items():
            draft.files[f"{name}.csv"] = text.encode()

    return plant


def _of_several_orders(lines: list[dict[str, str]]) -> int:
    """Count the lines of customers with more than one order."""
    found: dict[str, set] = {}
    for line in lines:
        found.setdefault(line["customer_id"], set()).add(line["order_id"])
    return sum(len(found[line["customer_id"]]) > 1 for line in lines)


def _both(*plants: Plant) -> Plant:
    def plant(draft: Draft) -> None:
        for one in plants:
            one(draft)

    return plant


def _some(every: int, **values: str | Callable[[dict], str]) -> Plant:
    """Change values in every so-manieth line, to a text or by what the line says."""

    def plant(draft: Draft) -> None:
        for number, line in enumerate(draft.lines):
            if number % every == 0:
                new = {k: v(line) if callable(v) else v for k, v in values.items()}
                draft.lines[number] = {**line, **new}

    return plant


def _swapped(one: str, other: str) -> Plant:
    return _some(1, **{one: lambda line: line[other], other: lambda line: line[one]})


def _renamed(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def _cells(change: Callable[[str, str], str], **options) -> Plant:
    """Write every cell anew by column, and the file with other options of CSV."""

    def plant(draft: Draft) -> None:
        lines = [{k: change(k, v) for k, v in line.items()} for line in draft.lines]
        draft.files["orders.csv"] = draft.text(lines, **options).encode()

    return plant


def _german(column: str, value: str) -> str:
    amount = column in ("revenue", "unit_price", "discount", "cogs", "shipping_cost", "payment_fee")
    if amount and value:
        whole, _, cents = value.partition(".")
        return f"{int(whole.lstrip('-')):,}".replace(",", ".").join(
            ("-" if value.startswith("-") else "", f",{cents}")
        )
    if column in ("ordered_at", "refunded_at") and value:
        return f"{value[8:10]}.{value[5:7]}.{value[:4]} {value[11:16]}"
    return value


def _in_files(*parts: Callable[[list[dict]], list[dict]]) -> Plant:
    """Write several files, each of the lines that a function picks or changes."""

    def plant(draft: Draft) -> None:
        for number, part in enumerate(parts, 1):
            draft.files[f"part-{number}.csv"] = draft.text(part(draft.lines)).encode()
        draft.orders = 'files = "part-*.csv"'

    return plant


def _all(lines: list[dict]) -> list[dict]:
    return lines


def _with(*more: dict) -> Callable[[list[dict]], list[dict]]:
    return lambda lines: [*lines, *more]


def _only(*lines: dict) -> Callable[[list[dict]], list[dict]]:
    return lambda _: [*lines]


def _parquet(draft: Draft, *, cut: int = 0) -> None:
    frame, out = pd.DataFrame(draft.lines), io.BytesIO()
    for name in ("revenue", "unit_price", "discount", "cogs", "shipping_cost", "payment_fee"):
        frame[name] = pd.to_numeric(frame[name])
    frame["quantity"] = pd.to_numeric(frame["quantity"]).astype("int64")
    frame["ordered_at"] = pd.to_datetime(frame["ordered_at"])
    frame.to_parquet(out)
    draft.files["orders.parquet"] = out.getvalue()[: -cut or None]
    draft.orders = 'files = "orders.parquet"'


def _excel(draft: Draft, *, title: bool, orders: str = "") -> None:
    from openpyxl import Workbook

    book, out = Workbook(), io.BytesIO()
    sheet = book.active
    if title:
        sheet.append(["All orders of the shop"])
        sheet.merge_cells("A1:F1")
    sheet.append(list(draft.lines[0]))
    for line in draft.lines:
        amounts = ("revenue", "quantity", "unit_price")
        sheet.append([float(v) if k in amounts else v or None for k, v in line.items()])
    book.save(out)
    draft.files["orders.xlsx"] = out.getvalue()
    draft.orders = f'files = "orders.xlsx"\n{orders}'


def _refused(name: str, does: str, words: str, plant: Plant, **more) -> Fault:
    return Fault(name, does, "refused", words, plant=plant, **more)


def _read(name: str, does: str, plant: Plant, rule: str = "", rows: int = 0, **more) -> Fault:
    return Fault(name, does, "repaired", rule, rows, plant=plant, **more)


ENCODINGS = (
    _read("cp1252_named", "text of Windows, and shop.toml says so",
          _content(lambda t: t.replace("coffee", "café").encode("cp1252"), orders='encoding = "cp1252"'),
          came={"encoding": "cp1252"}),
    _refused("cp1252_unnamed", "text of Windows, and nobody says so", "not UTF-8",
             _content(lambda t: t.replace("coffee", "café").encode("cp1252"))),
    _refused("one_latin_byte", "a single byte of another encoding in the middle", "not UTF-8",
             _content(lambda t: t.encode()[: len(t) // 2] + b"\xe9" + t.encode()[len(t) // 2 :])),
    _read("utf_16", "UTF-16 as Excel's Unicode text", _content(lambda t: t.encode("utf-16")),
          came={"encoding": "utf-16"}),
    _refused("utf_16_without_mark", "UTF-16 without its mark", 'encoding = "utf-16-le"',
             _content(lambda t: t.encode("utf-16-le"))),
    _refused("unknown_encoding", "an encoding that does not exist", "cannot be read as utf8mb4",
             _content(str, orders='encoding = "utf8mb4"')),
    _read("byte_order_mark", "a mark before the first name", _content(lambda t: t.encode("utf-8-sig"))),
    _read("crlf", "line ends of Windows", _content(lambda t: t.replace("\n", "\r\n"))),
    _read("lone_cr", "line ends of an old Mac", _content(lambda t: t.replace("\n", "\r"))),
    _read("blank_lines", "blank lines between the others and at the end",
          _content(lambda t: t.replace("\n", "\n\n") + "\n\n")),
    _read("no_last_line_end", "no line end after the last line", _content(lambda t: t.rstrip("\n"))),
    _read("gzip", "a compressed file", _content(lambda t: gzip.compress(t.encode(), mtime=0), "orders.csv.gz")),
    _refused("gzip_cut", "a compressed file that breaks off", "not a whole gzip file",
             _content(lambda t: gzip.compress(t.encode(), mtime=0)[:-500], "orders.csv.gz")),
    _read("null_byte", "a NUL byte in a text", _content(lambda t: t.replace("coffee", "cof\0fee", 1))),
)  # fmt: skip

LAYOUTS = (
    _read("semicolons", "semicolons between fields", _content(lambda t: t.replace(",", ";")),
          came={"delimiter": ";"}),
    _read("tabs", "tabs between fields", _content(lambda t: t.replace(",", "\t"), "orders.tsv"),
          came={"delimiter": "\t"}),
    _read("all_quoted", "every field in quotation marks", _cells(lambda k, v: v, quoting=csv.QUOTE_ALL)),
    _read("quotes_inside", "separators, doubled quotes and line breaks inside quoted text",
          _some(7, category=lambda _: 'cof,fee "dark"\nroast')),
    _refused("quote_open", "a quotation mark that is never closed", "quotation mark",
             _content(lambda t: t.replace(",coffee,", ',"coffee,', 1))),
    _refused("too_few_fields", "a line with too few fields", "fields, the header",
             _content(lambda t: t + "1,X,C0008,2026-03-10,1.00\n")),
    _refused("too_many_fields", "a line with too many fields", "fields, the header",
             _content(lambda t: t + ",".join("x" * t.split("\n")[0].count(",")) + ",x,x\n")),
    _refused("decimal_comma_unquoted", "an amount with a comma, unquoted, in a file of commas: the last "
             "fields are empty, and all that follows moves by one", "fields, the header",
             _content(lambda t: t.replace(".", ",", 1))),
    _read("comma_after_every_line", "a separator after every line but the header",
          _content(lambda t: t.split("\n", 1)[0] + "\n" + t.split("\n", 1)[1].replace("\n", ",\n"))),
    _refused("broken_off", "a file that breaks off within a line", "fields, the header",
             _content(lambda t: t[: t.rindex(",") - 30])),
    _refused("empty_file", "no byte at all", "orders.csv (table orders) is empty", _content(lambda t: "")),
    _refused("header_only", "a header and no rows", "a header and no rows",
             _content(lambda t: t.splitlines()[0] + "\n")),
    _refused("no_header", "no line of names", "its first line must name every column",
             _content(lambda t: t.split("\n", 1)[1])),
    _refused("title_above", "a title above the names", "Order report",
             _content(lambda t: "Order report\n" + t)),
    _read("title_skipped", "a title above the names, and shop.toml says so",
          _content(lambda t: "Order report\n" + t, orders="skip_rows = 1"), came={"skip": "1"}),
    _refused("column_missing", "a required column is not there", "needs revenue",
             _content(lambda t: t.replace("revenue", "Brutto", 1))),
    _refused("column_renamed", "a name changed from one export to the next", "Did you mean 'ordered_on'",
             _content(_renamed("ordered_at", "ordered_on"))),
    _refused("named_column_missing", "shop.toml names a column that is not there", "no column 'Umsatz'",
             _set(orders='[tables.orders.columns]\nrevenue = "Umsatz"')),
    _read("column_capitals", "names in other capitals, and with blanks",
          _content(lambda t: t.replace("order_id", "Order_ID", 1).replace("revenue", " Revenue ", 1))),
    _refused("column_twice", "two columns of one name", "two columns named 'cogs'",
             _content(_renamed("payment_fee", "cogs"))),
    _refused("column_unnamed", "a column without a name", "a column without a name",
             _content(_renamed("payment_fee", ""))),
    _refused("file_missing", "no file has the name", "no file matches 'order-*.csv'",
             _both(_content(str), lambda d: setattr(d, "orders", 'files = "order-*.csv"'))),
    _refused("other_kind", "a file of a kind that is not read", "of a kind that is not read",
             _content(str, "orders.json")),
    _refused("old_excel", "a workbook of the old kind", "save it as .xlsx", _content(str, "orders.xls")),
    _refused("excel_broken", "a workbook that is none", "is not a workbook",
             _content(str, "orders.xlsx")),
    _read("excel", "a workbook", lambda d: _excel(d, title=False), came={"kind": "excel"}),
    _refused("excel_title", "a workbook with merged cells above the names", "skip_rows = N",
             lambda d: _excel(d, title=True)),
    _read("excel_title_skipped", "the same, and shop.toml says so",
          lambda d: _excel(d, title=True, orders="skip_rows = 1"),
          came={"kind": "excel", "skip": "1"}),
    _read("parquet", "a Parquet file with types of its own", _parquet, came={"kind": "parquet"}),
    _refused("parquet_cut", "a Parquet file that breaks off", "not a whole Parquet file",
             lambda d: _parquet(d, cut=100)),
    Fault("ten_megabytes", "a cell of ten megabytes in an id", "quarantined", "customer_id_missing",
          1, 1234, (line("XL1", customer_id="z" * 10_000_000),)),
)  # fmt: skip

_COMMA = 'decimal = ","\ndate_format = "%d.%m.%Y %H:%M"'
MEANINGS = (
    _read("german", "decimal commas and days first, and shop.toml says so",
          _both(_cells(_german, delimiter=";"), _set(orders=_COMMA)),
          came={"delimiter": ";", "decimal": ","}),
    _refused("german_amounts_unsaid", "decimal commas all through, and nobody says so",
             "revenue_unreadable: ", _cells(lambda k, v: _german(k, v) if k == "revenue" else v)),
    _refused("german_dates_unsaid", "days first all through, and nobody says so",
             "ordered_at_unreadable: ", _cells(lambda k, v: _german(k, v) if k == "ordered_at" else v)),
    _read("mixed_decimals_auto", "points and commas mixed, and shop.toml lets each amount say itself",
          _both(_some(5, revenue=lambda line: _german("revenue", line["revenue"])), _set(orders='decimal = "auto"')),
          came={"decimal": "auto"}),
    _read("utc", "stamps of UTC, and shop.toml says so", _set(orders='timestamps = "utc"'),
          then=lambda clean: True),
    Fault("customer_swapped_with_order", "customer and order ids swapped", "flagged",
          "order_of_two_customers", _of_several_orders(SMALL), plant=_swapped("customer_id", "order_id"),
          flags=None),
    _refused("date_swapped_with_amount", "dates and amounts swapped", "no row of orders.csv can be used",
             _swapped("ordered_at", "revenue")),
    _refused("all_refunds", "every amount below zero", "every order row is a refund",
             _some(1, revenue=lambda line: "-" + line["revenue"].lstrip("-"), is_refund="")),
    _refused("few_customers", "fewer customers than may be shown", "groups below 10 are not shown",
             lambda d: setattr(d, "lines", [each for each in d.lines if each["customer_id"] < "C0006"])),
    _refused("half_unusable", "more than half of the rows without a date", "rows of orders.csv can be used",
             _both(_some(2, ordered_at=""), _some(3, ordered_at=""))),
    _refused("money_unusable", "few rows, and much of the money", "more than most_revenue = 0.25",
             lambda d: d.lines.append(line("Total", customer_id="", revenue="9999.00"))),
    Fault("money_allowed", "the same, and shop.toml allows it", "quarantined", "customer_id_missing",
          1, 999900, (line("Total", customer_id="", revenue="9999.00"),),
          _set(sections="[quarantine]\nmost_revenue = 0.5")),
    Fault("copies_kept", "an exact copy, in a shop that keeps them", "flagged", "duplicate_line",
          1, 0, (line("XM1"), line("XM1")), _set(without="duplicates"), orders=1),
    _flag("busy_id", "one id with hundreds of lines", "id_busy",
          *(line(f"XM2-{n}", customer_id="TILL") for n in range(900)), customers=1),
)  # fmt: skip

_RATES = "currency,day,rate\n"
_GBP = (line("XF1", currency="GBP"), line("XF2", currency="gbp", ordered_at="2026-04-20 10:00:00"))
OTHERS = (
    Fault("rate_of_the_day", "another currency, with rates", "repaired", "currency_converted", 2, 0,
          _GBP, _set(fx_rates=_RATES + "GBP,2026-03-01,1.2000\nGBP,2026-04-01,1.5000\nUSD,2026-03-01,9\n"),
          orders=2, then=lambda clean: clean.revenue["XF1"] == 1481 and clean.revenue["XF2"] == 1851),
    Fault("rate_too_old", "the last rate is older than 45 days", "quarantined",
          "currency_without_rate", 1, 1234, _GBP,
          _set(fx_rates=_RATES + "GBP,2026-03-01,1.2\n"), orders=1, flags={"currency_converted": 1}),
    Fault("rate_of_zero", "rates of zero, below zero, and no number", "quarantined",
          "currency_without_rate", 2, 2468, _GBP,
          _set(fx_rates=_RATES + "GBP,2026-03-01,0\nGBP,2026-03-05,-1.2\nGBP,2026-04-10,1e400\n")),
    Fault("rate_after", "the first rate comes after the order", "quarantined", "currency_without_rate",
          2, 2468, _GBP, _set(fx_rates=_RATES + "GBP,2026-05-01,1.2\n")),
    Fault("retention", "orders older than they may be kept", "quarantined", "past_retention", 2, 2468,
          (line("XF3", ordered_at="2024-01-03 10:00:00"), line("XF4", ordered_at="2024-01-04 10:00:00")),
          _both(lambda d: setattr(d, "lines", [each for each in d.lines if each["ordered_at"] > "2025-07-05" or each["order_id"][:2] == "XF"]),
                _set(without="history_starts_at", sections="[privacy]\nkeep_years = 1")), flags=None),
    _read("other_columns_first", "the same columns in another order, with one that nobody knows",
          lambda d: setattr(d, "lines", [{"note": "x", **dict(reversed(each.items()))} for each in d.lines])),
)  # fmt: skip

_SALE = (line("XO1"), line("XO1", line_id="2", product_id="P02"))
_LESS = {"revenue": "10.00", "unit_price": "10.00"}
OVERLAPS = (
    Fault("file_twice", "one file twice, under two names", "quarantined", "order_in_later_file",
          len(SMALL), _cents(SMALL), plant=_in_files(_all, _all)),
    Fault("orders_again", "files that overlap: an order stands in two of them", "quarantined",
          "order_in_later_file", 2, 2468, plant=_in_files(_with(*_SALE), _only(*_SALE)), orders=1),
    Fault("order_changed", "an order that the later file has with another amount", "quarantined",
          "order_in_later_file", 2, 2468, orders=1,
          plant=_in_files(_with(*_SALE), _only({**_SALE[0], **_LESS}, _SALE[1])),
          then=lambda clean: sorted(clean.revenue["XO1"]) == [1000, 1234]),
    Fault("line_removed", "an order that has a line less in the later file", "quarantined",
          "order_in_later_file", 2, 2468, orders=1,
          plant=_in_files(_with(*_SALE), _only(_SALE[0]))),
    Fault("order_cut", "an order cut over two files", "flagged", "order_in_two_files", 2,
          plant=_in_files(_with(_SALE[0]), _only(_SALE[1])), orders=1),
    Fault("changed_without_line_id", "an order without line ids, and the later file has another "
          "amount: it cannot be told from an order cut in two", "flagged", "order_in_two_files", 2,
          plant=_in_files(_with(line("XO2", line_id="")), _only(line("XO2", line_id="", **_LESS))),
          orders=1),
)  # fmt: skip

BY_FILE = (*ENCODINGS, *LAYOUTS, *MEANINGS, *OTHERS, *OVERLAPS)
FAULTS = (*BY_LINE, *BY_FILE)


# -- other tables ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Other:
    """Rows of another table: its CSV text, rows that stay, and rows taken out by rule."""

    text: str
    kept: int
    taken: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0


OTHER_TABLES = {
    "customers": Other(
        "customer_id,signed_up_at,loyalty_member\nC0008,2024-01-01,true\n C0010,1970-01-01,maybe\n"
        "N/A,2024-01-01,true\n,,\n",
        2, {"customer_id_missing": 2}, unreadable=1,
    ),
    "consents": Other(
        "customer_id,purpose,state,at\nC0008,email,granted,2024-01-01\nC0008,email,,2024-01-02\n"
        "C0008,,granted,2024-01-02\nC0008,email,granted,soon\nnull,email,granted,2024-01-01\n",
        1, {"customer_id_missing": 1, "purpose_missing": 1, "state_missing": 1, "at_unreadable": 1},
    ),
    "payments": Other(
        "payment_id,order_id,paid_at,amount,currency\np1,O00001,2024-01-01,44.43,EUR\n"
        "p2,O-nowhere,2024-01-01,1.00,eur\np3,O00001,2024-01-01,\"1,00\",EUR\np4,O00001,,1,EUR\n"
        "p5,O00001,2024-01-01,1.00,USD\np6,O00001,2024-01-01,1.00,\np7,O00001,2024-01-05,9.00,GBP\n",
        3, {"amount_unreadable": 1, "paid_at_unreadable": 1, "currency_without_rate": 1,
            "currency_missing": 1},
    ),
    "fx_rates": Other(
        "currency,day,rate\nGBP,2024-01-01,1.15\nGBP,2024-02-30,1.15\nUSD,2024-01-01,nan\n"
        ",2024-01-01,1\nCHF,2024-01-01,0\n",
        2, {"day_unreadable": 1, "rate_unreadable": 1, "currency_missing": 1},
    ),
    "service_costs": Other(
        "customer_id,at,amount\nC0008,2024-01-01,1e400\nC0008,2024-01-01,inf\nC0008,2024-01-01,2.50\n",
        1, {"amount_unreadable": 2},
    ),
}  # fmt: skip
