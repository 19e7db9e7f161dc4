"""Whatever a file holds, it is cleaned with nothing lost, or refused with a message."""

import csv
import io
import math
import tempfile
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cleaning import loading
from helpers.cleaning import store as cleaning
from helpers.contract.shop import load_shop
from helpers.errors import WorkbookError
from tests.test_faults import cents, written

pytestmark = pytest.mark.slow

TOML = """currency = "EUR"
time_zone = "Europe/Berlin"
duplicates = "{duplicates}"
[privacy]
min_cell = 1
[quarantine]
most_revenue = 1.0
[tables.orders]
files = "orders*.{kind}"
"""
# Ids by which a message would give a customer away.
PEOPLE = [f"person-{n}@example.org" for n in range(6)]
_noise = st.text(max_size=12)
_days = st.dates(pd.Timestamp("2026-01-01").date(), pd.Timestamp("2026-06-30").date()).map(str)
_odd_days = st.sampled_from(
    ["", "1970-01-01", "31.12.2025", "2026-03-29 02:30:00", "2026-05-01T10:00:00Z", "2099-01-01"]
)
_plain_amounts = st.decimals(-500, 500, places=2).map(str)
_odd_amounts = st.sampled_from(
    ["", "0", "1e400", "inf", "nan", "1,5", "1.234,50", "n/a", "12.345", " 7 ", "+3", "9" * 17]
)


def mostly(usual: st.SearchStrategy, odd: st.SearchStrategy) -> st.SearchStrategy:
    """Draw something odd once in nine times."""
    return st.integers(0, 8).flatmap(lambda n: odd if n == 0 else usual)


_amounts = mostly(_plain_amounts, _odd_amounts)
VALUES = {
    "order_id": mostly(st.integers(1, 60).map(str), st.one_of(st.sampled_from(["", "nan", " 5 "]), _noise)),
    "customer_id": mostly(st.sampled_from(PEOPLE), st.sampled_from(["", "N/A", "Zoë", "9.0", PEOPLE[0].upper()])),
    "ordered_at": mostly(_days, _odd_days),
    "revenue": _amounts,
    "line_id": mostly(st.integers(1, 3).map(str), _noise),
    "quantity": mostly(st.integers(-3, 9).map(str), _amounts),
    "unit_price": _amounts,
    "discount": _amounts,
    "cogs": _amounts,
    "product_id": mostly(st.sampled_from("pq"), _noise),
    "channel": _noise,
    "currency": mostly(st.just("EUR"), st.sampled_from(["eur", "", "USD", "?"])),
    "status": mostly(st.just("paid"), st.sampled_from(["TEST", "pending", "cancelled", ""])),
    "is_refund": mostly(st.sampled_from(["", "false"]), st.sampled_from(["true", "perhaps"])),
    "refund_of": mostly(st.just(""), st.integers(1, 60).map(str)),
    "refunded_at": mostly(st.just(""), _days),
    "known_at": mostly(st.just(""), _days),
    "person": _noise,
    "is_guest": st.sampled_from(["", "yes", "no"]),
}  # fmt: skip
REQUIRED = ("order_id", "customer_id", "ordered_at", "revenue")


@st.composite
def tables(draw, rows: int = 40) -> pd.DataFrame:
    """Draw a table: most required columns, some others, rows of any content, some of them twice."""
    names = [name for name in REQUIRED if draw(st.integers(0, 30))]
    names += draw(st.lists(st.sampled_from([n for n in VALUES if n not in REQUIRED]), unique=True))
    names = draw(st.permutations(names))
    number = draw(st.integers(0, rows))
    frame = pd.DataFrame(
        {name: draw(st.lists(VALUES[name], min_size=number, max_size=number)) for name in names},
        dtype=object,
    )
    again = draw(st.lists(st.integers(0, max(number - 1, 0)), max_size=3)) if number else []
    return pd.concat([frame, frame.iloc[again]], ignore_index=True)


