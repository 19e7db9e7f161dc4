"""A shop as it was known at the end of a month: the one object that every notebook works on."""

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Any

from helpers import engines
from helpers.cleaning import store as cleaning
from helpers.cleaning.store import CleanInfo
from helpers.contract.shop import Shop, load_shop
from helpers.contract.tables import TABLES
from helpers.sources.typed import clean_schema, clean_table, day_name


@dataclass(frozen=True)
class Study:
    """Clean tables of a shop cut to what was known at the end of a month (rule: month decides).

    ``con`` is the engine connection; `table` gives lazy engine tables, never frames.
    """

    shop: Shop
    info: CleanInfo
    month: str
    con: Any

    @property
    def start(self) -> date:
        """First day of the month."""
        return date.fromisoformat(f"{self.month}-01")

    @property
    def end(self) -> date:
        """Last day of the month; nothing later is seen."""
        return self.start.replace(day=calendar.monthrange(self.start.year, self.start.month)[1])

    @property
    def history_starts_at(self) -> date:
        """First day from which every order is known."""
        start = self.shop.history_starts_at or self.info.first_day
        return max(start, self.info.retained_from or start)

    @property
    def history_is_whole(self) -> bool:
        """True if the history reaches back to the shop's opening, so no first order is missed."""
        opened = self.shop.opened_at
        return opened is not None and opened >= self.history_starts_at

    @property
    def currency(self) -> str:
        """ISO 4217 code of the shop's currency."""
        return self.shop.currency

    @property
    def title(self) -> str:
        """The shop's title."""
        return self.shop.title

    @property
    def source(self) -> str:
        """The source line of a picture."""
        return f"Source: {self.title}, orders known by {self.end}"

    def money(self, amount: float, digits: int | None = None) -> str:
        """Write an amount in the shop's currency."""
        from helpers.show import money_in

        return money_in(self.currency)(amount, digits)

    def has(self, table: str, *columns: str) -> bool:
        """Say whether the shop fills a table, and all the columns named."""
        found = self.info.tables.get(table)
        return bool(found and found["kept"]) and set(columns) <= set(found["columns"])

    def table(self, name: str, *, later: bool = False):
        """Give a clean table as of the month's end (or only what became known later).

        An absent optional table is empty.
        """
        if name not in self.info.tables:
            import ibis

            return ibis.memtable([], schema=clean_schema(name))
        rows = clean_table(self.con, self.info.folder, name)
        day = "event_date" if name == "orders" else TABLES[name].dated_by
        kinds = {column.name: column.type for column in TABLES[name].columns}
        day = day_name(day) if kinds.get(day) == "timestamp" else day
        happened = rows[day].isnull() | (rows[day] <= self.end)
        known = rows.known_date.isnull() | (rows.known_date <= self.end)
        return rows.filter(~(happened & known) if later else happened & known)

    def set_aside(self, name: str):
        """Give the rows that cleaning set aside from orders or payments: order_id, reason, amount.

        ``amount`` is in minor units, missing where it could not be read. Rows that became known
        after the month's end are left out; without any the table is empty.
        """
        import ibis

        path = self.info.folder / f"{name}_quarantine.parquet"
        if not engines.exists(self.con, path):
            return ibis.memtable([], schema=SET_ASIDE)
        rows = engines.read(self.con, path)
        rows = rows.filter(rows.order_id.notnull())
        rows = rows.filter(rows.known_date.isnull() | (rows.known_date <= self.end))
        # A copy explains no difference, and what is dated after the month is not known in it.
        rows = rows.filter(rows.day.isnull() | (rows.day <= self.end))
        rows = rows.filter(~rows.rule.isin(("order_in_later_file", "duplicate_line")))
        return rows.select(order_id=rows.order_id, reason=rows.rule, amount=rows.money)


# What is known of a row that was set aside.
SET_ASIDE = {"order_id": "string", "reason": "string", "amount": "int64"}


def open_study(shop: str, month: str = "") -> Study:
    """Open a shop as of a month: its name or folder, and a month as 2026-06 (empty: last complete).

    Raises UsageError or DataError with what was given, what is needed, and how to mend it.
    """
    found = load_shop(shop)
    info = cleaning.prepare(found)
    month = cleaning.check_month(found, info, month)
    return Study(shop=found, info=info, month=month, con=engines.connect(found))
