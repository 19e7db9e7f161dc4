"""The rules of cleaning, as data: what is tested, how grave it is, what is done, and why.

`helpers.cleaning.clean_tables` carries them out. A rule of severity ``quarantine`` takes a row out
of the clean table; the first that a row meets decides. Of those, ``set aside`` means a fault, which
counts toward the limit at which a run is refused, and ``left out`` a row that is in order and still
no sale of the shop: a test, a copy from another file, a line after the period. ``flag`` keeps the
row and counts it, ``repair`` keeps it changed and counts it, ``info`` counts, ``fatal`` refuses the
files. The list in ``data/README.md`` is printed from here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import ibis
from ibis.expr import types as ir

from helpers.contract.shop import MONEY_ONLY, NO_REVENUE, Shop
from helpers.contract.tables import TABLES
from helpers.sources import typed as sources

# Days that programs write where they know none.
PLACEHOLDER_DAYS = ("1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "1980-01-01")
# A line dated this much later than the period it was exported for is a wrong date.
FUTURE_DAYS = 31
# Words that shop systems use for what never became a sale, by kind; shop.toml may add to them.
STATUSES = {
    "test": ("test", "testbestellung", "teststellung", "тест", "тестовый", "тестове"),
    "canceled": ("cancelled", "canceled", "trash", "storniert", "storno", "annulliert", "annulé",
                 "annulée", "geannuleerd", "отменён", "отменен", "отменено", "скасовано"),
    "void": ("void", "voided", "ungültig", "nul", "nulle", "ongeldig"),
    "failed": ("failed", "declined", "expired", "uncaptured", "requires_payment_method",
               "fehlgeschlagen", "abgelehnt", "échoué", "échouée", "mislukt", "неуспешно"),
    "draft": ("draft", "checkout-draft", "auto-draft", "abandoned", "entwurf", "brouillon",
              "concept", "черновик", "чернетка"),
    "unpaid": ("pending", "authorized", "on-hold", "unpaid", "partially_paid", "offen",
               "unbezahlt", "ausstehend", "en attente", "onbetaald", "ожидает оплаты"),
}  # fmt: skip
# Words that say the money went back; the refund itself has to be a row.
REFUNDED = ("refunded", "fully_refunded", "erstattet", "remboursé", "remboursée", "terugbetaald",
            "возвращён", "возвращен", "повернуто")  # fmt: skip
# Words for orders in the usual course of things: of all others it is asked what they mean.
USUAL = ("paid", "complete", "completed", "processing", "shipped", "sent", "delivered", "closed",
         "fulfilled", "succeeded", "captured", "sale", "refund", "partially_refunded", "open",
         "bezahlt", "versendet", "versandt", "geliefert", "abgeschlossen", "payé", "payée",
         "expédié", "livré", "terminé", "betaald", "verzonden", "geleverd", "afgerond",
         "оплачен", "оплачено", "доставлен", "выполнен", "доставлено", "виконано")  # fmt: skip


@dataclass(frozen=True)
class Context:
    """What a rule may look at beside the row: the shop's settings and facts of the whole table.

    ``filled`` counts the values of the columns that have any, ``days`` are the first and the last,
    ``words`` the different statuses and currencies, in lower case.
    """

    shop: Shop
    complete_through: date
    retained_from: date | None = None
    rows: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    days: tuple[date, date] | None = None
    words: Mapping[str, frozenset[str]] = field(default_factory=dict)
    large_amount: int | None = None
    large_quantity: float | None = None


# None: no row of this table can fail, so that nothing has to be asked of any.
Test = Callable[[ir.Table, Context], ir.BooleanValue | None]


@dataclass(frozen=True)
class Rule:
    """One rule: its id, table, severity and action, what it tests, why, and the test itself.

    ``columns`` are the canonical columns it is about; a rule is tried only where the source fills
    all of them. ``test`` is missing where reading or linking decides, not a single row; ``mark``
    names what `helpers.cleaning.marks` finds by looking at several rows together.
    """

    id: str
    table: str
    severity: str
    action: str
    sentence: str
    why: str
    columns: tuple[str, ...] = ()
    test: Test | None = field(default=None, repr=False)
    mark: str = ""


def _before(t: ir.Table, x: Context) -> ir.BooleanValue | None:
    opened = x.shop.opened_at
    return t.order_date < opened if opened and x.days and x.days[0] < opened else None


def _placeholder(t: ir.Table, x: Context) -> ir.BooleanValue | None:
    days = [day for day in PLACEHOLDER_DAYS if x.days and str(x.days[0]) <= day <= str(x.days[1])]
    return t.order_date.isin([ibis.date(day) for day in days]) if days else None


def _expired(day: str) -> Test:
    def test(t: ir.Table, x: Context) -> ir.BooleanValue | None:
        first = x.retained_from
        return t[day] < first if first and x.days and x.days[0] < first else None

    return test


def _after(t: ir.Table, x: Context) -> ir.BooleanValue | None:
    last = x.complete_through
    return t.order_date > last if x.days and x.days[1] > last else None


def _future(t: ir.Table, x: Context) -> ir.BooleanValue | None:
    last = x.complete_through + timedelta(days=FUTURE_DAYS)
    return t.order_date > last if x.days and x.days[1] > last else None


def _missing(column: str) -> Test:
    return lambda t, x: t[column].isnull() if x.filled.get(column, 0) < x.rows else None


def _no_rate(t: ir.Table, x: Context) -> ir.BooleanValue | None:
    own = x.shop.currency
    if x.words.get("currency", frozenset()) <= {own.lower()}:
        return None
    return t.currency.notnull() & (t.currency.upper() != own)


def _status(kind: str) -> Test:
    def test(t: ir.Table, x: Context) -> ir.BooleanValue | None:
        words = {*STATUSES[kind], *x.shop.statuses.get(kind, ())}
        found = sorted(words & x.words.get("status", frozenset()))
        return t.status.lower().isin(found) if found else None

    return test


def _kind(*kinds: str) -> Test:
    def test(t: ir.Table, x: Context) -> ir.BooleanValue | None:
        known = set(x.shop.non_products.codes.values()) & {*kinds}
        return t.line_kind.isin(sorted(known)) if known else None

    return test


def _amount_mismatch(t: ir.Table, x: Context) -> ir.BooleanValue:
    expected = t.unit_price.cast("float64") * t.quantity - t.discount.fill_null(0).cast("float64")
    return (t.revenue.cast("float64") - expected).abs() > ibis.greatest(t.quantity.abs(), 1.0)


def _extreme(t: ir.Table, x: Context) -> ir.BooleanValue | None:
    return t.revenue.abs() > x.large_amount if x.large_amount else None


def _bulk(t: ir.Table, x: Context) -> ir.BooleanValue | None:
    return t.quantity.abs() > x.large_quantity if x.large_quantity else None


def _required(table: str) -> list[Rule]:
    """Give the rules for required values of a table: without them a row can answer nothing."""
    made = []
    for column in TABLES[table].columns:
        if not column.required:
            continue
        missing = column.type == "text"
        word = "missing" if missing else "unreadable"
        sentence = f"{column.name} is {'missing' if missing else 'missing or unreadable'}"
        why = f"without {column.name} ({column.meaning}) the row cannot be placed"
        rule, test = f"{column.name}_{word}", _missing(column.name)
        made.append(_aside(rule, table, sentence, why, (column.name,), test))
    return made


def _aside(id: str, table: str, sentence: str, why: str, columns: tuple, test: Test) -> Rule:
    return Rule(id, table, "quarantine", "set aside", sentence, why, columns, test)


def _out(id: str, table: str, sentence: str, why: str, columns: tuple, test: Test | None) -> Rule:
    return Rule(id, table, "quarantine", "left out", sentence, why, columns, test)


def _flag(
    id: str, table: str, sentence: str, why: str, columns: tuple, test: Test | None, mark: str = ""
) -> Rule:
    return Rule(id, table, "flag", "kept", sentence, why, columns, test, mark)


def _marked(column: str) -> Test:
    """Test a mark that `helpers.cleaning.marks` found by looking at several rows together."""
    return lambda t, x: t[column]


_ORDERS_FIRST = (
    _out(
        "order_in_later_file", "orders", "the order is in a later file as well",
        "exports overlap; the last file that has the order holds its latest state",
        (), _marked("in_later_file"),
    ),
    _out(
        "customer_forgotten", "orders", "the customer has asked to be forgotten",
        "the money stays in this sum, the person nowhere", (), _marked("is_forgotten"),
    ),
)  # fmt: skip
_NO_REVENUE_WORDS = (
    "postage", "a fee or a commission", "a bad debt", "a test",
    "a gift card: money in advance, revenue when used", "a free sample",
)  # fmt: skip
_ORDERS_THEN = (
    _aside("date_placeholder", "orders", "the date is one that programs write for none",
           "an order of 1970 is an order of an unknown day", ("ordered_at",), _placeholder),
    _aside("before_the_opening", "orders", "dated before the shop opened",
           "a wrong year would make an old customer of a new one", ("ordered_at",), _before),
    _out("past_retention", "orders", "older than the years that orders may be kept",
         "the shop's retention limit", ("ordered_at",), _expired("order_date")),
    _aside("date_in_future", "orders",
           f"dated more than {FUTURE_DAYS} days after the last complete day",
           "no order is known before it is placed", ("ordered_at",), _future),
    _out("after_the_period", "orders", "dated after the last complete day",
         "a period that is not whole would look like a bad one", ("ordered_at",), _after),
    _aside("currency_missing", "orders", "the currency is missing, in a file that names it",
           "a currency is never assumed", ("currency",), _missing("currency")),
    _aside("currency_without_rate", "orders",
           "the currency has no rate of its day in fx_rates (amount as written)",
           "amounts of two currencies cannot be added", ("currency",), _no_rate),
    *(
        _out(f"status_{kind}", "orders", f"the status says {word}",
             "no sale came of it", ("status",), _status(kind))
        for kind, word in (("test", "test"), ("canceled", "canceled"), ("void", "voided"),
                           ("failed", "failed or never captured"), ("draft", "draft"))
    ),
    *(
        _out(f"line_{kind}", "orders", f"the line is no product but {word}",
             "it is no revenue of a product", ("product_id",), _kind(kind))
        for kind, word in zip(NO_REVENUE, _NO_REVENUE_WORDS, strict=True)
    ),
    _aside("refund_positive", "orders", "a refund with an amount above zero",
           "whether money came or went cannot be told", ("is_refund", "revenue"),
           lambda t, x: t.is_refund.fill_null(False) & (t.revenue > 0)),
)  # fmt: skip
_COPY = _out(
    "duplicate_line", "orders", "an exact copy of another line",
    "the shop counts exact copies once", (), _marked("is_copy"),
)  # fmt: skip
_FLAGS = (
    _flag("duplicate_line", "orders", "an exact copy of another line",
          "it may be a mistake, or the same thing bought twice", (), None, "is_copy"),
    _flag("line_id_twice", "orders", "its order has another line with the same line_id",
          "a key that is not one", ("line_id",), None, "is_key_twice"),
    _flag("order_of_two_customers", "orders", "its order belongs to several customers",
          "columns may be swapped, or an id be used twice", (), None, "is_of_two"),
    _flag("order_in_two_files", "orders", "its order goes on in another file, with other lines",
          "a file may have been cut within an order", (), None, "in_two_files"),
    _flag("id_differs_by_case", "orders", "its customer id differs from another only in capitals",
          "one person may stand under two ids; mend the export if so", (), None, "is_case_twin"),
    _flag("zero_revenue", "orders", "a sale line that brought nothing",
          "a gift or a replacement; it counts as an order", ("revenue",),
          lambda t, x: ~t.is_refund & (t.revenue == 0)),
    _flag("sale_negative", "orders", "an amount below zero in a line that says it is no refund",
          "a discount or a correction written as a sale", ("revenue",),
          lambda t, x: ~t.is_refund & (t.revenue < 0) & t.line_kind.isnull()),
    _flag("quantity_zero", "orders", "a line of no units that has an amount",
          "units and money disagree", ("quantity",),
          lambda t, x: ~t.is_refund & (t.quantity == 0) & (t.revenue != 0)),
    _flag("price_negative", "orders", "a unit price below zero",
          "a correction written as a price", ("unit_price",), lambda t, x: t.unit_price < 0),
    _flag("discount_negative", "orders", "a discount below zero on a sale",
          "discounts are positive amounts", ("discount",),
          lambda t, x: ~t.is_refund & (t.discount < 0)),
    _flag("amount_mismatch", "orders", "revenue is not quantity x unit price less discount",
          "by more than a cent a unit; tax or another discount may be in it",
          ("quantity", "unit_price"), _amount_mismatch),
    _flag("amount_extreme", "orders", "an amount over 50 times the 99th percentile",
          "one line can move a mean; it may be true", ("revenue",), _extreme),
    _flag("quantity_bulk", "orders", "more units than 20 times the 99th percentile",
          "a reseller among consumers moves every average", ("quantity",), _bulk),
    _flag("status_unpaid", "orders", "the status says it is not paid yet",
          "it may still be canceled", ("status",), _status("unpaid")),
    _flag("line_without_product", "orders", "an adjustment, a discount or a manual line",
          "money without a product; left out of product counts", ("product_id",),
          _kind(*MONEY_ONLY)),
    _flag("refund_without_date", "orders",
          "a refund without a date of its own, known from the day of its row",
          "the money went back on a later day that nobody wrote down", (),
          lambda t, x: t.is_refund & t.refunded_date.isnull()),
    _flag("refund_without_sale", "orders", "a refund of no sale in the files: customer credit",
          "its sale lies before the history, or in no file", (),
          lambda t, x: t.is_refund & t.refund_of.isnull()),
    _flag("guest_order", "orders", "ordered without an account",
          "a guest who returns under another address looks new", ("is_guest",),
          lambda t, x: t.is_guest.fill_null(False)),
)  # fmt: skip
_COUNTED = (
    _flag("unreadable_value", "orders", "an optional value that could not be read",
          "it counts as missing, never as zero", (), None),
    _flag("refund_over_sale", "orders", "a refund of an order that gave back more than it brought",
          "two refunds of one sale, or a wrong amount", (), None),
    _flag("status_without_refund", "orders",
          "the status says refunded, and no row gives the money back",
          "revenue may be too high by all of it; give refunds as rows", ("status",), None),
    _flag("hour_skipped", "orders", "a time that the clock skipped in spring",
          "the time zone of the file may be another", ("ordered_at",), None),
    _flag("id_of_many", "orders", "a customer id with more than five names or addresses",
          "a till, a reseller or a shared account is no person", ("person",), None),
    _flag("id_busy", "orders", "a customer id with far more lines than any other",
          "over 200, and over 20 times what all but the busiest have", (), None),
    Rule("hour_doubled", "orders", "info", "kept", "a time in the doubled hour of autumn",
         "the first of the two hours is meant", ("ordered_at",), None),
    Rule("refund_split", "orders", "info", "kept", "a refund that covers several sales",
         "it is divided over them, oldest first, by quantity", ("product_id", "quantity"), None),
    Rule("currency_converted", "orders", "repair", "kept, converted",
         "an amount in another currency, at the rate of its day",
         "the latest rate of the 45 days up to the order", ("currency",), None),
    Rule("id_mended", "orders", "repair", "kept, mended",
         "a customer id written in another way: blanks, case of an e-mail, an ending .0",
         "one person must not look like two", ("customer_id",), None),
)  # fmt: skip
_FATAL = tuple(
    Rule(id, "any", "fatal", "refused", sentence, why)
    for id, sentence, why in (
        ("file_missing", "no file has the name that shop.toml gives", "nothing can be read"),
        ("file_empty", "a file is empty or has a header and no rows", "an export failed"),
        ("file_unreadable", "broken lines, quotes, encoding, or an archive cut short",
         "half a file looks like a bad month"),
        ("columns_missing", "a required column is not there, or two have the same name",
         "the names of the export have changed"),
        ("mostly_unusable", "more than half of the order lines would be set aside",
         "a wrong setting is likelier than bad rows"),
        ("too_much_set_aside", "faults hold more of the revenue than [quarantine] most_revenue",
         "totals without them would mislead"),
        ("too_few_customers", "fewer customers than [privacy] min_cell",
         "any figure would be about a person"),
    )
)  # fmt: skip


def rules_of_orders() -> list[Rule]:
    """List the rules that may take an order line out, in the order they are tried."""
    return [*_ORDERS_FIRST, *_required("orders"), *_ORDERS_THEN, _COPY]


def rules(table: str, shop: Shop) -> list[Rule]:
    """List the rules that take a row of this table out, in the order they are tried."""
    if table == "orders":
        copies_stay = shop.duplicates != "quarantine"
        return [rule for rule in rules_of_orders() if not (copies_stay and rule is _COPY)]
    found = []
    columns = {column.name for column in TABLES[table].columns}
    if "customer_id" in columns:
        found.append(
            _out("customer_forgotten", table, "the customer has asked to be forgotten",
                 "no row of the person stays", (), _marked("is_forgotten"))
        )  # fmt: skip
    if table == "payments":
        found.append(
            _out("payment_in_later_file", table, "the payment is in a later file as well",
                 "exports overlap; the last file that has the payment counts", (),
                 _marked("in_later_file"))
        )  # fmt: skip
    found += _required(table)
    if "currency" in columns and table != "fx_rates":
        found += [
            _aside(rule.id, table, rule.sentence, rule.why, rule.columns, rule.test)
            for rule in _ORDERS_THEN if rule.id.startswith("currency_")
        ]  # fmt: skip
    if "customer_id" in columns:
        day = sources.day_of(table)
        found.append(
            _out("past_retention", table, "older than the years that rows may be kept",
                 "the shop's retention limit", (), _expired(day))
        )  # fmt: skip
    return found


def flags(shop: Shop) -> list[Rule]:
    """List the rules that keep an order line and count it, each with a test of a clean line."""
    if shop.duplicates == "quarantine":
        return [rule for rule in _FLAGS if rule.id != "duplicate_line"]
    return list(_FLAGS)


def every_rule(shop: Shop) -> list[Rule]:
    """List all rules about orders and files, for the page and the documentation."""
    return [*rules("orders", shop), *flags(shop), *_COUNTED, *_FATAL]


def unknown_statuses(words: frozenset[str], shop: Shop) -> list[str]:
    """List the statuses, in lower case, that no list knows: their orders count as sales."""
    known = {*REFUNDED, *USUAL, *(word for kind in STATUSES.values() for word in kind)}
    known |= {word for kind in shop.statuses.values() for word in kind}
    return sorted(words - known)


def sentence(table: str, rule: str, shop: Shop) -> str:
    """Give the words of a rule by its id."""
    known = {each.id: each.sentence for each in (*rules(table, shop), *every_rule(shop))}
    return known[rule]


def reason(rows: ir.Table, table: str, context: Context) -> ir.StringColumn:
    """Give the id of the first rule that takes a row out; missing for a row that stays."""
    tried = [(tested(rule, rows, context), rule.id) for rule in rules(table, context.shop)]
    asked = [(test, rule) for test, rule in tried if test is not None]
    return ibis.cases(*asked) if asked else ibis.null("string")


def tested(rule: Rule, rows: ir.Table, context: Context) -> ir.BooleanValue | None:
    """Give the test of a rule over rows; None where no row of this table can meet it.

    A required column may be empty all through; of the others, a rule is about what is filled.
    """
    required = TABLES[rule.table].required
    if rule.test is None or not all(c in context.filled or c in required for c in rule.columns):
        return None
    return rule.test(rows, context)


def dictionary() -> str:
    """Return all rules as a Markdown table: id, severity, action, what is found, why."""
    listed = [*rules_of_orders(), *_FLAGS, *_COUNTED, *_FATAL]
    lines = ["| rule | severity | action | what it finds | why |", "|---|---|---|---|---|"]
    lines += [
        f"| `{rule.id}` | {rule.severity} | {rule.action} | {rule.sentence} | {rule.why} |"
        for rule in listed
    ]
    return "\n".join(lines) + "\n"