def checked(folder: Path, rows: int, money: int) -> str:
    """Clean a shop: it balances, or a message says why not, without a customer."""
    try:
        info = cleaning.prepare(load_shop(str(folder)))
    except WorkbookError as error:
        message = str(error)
        assert message.strip()
        assert not [person for person in PEOPLE if person in message]
        return "refused"
    found, orders = written(info), info.tables["orders"]
    out = [sum(each) for each in zip(*found["taken"].values(), strict=True)] or [0, 0]
    assert (rows, money) == (orders["rows"], orders["money"])
    assert (rows, money) == (found["kept"][0] + out[0], found["kept"][1] + out[1])
    told = {item["reason"]: (item["rows"], item["money"]) for item in orders["set_aside"]}
    assert told == found["taken"]
    return "cleaned"


def folder_with(place: str, kind: str, duplicates: str) -> Path:
    folder = Path(place) / "corner"
    folder.mkdir()
    (folder / "shop.toml").write_text(TOML.format(kind=kind, duplicates=duplicates))
    return folder


anything = settings(deadline=None, derandomize=True, max_examples=14, database=None)


def test_any_text():
    """Of any CSV at least a few can be cleaned and a few cannot: both ways are tried."""
    results: list[str] = []

    @anything
    @given(tables(), st.sampled_from(["keep", "quarantine"]), st.integers(1, 2))
    def once(frame, duplicates, files):
        with tempfile.TemporaryDirectory() as place:
            folder = folder_with(place, "csv", duplicates)
            for number in range(files):
                out, part = io.StringIO(), frame.iloc[number::files]
                writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
                writer.writerows([list(frame.columns), *part.to_numpy().tolist()])
                path = folder / f"orders{number}.csv"
                path.write_text(out.getvalue(), encoding="utf-8", newline="")
            money = sum(cents(text) for text in frame.get("revenue", ()))
            results.append(checked(folder, len(frame), money))

    once()
    assert results.count("cleaned") >= 3 and results.count("refused") >= 1


_numbers = mostly(
    st.decimals(-500, 500, places=3).map(float),
    st.sampled_from([math.inf, -math.inf, math.nan, 1e300, 0.285, -0.005]),
)
_stamps = mostly(
    st.datetimes(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-06-30")),
    st.sampled_from([pd.Timestamp("1970-01-01"), pd.Timestamp("2199-01-01"), pd.NaT]),
)
TYPED = {
    "order_id": (st.integers(1, 60), st.integers(1, 60).map(float)),
    "customer_id": (mostly(st.integers(1, 9), st.none()), st.sampled_from(PEOPLE)),
    "ordered_at": (_stamps, _stamps.map(lambda at: at.date() if at == at else None)),
    "revenue": (_numbers, st.integers(-500, 500)),
    "quantity": (_numbers, st.integers(-3, 9)),
    "is_refund": (st.booleans(), st.sampled_from(["", "no", "yes"])),
}


def exact(value: object) -> int:
    """Read a number as a person would: the decimal that it is written as, in cents."""
    if isinstance(value, str):
        return cents(value)
    number = float(value)
    if not abs(number) < 1e13:
        return 0
    return int((Decimal(repr(number)) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def test_any_parquet():
    """Columns with types of their own, some of them text after all; as few rows, and as many."""
    results: list[str] = []

    @anything
    @given(tables(), st.sampled_from([0, loading.FEW_ROWS]), st.data())
    def once(frame, few, data):
        for name in set(TYPED) & set(frame.columns):
            kind = data.draw(st.sampled_from([*TYPED[name], None]))
            if kind is not None:
                size = len(frame)
                frame[name] = data.draw(st.lists(kind, min_size=size, max_size=size))
        with tempfile.TemporaryDirectory() as place:
            folder = folder_with(place, "parquet", "keep")
            frame.to_parquet(folder / "orders.parquet")
            money = sum(exact(value) for value in frame.get("revenue", ()))
            with mock.patch.object(loading, "FEW_ROWS", few):
                results.append(checked(folder, len(frame), money))

    once()
    assert results.count("cleaned") >= 3 and results.count("refused") >= 1


def test_a_shop_of_nothing_but_words(make_shop):
    """A file that is no table of orders at all: a letter, a page, a program."""
    for text in (
        "Dear Sir,\n\nplease find\n",
        "<html><body>404</body></html>",
        "{}",
        "\x00" * 40,
        "'",
    ):
        with pytest.raises(WorkbookError) as caught:
            cleaning.prepare(load_shop(str(make_shop(text))))
        assert len(str(caught.value)) > 20
