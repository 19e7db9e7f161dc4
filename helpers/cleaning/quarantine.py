"""The quarantine: every row that was taken out, with its rule, its value, and its own words.

One Parquet file a table, beside the clean tables and never under ``reports/``. Persons stand in it
under their pseudonyms; names and addresses are not in it at all.
"""

from pathlib import Path

import ibis
from ibis.expr import types as ir

from helpers import engines
from helpers.cleaning import rules
from helpers.cleaning.loading import Part
from helpers.contract.shop import Shop
from helpers.contract.tables import TABLES
from helpers.persons import scrub
from helpers.sources import typed as sources
from helpers.sources.typed import PLACE

# What is shown as it is, in columns whose codes say nothing about a person; all else as a pattern.
_CODE = {
    "currency": "^[A-Za-z]{3}$",
    "status": "^[a-z_-]{3,24}$",
    "product_id": "^[A-Z]{1,10}( [A-Z]{1,10})?[0-9]{0,3}$",
    "quantity": r"^-?[0-9.,]{1,12}$",
}
# Of a customer who is forgotten nothing stays but what the order needs.
_OF_ORDER = tuple(f"written_{name}" for name in ("order_id", "ordered_at", "revenue", "quantity"))
_PERSONAL = ("customer_id", "person", "referred_by")
_MONEY = {"orders": "revenue", "payments": "amount"}
_LONGEST, _EXAMPLES = 60, 3


def write(
    con, shop: Shop, name: str, aside: ir.Table, parts: list[Part], hidden: tuple, stage: Path
) -> dict:
    """Write the rows taken out of a table, and give the commonest values that each rule met.

    ``aside`` has canonical columns and ``reason``, persons already under pseudonyms; ``hidden``
    names columns whose words hold a person's id among others. Columns of the file: rule, severity,
    action, columns, value (letters as x, digits as 9, except in codes), expected, file, row (of the
    file's data), money at stake in minor units, known_date, then what the source said,
    ``written_...``, column by column.
    """
    known = {rule.id: rule for rule in rules.rules(name, shop)}
    written = _written(con, parts, aside, hidden)
    written = scrub.scrubbed(con, written, shop, stored=f"{name}_written")
    rows = aside.select(
        *PLACE, "reason",
        "known_date",
        day=aside[sources.day_of(name)],
        money=aside[_MONEY[name]] if name in _MONEY else ibis.null("int64"),
        **{key: aside[key] for key in ("customer_id", "order_id") if key in aside.columns},
    )  # fmt: skip
    joined = rows.left_join(written, list(PLACE)).drop(*(f"{key}_right" for key in PLACE))
    kept = [c for c in joined.columns if c.startswith("written_")]
    gone = joined.reason == "customer_forgotten"
    joined = joined.mutate(
        **{c: ibis.ifelse(gone, ibis.null("string"), joined[c]) for c in kept if c not in _OF_ORDER}
    )
    value = {
        rule.id: _shown(con, joined, rule.columns[0]) for rule in known.values()
        if rule.columns and f"written_{rule.columns[0]}" in joined.columns
    }  # fmt: skip
    facts = {
        key: _by_rule(joined.reason, {rule.id: getattr(rule, key) for rule in known.values()})
        for key in ("severity", "action")
    }
    facts["columns"] = _by_rule(joined.reason, {r.id: ", ".join(r.columns) for r in known.values()})
    facts["expected"] = _by_rule(joined.reason, {r.id: r.sentence for r in known.values()})
    shown = [(joined.reason == rule, text) for rule, text in value.items()]
    masked = ibis.cases(*shown) if shown else ibis.null("string")
    table = joined.select(
        rule=joined.reason, **facts, value=masked,
        file=joined["_file"], row=joined["_row"], money=joined.money,
        known_date=joined.known_date, day=joined.day,
        **{key: joined[key] for key in ("customer_id", "order_id") if key in joined.columns},
        **{key: joined[key] for key in kept},
    )  # fmt: skip
    path = stage / f"{name}_quarantine.parquet"
    engines.write(con, table, path, ("file", "row"))
    stored = engines.read(con, path)
    told = stored.filter(stored.value.notnull())
    counts = (
        told.group_by("rule", "value")
        .aggregate(rows=told.count())
        .order_by("rule", ibis.desc("rows"), "value")
    )
    found: dict[str, list] = {}
    for row in counts.execute().itertuples():
        if len(found.setdefault(row.rule, [])) < _EXAMPLES:
            found[row.rule].append({"value": row.value, "rows": int(row.rows)})
    return found


def _by_rule(reason: ir.StringColumn, words: dict[str, str]) -> ir.StringColumn:
    return ibis.cases(*((reason == rule, word) for rule, word in words.items()))


def _written(con, parts: list[Part], aside: ir.Table, hidden: tuple[str, ...]) -> ir.Table:
    """Give what the sources said in the rows concerned, without persons."""
    found, names = [], []
    for part in parts:
        words = sources.as_written(part.raw, part.source)
        told = [c for c in words.columns if c not in (*PLACE, *_PERSONAL, *hidden)]
        found.append((words.semi_join(aside, list(PLACE)), told))
        names += [name for name in told if name not in names]
    columns = TABLES[parts[0].source.table].columns
    order = [column.name for column in columns if column.name in names]
    made = [
        table.select(
            *PLACE,
            **{
                f"written_{n}": _harmless(con, table[n]) if n in told else ibis.null("string")
                for n in order
            },
        )
        for table, told in found
    ]
    return ibis.union(*made) if len(made) > 1 else made[0]


def _harmless(con, text: ir.StringColumn) -> ir.StringColumn:
    """Keep what a cell said, cut short; an address in the wrong column becomes a pattern."""
    return ibis.ifelse(text.contains("@"), _pattern(con, text), text.substr(0, 200))


def _pattern(con, text: ir.StringColumn) -> ir.StringColumn:
    letters = engines.letters_as(con, text.substr(0, _LONGEST), "x")
    return letters.re_replace("[0-9]", "9")


def _shown(con, rows: ir.Table, column: str) -> ir.StringColumn:
    text = rows[f"written_{column}"]
    plain = text.substr(0, _LONGEST)
    # A name in the wrong column is a name: codes are shown where they look like codes alone.
    code = text.re_search(_CODE[column]) if column in _CODE else ibis.literal(False)
    return ibis.ifelse(code, plain, _pattern(con, text)).fill_null("(empty)")
