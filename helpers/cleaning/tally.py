"""Count what the rules did: rows and money in equal what was kept and what was taken out."""

import ibis
import pandas as pd
from ibis.expr import types as ir

from helpers.cleaning import marks, rules
from helpers.cleaning.facts import Facts, whole
from helpers.cleaning.rules import Context
from helpers.contract.shop import Shop
from helpers.contract.tables import TABLES
from helpers.errors import DataError
from helpers.sources.typed import PLACE

# With more faulty order rows than this share, a wrong setting is likelier than bad rows.
MOST_ASIDE = 0.5


def counts(
    shop: Shop, name: str, facts: Facts, clean: ir.Table, aside: ir.Table | None, examples: dict
) -> dict:
    """Count rows and money in, kept, and taken out by reason; they balance, or nothing is kept."""
    orders = name == "orders"
    rows = clean.count(where=clean.part == 1) if orders else clean.count()
    money = clean.revenue.sum() if orders else rows * 0
    totals = clean.aggregate(rows=rows, money=money).execute().iloc[0]
    kept = {key: whole(totals[key]) for key in ("rows", "money")}
    actions = {rule.id: rule.action for rule in rules.rules(name, shop)}
    lost = _lost(clean, aside, name, shop) if aside is not None else {}
    tally, found = [], _by_reason(aside, orders) if aside is not None else []
    for row in found:
        rule = row.pop("reason")
        numbers = {key: whole(value) for key, value in row.items()}
        also = {f"lost_{what}": lost[what].get(rule, 0) for what in ("orders", "customers")}
        also |= {"action": actions[rule], "examples": examples.get(rule, [])}
        tally.append({"reason": rule, **numbers, **also})
    tally.sort(key=lambda item: list(actions).index(item["reason"]))
    out, money = (sum(item[key] for item in tally) for key in ("rows", "money"))
    if facts.rows != kept["rows"] + out or facts.money != kept["money"] + money:
        raise DataError(
            f"{shop.name}: table {name} does not balance: {facts.rows} rows came in, "
            f"{kept['rows']} were kept and {out} taken out. This is a fault of the workbook; "
            "please report it with the rules in data/README.md that apply to your file."
        )
    return {
        "files": shop.names(name),
        "columns": [column for column in _columns(name) if column in facts.filled],
        "rows": facts.rows,
        "kept": kept["rows"],
        "money": facts.money,
        "size": facts.size,
        "money_kept": kept["money"],
        "first_day": str(min(facts.days)) if facts.days else "",
        "set_aside": tally,
    }


def _columns(name: str) -> list[str]:
    return [column.name for column in TABLES[name].columns]


def _by_reason(aside: ir.Table, orders: bool) -> list[dict]:
    """Count rows, orders, customers and money by reason."""
    none = aside.count() * 0
    people = aside.customer_id.nunique() if "customer_id" in aside.columns else none
    return (
        aside.group_by("reason")
        .aggregate(
            rows=aside.count(),
            orders=aside.order_id.nunique() if orders else none,
            customers=people,
            money=aside.revenue.sum() if orders else none,
            size=aside.revenue.abs().sum() if orders else none,
        )
        .execute()
        .to_dict("records")
    )


def _lost(clean: ir.Table, aside: ir.Table, name: str, shop: Shop) -> dict[str, dict[str, int]]:
    """Count orders (with a sale) and customers of which no row is left, at the last rule.

    Taken in the order of the rules, these losses lead from all orders to the clean ones exactly.
    """
    if name != "orders":
        return {"orders": {}, "customers": {}}
    stage = {rule.id: number for number, rule in enumerate(rules.rules(name, shop))}
    number = ibis.cases(*((aside.reason == rule, at) for rule, at in stage.items()), else_=-1)
    found = {}
    taken = aside.mutate(at=number)
    for what, key in (("orders", "order_id"), ("customers", "customer_id")):
        sales = (taken.filter(~taken.is_refund), clean.filter(~clean.is_refund))
        here, there = sales if what == "orders" else (taken, clean)
        gone = here.filter(here[key].notnull()).anti_join(there, key)
        last = gone.group_by(key).aggregate(at=gone["at"].max())
        counts = last.group_by("at").aggregate(n=last.count()).execute()
        by_stage = dict(zip(counts["at"], counts["n"], strict=True))
        found[what] = {rule: int(by_stage.get(at, 0)) for rule, at in stage.items()}
    return found


def order_facts(clean: ir.Table, context: Context, lines: pd.DataFrame) -> dict:
    """Give the period, the counts of what stays, and the months within it that have no orders."""
    found = clean.aggregate(
        first_day=clean.order_date.min(),
        last_day=clean.order_date.max(),
        orders=clean.order_id.nunique(where=~clean.is_refund),
        refunds=clean.count(where=clean.is_refund & (clean.part == 1)),
    ).execute().iloc[0]  # fmt: skip
    sold = clean.filter(~clean.is_refund)
    months = sorted(sold.select(month=sold.order_date.strftime("%Y-%m")).distinct().execute().month)
    empty = _between(months[0], months[-1]) - set(months) if months else set()
    return {
        "months_without_orders": sorted(empty),
        "first_day": str(found.first_day)[:10],
        "last_day": str(found.last_day)[:10],
        "complete_through": str(context.complete_through),
        "retained_from": str(context.retained_from or ""),
        "statuses_unknown": rules.unknown_statuses(
            context.words.get("status", frozenset()), context.shop
        ),
        "customers": int(lines["ids"].sum()),
        **{key: int(found[key]) for key in ("orders", "refunds")},
    }


