"""Small shops on disk, for every test."""

import functools
from pathlib import Path

import pytest

ORDERS = """order_id,customer_id,ordered_at,revenue
1,anna,2026-01-05 10:00:00,20.00
2,ben,2026-01-10 11:00:00,30.00
3,anna,2026-02-01 12:00:00,25.50
4,cleo,2026-02-15 13:00:00,12.25
5,ben,2026-03-31 23:59:59,40.00
"""


def write_shop(
    place: Path,
    orders: str | bytes = ORDERS,
    *,
    name: str = "corner",
    toml: str = "",
    orders_toml: str = "",
    **files,
) -> Path:
    """Write a shop's folder: its orders file, other files by name, and lines of shop.toml."""
    folder = place / name
    folder.mkdir(parents=True, exist_ok=True)
    content = orders if isinstance(orders, bytes) else orders.encode()
    (folder / "orders.csv").write_bytes(content)
    tables, few = "", "" if "[privacy]" in toml else "[privacy]\nmin_cell = 1\n"
    for table, text in files.items():
        (folder / f"{table}.csv").write_text(text, encoding="utf-8")
        tables += f'\n[tables.{table}]\nfiles = "{table}.csv"\n'
    (folder / "shop.toml").write_text(
        f'currency = "EUR"\ntime_zone = "Europe/Berlin"\n{toml}\n'
        f'[tables.orders]\nfiles = "orders.csv"\n{orders_toml}\n{tables}\n{few}',
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def make_shop(tmp_path):
    """Write a shop of one test (`write_shop`)."""
    return functools.partial(write_shop, tmp_path)


@pytest.fixture(scope="module")
def make_shop_once(tmp_path_factory):
    """Write a shop that all tests of a module read, and none changes (`write_shop`)."""
    return functools.partial(write_shop, tmp_path_factory.mktemp("shop"))