def flags(
    clean: ir.Table, sold: ir.Table, rows: ir.Table, context: Context, facts: Facts, found: dict,
    lines: pd.DataFrame,
) -> dict[str, int]:  # fmt: skip
    """Count the lines kept with each flag, and what was mended or converted.

    ``sold`` holds at least the sales of all orders that have refunds.
    """
    tests, counts = {}, {}
    for rule in rules.flags(context.shop):
        if rule.mark:
            marked = clean.semi_join(found[rule.mark], list(PLACE)) if rule.mark in found else None
            counts[rule.id] = int(marked.count().execute()) if marked is not None else 0
        elif (test := rules.tested(rule, clean, context)) is not None:
            # What is left of a refund without a sale is one part of it, and not always the first.
            whole_row = rule.id == "refund_without_sale"
            tests[rule.id] = test if whole_row else test & (clean.part == 1)
    tests["refund_split"] = clean.part == 2
    counts["refund_over_sale"] = whole(_over_sale(clean, sold).count().execute())
    counts |= sums(clean, tests)
    counts["unreadable_value"] = facts.unreadable
    counts["currency_converted"] = sums(rows, {"n": rows.is_converted})["n"]
    if "person" in facts.filled:
        counts["id_of_many"] = whole(marks.many_persons(rows).rows.sum().execute())
    counts["status_without_refund"] = _unrefunded(clean, facts)
    counts["id_busy"] = marks.busy_lines(lines)
    return {key: counts[key] for key in sorted(counts)}


def _over_sale(clean: ir.Table, sold: ir.Table) -> ir.Table:
    """Refund lines of orders whose refunds are larger than their sales."""
    back = clean.filter(clean.is_refund & clean.refund_of.notnull())
    paid = back.group_by("refund_of").aggregate(back=back.revenue.sum())
    sales = sold.semi_join(paid, sold.order_id == paid.refund_of)
    sold = sales.group_by("order_id").aggregate(sold=sales.revenue.sum())
    over = paid.inner_join(sold, paid.refund_of == sold.order_id).filter(
        ibis._.back + ibis._.sold < 0
    )
    return back.semi_join(over, "refund_of").select(*PLACE).distinct()


def _unrefunded(clean: ir.Table, facts: Facts) -> int:
    """Count sale lines whose status says that their money went back, and no refund row does."""
    words = sorted(facts.words.get("status", frozenset()) & {*rules.REFUNDED})
    if not words:
        return 0
    sales = clean.filter(~clean.is_refund & clean.status.lower().isin(words) & (clean.revenue > 0))
    back = clean.filter(clean.is_refund & clean.refund_of.notnull())
    return whole(sales.anti_join(back, sales.order_id == back.refund_of).count().execute())


def _between(first: str, last: str) -> set[str]:
    """All months from one to another, as 2026-06."""
    low, high = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (first, last))
    return {f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(low, high + 1)}


def check_usable(shop: Shop, info: dict) -> None:
    """Raise DataError where so much would be set aside as faulty that nothing could be trusted."""
    faults = [item for item in info["set_aside"] if item["action"] == "set aside"]
    rows, size = (sum(item[key] for item in faults) for key in ("rows", "size"))
    reasons = ", ".join(f"{item['reason']}: {item['rows']}" for item in info["set_aside"])
    kept = info["kept"]
    if not kept or rows > MOST_ASIDE * info["rows"]:
        raise DataError(
            f"{shop.name}: {f'only {kept} rows' if kept else 'no row'} of "
            f"{', '.join(shop.names('orders'))} can be used ({reasons}). Check the columns, "
            "date_format and decimal under [tables.orders] in shop.toml."
        )
    most = shop.quarantine.most_revenue
    if info["size"] and size > most * info["size"]:
        raise DataError(
            f"{shop.name}: rows set aside as faulty hold {size / info['size']:.1%} of the money in "
            f"{', '.join(shop.names('orders'))}, more than most_revenue = {most} under "
            f"[quarantine] in shop.toml ({reasons}). Mend the export; the rows are in "
            "clean/refused/."
        )


def sums(table: ir.Table, tests: dict[str, ir.BooleanValue]) -> dict[str, int]:
    """Count the rows for which each test is true, in one pass."""
    if not tests:
        return {}
    # A test may be the same for every row: a single value has no sum, and rows can be counted.
    marks = {name: table.count(where=test) for name, test in tests.items()}
    row = table.aggregate(**marks).execute().iloc[0]
    return {name: whole(row[name]) for name in tests}
