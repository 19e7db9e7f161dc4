"""A new shop from an export: what is proposed, what is refused, what is written and shown."""

import csv
import gzip
import io
import random
import re
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from helpers import newshop
from helpers.__main__ import main
from helpers.cleaning import store as cleaning
from helpers.contract import settings, shop
from helpers.contract.shop import load_shop
from helpers.contract.tables import TABLES
from helpers.errors import DataError, UsageError
from helpers.newshop import draft, flow, known, names, written_toml

PLACE = ("--currency", "EUR", "--time-zone", "Europe/Berlin")
PEOPLE = [f"anna{n}@example.org" for n in range(40)]


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """A house of its own, and a folder to stand in."""
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    monkeypatch.setattr(shop, "ROOT", home)
    monkeypatch.setattr(flow, "ROOT", home)
    monkeypatch.setattr(newshop.report, "ROOT", home)
    monkeypatch.chdir(here)
    return home


def sales(n: int = 200, *, people=PEOPLE, first: str = "2026-01-01", hours: int = 20):
    """Orders as (order, customer, moment, amount): always the same ones."""
    draw, start = random.Random(7), datetime.fromisoformat(first)
    return [
        (
            f"O-{1000 + k}",
            draw.choice(people),
            start + timedelta(hours=hours * k),
            5 + k % 90 + 0.25,
        )
        for k in range(n)
    ]


def text(header: list[str], rows, *, sep: str = ",") -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=sep, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()


def written(name: str, content: str, *, encoding: str = "utf-8") -> str:
    with open(name, "w", encoding=encoding, newline="") as file:
        file.write(content)
    return name


def plain(
    header: list[str], name: str = "orders.csv", *, form: str = "%Y-%m-%d %H:%M:%S", **options
):
    rows = [(o, c, f"{t:{form}}", f"{x:.2f}") for o, c, t, x in sales()]
    return written(name, text(header, rows, **options))


def call(*arguments: str, name: str = "corner"):
    return CliRunner().invoke(main, ["new-shop", name, *arguments])


def toml_of(root, name: str = "corner") -> dict:
    return tomllib.loads((root / "data" / name / "shop.toml").read_text(encoding="utf-8"))


HEADERS = {
    "shop plugin": ["order_number", "customer_user", "date_created", "Net Sales"],
    "marketplace": ["Order ID", "Buyer ID", "Purchase Date", "Item Subtotal"],
    "till": ["Receipt No.", "Loyalty card", "Transaction time", "Line total"],
    "German": ["Bestellnummer", "Kunden-Nr.", "Bestelldatum", "Umsatz (netto)"],
    "German books": ["Rechnungs-Nr.", "Debitor", "Belegdatum", "Nettobetrag"],
    "French": ["N° de commande", "Numéro client", "Date de commande", "Montant HT"],
    "French, no accents": ["NUMERO DE COMMANDE", "Code client", "Date commande", "Total HT"],
    "Dutch": ["Bestelnummer", "Klantnummer", "Besteldatum", "Omzet excl. BTW"],
    "Russian": ["№ заказа", "ID клиента", "Дата создания", "Выручка"],
    "Russian deals": ["ID сделки", "ID контакта", "Дата сделки", "Сумма"],
    "Ukrainian": ["Номер замовлення", "Код клієнта", "Дата створення", "Виручка"],
    "Spanish": ["Número de pedido", "ID cliente", "Fecha", "Importe neto"],
    "Polish": ["Numer zamówienia", "ID klienta", "Data zamówienia", "Kwota netto"],
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_known_headers_are_mapped_without_a_word(header, root):
    done = call("--orders", plain(header), *PLACE)
    assert done.exit_code == 0, done.output
    columns = toml_of(root)["tables"]["orders"]["columns"]
    assert columns == dict(
        zip(("order_id", "customer_id", "ordered_at", "revenue"), header, strict=True)
    )
    customers, total = len({c for _, c, _, _ in sales()}), sum(x for *_, x in sales())
    assert (
        f"{customers} customers, 200 orders, €{total:,.0f} revenue in 200 of 200 rows"
        in done.output
    )
    days = [t.date() for _, _, t, _ in sales()]
    assert f"period: {min(days)} to {max(days)}" in done.output
    assert "last complete month: May 2026" in done.output
    assert done.output.splitlines()[-2:] == [
        "next: python -m helpers report --shop corner --month 2026-05",
        "or with the one that 06 compares it with: --months 2026-04..2026-05",
    ]


def test_nothing_a_customer_could_be_known_by_is_shown_or_written(root):
    header = ["Order", "E-mail", "Date", "Net amount", "Billing Name", "Street"]
    rows = [(o, c, t, x, f"Berta {o}", "Elm Street 5") for o, c, t, x in sales()]
    done = call("--orders", written("orders.csv", text(header, rows)), *PLACE)
    assert done.exit_code == 0, done.output
    both = done.output + (root / "data" / "corner" / "shop.toml").read_text()
    assert not re.search(r"O-1\d\d\d|anna\d|@example|Berta|Elm Street", both)
    assert "not taken: Billing Name for person" in done.output
    assert "not used: Street" in done.output
    assert "tells customers apart by a name or an address" in done.output
    assert '# person = "Billing Name"' in both


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_german_decimals_dates_and_letters(encoding, root):
    header = ["Bestellnummer", "Kundennummer", "Bestelldatum", "Umsatz", "Größe"]
    rows = [
        (o, c, f"{t:%d.%m.%Y %H:%M}", f"{1000 + x:,.2f}".translate({44: ".", 46: ","}), "groß")
        for o, c, t, x in sales()
    ]
    content = text(header, rows, sep=";")
    done = call("--orders", written("verkauf.csv", content, encoding=encoding), *PLACE)
    assert done.exit_code == 0, done.output
    orders = toml_of(root)["tables"]["orders"]
    assert (orders["date_format"], orders["decimal"]) == ("%d.%m.%Y %H:%M", ",")
    assert orders.get("encoding", "utf-8") == encoding.removesuffix("-sig")
    info = cleaning.prepare(load_shop("corner"))
    assert info.tables["orders"]["money_kept"] == round(sum(1000 + r[3] for r in sales()) * 100)
    assert "Columns not used: Größe." in (root / "data/corner/shop.toml").read_text("utf-8")


def test_a_cyrillic_file_that_is_not_utf8(root):
    name = plain(HEADERS["Russian deals"], sep=";")
    content = Path(name).read_text(encoding="utf-8")
    done = call("--orders", written("orders.csv", content, encoding="cp1251"), *PLACE)
    assert done.exit_code == 0, done.output
    assert toml_of(root)["tables"]["orders"]["encoding"] == "cp1251"


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("%Y-%m-%dT%H:%M:%S+02:00", ""),
        ("%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M"),
        ("%d.%m.%Y, %H:%M:%S", "%d.%m.%Y, %H:%M:%S"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("%m-%d-%Y", "%m-%d-%Y"),
        ("%Y%m%d", "%Y%m%d"),
        ("%d.%m.%Y %H:%M:%S +0200", "%d.%m.%Y %H:%M:%S %z"),
    ],
)
def test_forms_of_dates_are_found(form, found, root):
    done = call("--orders", plain(HEADERS["German"], form=form), *PLACE)
    assert done.exit_code == 0, done.output
    assert toml_of(root)["tables"]["orders"].get("date_format", "") == found
    assert "revenue in 200 of 200 rows" in done.output
    assert "period: 2026-01-01 to" in done.output or "+" in form
    if "02" in form:
        assert "+02:00" in done.output + (root / "data/corner/shop.toml").read_text()


def few_days(months: int = 6) -> list[tuple]:
    """Orders of the first twelve days of a month alone: day and month cannot be told apart."""
    found = []
    for k, (o, c, _, x) in enumerate(sales()):
        found.append((o, c, datetime(2026, 1 + k % months, 1 + k % 12), f"{x:.2f}"))
    return found


def test_day_and_month_are_never_guessed(root):
    rows = [(o, c, f"{t:%d/%m/%Y}", x) for o, c, t, x in few_days()]
    name = written("orders.csv", text(HEADERS["marketplace"], rows))
    done = call("--orders", name, *PLACE)
    assert done.exit_code == 2
    assert '--date-format "%d/%m/%Y" or --date-format "%m/%d/%Y"' in done.output
    assert not (root / "data").exists()
    done = call("--orders", name, *PLACE, "--date-format", "%m/%d/%Y")
    assert done.exit_code == 0, done.output
    assert toml_of(root)["tables"]["orders"]["date_format"] == "%m/%d/%Y"
    content = (root / "data" / "corner" / "shop.toml").read_text()
    assert '# date_format = "%d/%m/%Y"' in content


def test_one_date_beyond_the_first_rows_settles_day_and_month(root, monkeypatch):
    monkeypatch.setattr(newshop.heads, "SAMPLE_ROWS", 50)
    rows = [(o, c, f"{t:%d/%m/%Y}", x) for o, c, t, x in few_days()]
    rows[-1] = (*rows[-1][:2], "25/06/2026", "5.00")
    done = call("--orders", written("orders.csv", text(HEADERS["till"], rows)), *PLACE)
    assert done.exit_code == 0, done.output
    assert toml_of(root)["tables"]["orders"]["date_format"] == "%d/%m/%Y"


def test_a_form_of_dates_that_does_not_fit_is_refused(root):
    name = plain(HEADERS["till"], form="%b %d %Y")
    done = call("--orders", name, *PLACE)
    assert done.exit_code == 2
    assert "ordered_at would be 'Transaction time', but its values cannot be read as dates" in (
        done.output
    )
    name = plain(HEADERS["till"], form="%d.%m.%Y")
    done = call("--orders", name, *PLACE, "--date-format", "%Y/%m/%d")
    assert done.exit_code == 2 and "as %Y/%m/%d" in done.output
    assert not (root / "data").exists()


def test_thousands_and_decimals_are_never_guessed(root):
    rows = [(o, c, t, f"{1000 + k:,}".replace(",", ".")) for k, (o, c, t, _) in enumerate(sales())]
    name = written("orders.csv", text(HEADERS["German"], rows, sep=";"))
    done = call("--orders", name, *PLACE)
    assert done.exit_code == 2 and '--decimal "," or --decimal "."' in done.output
    done = call("--orders", name, *PLACE, "--decimal", ",")
    assert done.exit_code == 0, done.output
    orders = cleaning.prepare(load_shop("corner")).tables["orders"]
    assert orders["money_kept"] == sum(1000 + k for k in range(200)) * 100


@pytest.mark.parametrize(
    ("given", "option"),
    [
        (("--currency", "EUR"), "--time-zone Europe/Berlin"),
        (("--time-zone", "Europe/Berlin"), "--currency EUR"),
        ((), "--time-zone Europe/Berlin"),
        (("--currency", "EURO", "--time-zone", "Europe/Berlin"), "--currency EURO"),
        (("--currency", "EUR", "--time-zone", "Europe/Berln"), "Did you mean 'Europe/Berlin'?"),
    ],
)
def test_currency_and_time_zone_are_never_assumed(given, option, root):
    done = call("--orders", plain(HEADERS["till"]), *given)
    assert done.exit_code == 2
    assert option in done.output
    assert not (root / "data").exists()


@pytest.mark.parametrize(("others", "taken"), [(1, True), (20, False)])
def test_a_column_of_one_currency_is_taken(others, taken, root):
    rows = [(*row, "USD" if k < others else "eur") for k, row in enumerate(sales())]
    name = written("orders.csv", text([*HEADERS["till"], "Currency"], rows))
    done = call("--orders", name, "--time-zone", "Europe/Berlin")
    assert done.exit_code == (0 if taken else 2), done.output
    if taken:
        assert toml_of(root)["currency"] == "EUR"
        assert "set aside: 1 rows of orders: the currency has no rate of its day" in done.output
    else:
        assert "holds EUR 90%, USD 10%" in done.output


def test_on_a_terminal_it_asks(root):
    plain(HEADERS["till"])
    asked, answers = [], iter(["XAU1", "EUR", "Mars", "Europe/Kyiv"])

    def ask(question, check):
        asked.append(question)
        while True:
            try:
                return check(next(answers))
            except UsageError:
                continue

    newshop.new_shop(newshop.Request("corner", ("orders.csv",)), say=lambda line: None, ask=ask)
    assert toml_of(root)["currency"], toml_of(root)["time_zone"] == ("EUR", "Europe/Kyiv")
    assert [question.split(",")[0] for question in asked] == [
        "The shop's currency", "The shop's time zone",
    ]  # fmt: skip


def test_an_existing_shop_is_left_alone(root):
    name = plain(HEADERS["till"])
    assert call("--orders", name, *PLACE).exit_code == 0
    path = root / "data" / "corner" / "shop.toml"
    path.write_text("mine")
    done = call("--orders", name, *PLACE)
    assert done.exit_code == 2 and "--force" in done.output
    assert path.read_text() == "mine"
    assert call("--orders", name, *PLACE, "--force").exit_code == 0
    assert toml_of(root)["currency"] == "EUR"


def test_a_file_without_known_names_lists_its_columns_and_how_to_name_them(root):
    name = plain(["Number of it", "Whose", "When", "How much"])
    done = call("--orders", name, *PLACE)
    assert done.exit_code == 2
    assert (
        "no column is known by name for order_id, customer_id, ordered_at, revenue" in done.output
    )
    assert "It has: Number of it, Whose, When, How much." in done.output
    assert '--column order_id="..."' in done.output
    pairs = zip(("order_id", "customer_id", "ordered_at", "revenue"),
                ("Number of it", "Whose", "When", "How much"), strict=True)  # fmt: skip
    options = [part for one, two in pairs for part in ("--column", f"{one}={two}")]
    done = call("--orders", name, *PLACE, *options)
    assert done.exit_code == 0, done.output
    assert cleaning.prepare(load_shop("corner")).tables["orders"]["kept"] == 200


def test_a_first_line_of_data_is_not_shown(root):
    rows = [(o, c, t, x) for o, c, t, x in sales()]
    done = call("--orders", written("orders.csv", text(rows[0], rows[1:])), *PLACE)
    assert done.exit_code == 2
    assert "does not look like names of columns" in done.output
    assert "anna" not in done.output and "O-1" not in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--column", "custmer_id=Buyer ID"), "Did you mean 'customer_id'?"),
        (("--column", "customer_id=Buyer"), "Did you mean 'Buyer ID'?"),
        (("--column", "customer_id"), "COLUMN=SOURCE"),
        (("--column", "customers.gender=Sex"), "add --table customers=FILE"),
        (("--decimal", ";"), "--decimal"),
        (("--table", "custmers=a.csv"), "Did you mean 'customers'?"),
        (("--preset", "shoppify"), "--preset shoppify"),
        (("--also", "stripe"), "PRESET=FILE"),
        (("--column", "cogs=Buyer ID"), "cogs would be 'Buyer ID', but only 0%"),
        (("--column", "revenue=Buyer ID"), "only 0% of its values can be read as numbers"),
    ],
)
def test_wrong_options_are_one_line(options, message, root):
    done = call("--orders", plain(HEADERS["marketplace"]), *PLACE, *options)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output
    assert not (root / "data").exists()


def test_a_missing_file_is_said_with_the_nearest_one():
    plain(HEADERS["till"], "orders-2026.csv")
    done = call("--orders", "orders-2025.csv", *PLACE)
    assert done.exit_code == 2
    assert "Did you mean 'orders-2026.csv'?" in done.output


def test_names_that_toml_must_quote(root):
    header = [
        'Order "No"',
        "Kunde\\Nr \u007f",
        "Datum = '#'",
        "Net [€] 'x'",
        'a"""b\tc',
        "Δ\u2028ζ",
    ]
    rows = [(*row, "1", "2") for row in sales()]
    name = written("orders.csv", text(header, rows))
    named = zip(("order_id", "customer_id", "ordered_at", "revenue"), header, strict=False)
    options = [part for one, two in named for part in ("--column", f"{one}={two}")]
    done = call("--orders", name, *PLACE, *options)
    assert done.exit_code == 0, done.output
    columns = toml_of(root)["tables"]["orders"]["columns"]
    assert list(columns.values()) == header[:4]
    assert cleaning.prepare(load_shop("corner")).tables["orders"]["kept"] == 200


@pytest.mark.parametrize(
    "value", ['"', "\\", "\u007f", "a\nb", "\t", "é", "№", "'''", "\x00", "😀"]
)
def test_any_text_comes_back_from_toml(value):
    line = f"x = {written_toml.quoted(value)}\n" + "\n".join(written_toml.comment(f"a {value} b"))
    assert tomllib.loads(line) == {"x": value}


def test_parquet_with_types(root):
    frame = pd.DataFrame(sales(), columns=["order_no", "client_id", "created_at", "net_amount"])
    frame.to_parquet("orders.parquet", index=False)
    done = call("--orders", "orders.parquet", *PLACE)
    assert done.exit_code == 0, done.output
    assert set(toml_of(root)["tables"]["orders"]) == {"files", "columns"}
    orders = cleaning.prepare(load_shop("corner")).tables["orders"]
    assert (orders["kept"], orders["money_kept"]) == (200, round(sum(r[3] for r in sales()) * 100))


def test_gzip_tabs_and_bars(root):
    for sep, name in (("\t", "a.tsv.gz"), ("|", "b.csv.gz")):
        content = text(HEADERS["till"], sales(), sep=sep)
        with gzip.open(name, "wt", encoding="utf-8") as file:
            file.write(content)
        done = call("--orders", name, *PLACE, name=name[0])
        assert done.exit_code == 0, done.output
        assert cleaning.prepare(load_shop(name[0])).tables["orders"]["kept"] == 200


def test_a_pattern_of_files_and_a_folder_as_name(root, tmp_path):
    rows = sales()
    folder = tmp_path / "shops" / "my [own] shop"
    folder.mkdir(parents=True)
    for part, some in (("1", rows[:100]), ("2", rows[100:])):
        written(str(folder / f"orders-{part}.csv"), text(HEADERS["till"], some))
    done = call("--orders", "orders-*.csv", *PLACE, name=str(folder))
    assert done.exit_code == 0, done.output
    given = tomllib.loads((folder / "shop.toml").read_text())
    assert given["tables"]["orders"]["files"] == "orders-*.csv"
    assert cleaning.prepare(load_shop(str(folder))).tables["orders"]["kept"] == 200
    assert f"--shop '{folder}'" in done.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "clean", "orders-1.csv", "orders-2.csv", "private", "shop.toml",
    ]  # fmt: skip


def test_a_file_whose_name_is_a_pattern(root):
    name = plain(HEADERS["till"], "orders [2026].csv")
    done = call("--orders", name, *PLACE)
    assert done.exit_code == 0, done.output
    assert cleaning.prepare(load_shop("corner")).tables["orders"]["kept"] == 200


def test_a_failing_check_leaves_nothing_behind(root, tmp_path):
    few = [(o, "one" if k % 2 else "two", t, x) for k, (o, _, t, x) in enumerate(sales())]
    done = call("--orders", written("orders.csv", text(HEADERS["till"], few)), *PLACE)
    assert done.exit_code == 1
    assert "2 customers in all" in done.output and "No shop.toml was written" in done.output
    assert not (root / "data").exists()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["orders.csv"]


def test_an_error_while_writing_leaves_nothing_behind(root, monkeypatch):
    def refuses(*args):
        raise PermissionError(13, "Permission denied", "shop.toml")

    monkeypatch.setattr(flow.os, "replace", refuses)
    done = call("--orders", plain(HEADERS["till"]), *PLACE)
    assert (done.exit_code, done.stderr) == (1, "error: Permission denied (shop.toml)\n")
    assert not (root / "data" / "corner").exists()


# -- doubts -----------------------------------------------------------------------------------


def test_order_and_customer_are_told_apart_by_their_values(root):
    # "Order ref" is the shop's branch here, and "Order" the order.
    rows = [(f"branch {k % 3}", *row) for k, row in enumerate(sales())]
    header = ["Order no", "Invoice", "Client no", "Date", "Net sales"]
    done = call("--orders", written("orders.csv", text(header, rows)), *PLACE)
    assert done.exit_code == 0, done.output
    assert toml_of(root)["tables"]["orders"]["columns"]["order_id"] == "Invoice"


def test_an_id_per_order_is_not_a_customer_where_a_better_one_is_there(root):
    rows = [(o, f"c-{o}", c, t, x) for o, c, t, x in sales()]
    header = ["order_id", "customer_id", "customer_unique_id", "Date", "Net sales"]
    done = call("--orders", written("orders.csv", text(header, rows)), *PLACE)
    assert toml_of(root)["tables"]["orders"]["columns"]["customer_id"] == "customer_unique_id"
    rows = [(o, f"c-{o}", t, x) for o, c, t, x in sales()]
    header = ["order_id", "customer_id", "Date", "Net sales"]
    done = call("--orders", written("orders.csv", text(header, rows)), *PLACE, "--force")
    assert done.exit_code == 0, done.output
    assert "check: No customer of the first rows has a second order" in done.output
    assert "every order has a customer of its own" in done.output


def test_an_order_of_many_customers_is_refused():
    rows = [(f"branch {k % 3}", c, t, x) for k, (_, c, t, x) in enumerate(sales())]
    done = call("--orders", written("orders.csv", text(HEADERS["till"], rows)), *PLACE)
    assert done.exit_code == 2
    assert "an order must have one customer" in done.output and "branch" not in done.output


def test_a_file_without_order_numbers_gets_them_from_two_columns(root):
    rows = [row[1:] for row in sales()]
    name = written("orders.csv", text(["Client", "Day", "Net sales"], rows))
    options = (
        "--column",
        "order_id=Client",
        "--column",
        "order_id=Day",
        "--column",
        "ordered_at=Day",
    )
    done = call("--orders", name, *PLACE, *options)
    assert done.exit_code == 0, done.output
    assert toml_of(root)["tables"]["orders"]["columns"]["order_id"] == ["Client", "Day"]
    assert cleaning.prepare(load_shop("corner")).tables["orders"]["orders"] == 200


def test_doubtful_amounts_are_said(root):
    rows = [(*row, 2) for row in sales()]
    header = [*HEADERS["till"][:3], "Order total", "Qty"]
    done = call("--orders", written("orders.csv", text(header, rows)), *PLACE)
    assert (
        "check: revenue: 'Order total' is by its name a total with tax or shipping" in done.output
    )
    header[3] = "Price"
    done = call("--orders", written("orders.csv", text(header, rows)), *PLACE, "--force")
    assert done.exit_code == 2 and "the price of one unit" in done.output
    rows = [(o, c, t, x) for o, c, t, x in sales() for _ in range(2)]
    done = call("--orders", written("two.csv", text(HEADERS["till"], rows)), *PLACE, "--force")
    assert "is the same on every line of orders with several lines" in done.output


def test_an_optional_column_that_does_not_read_is_left_out_and_said(root):
    rows = [(*row, "n/a" if k % 2 else "1.00", "") for k, row in enumerate(sales())]
    header = [*HEADERS["German"], "Wareneinsatz", "Gutschein"]
    done = call("--orders", written("orders.csv", text(header, rows)), *PLACE)
    assert "not taken: Wareneinsatz for cogs, since only 50% of its values" in done.output
    assert "not taken: Gutschein" in done.output
    assert "cogs" not in toml_of(root)["tables"]["orders"]["columns"]
    assert '# cogs = "Wareneinsatz"' in (root / "data/corner/shop.toml").read_text()
    assert "not yet: Contribution margin" in done.output and "needs orders.cogs" in done.output


def test_times_in_utc_are_known_by_the_name_of_their_column(root):
    header = [*HEADERS["till"][:2], "Created (UTC)", "Net sales"]
    done = call("--orders", plain(header), *PLACE)
    assert done.exit_code == 0, done.output
    assert toml_of(root)["tables"]["orders"]["timestamps"] == "utc"


def test_another_table_joins_by_its_own_names(root):
    rows = [(c, f"{datetime(2025, 12, 1 + k % 28):%d.%m.%Y}", "Ads") for k, c in enumerate(PEOPLE)]
    written("kunden.csv", text(["Kundennummer", "Kunde seit", "Herkunft"], rows, sep=";"))
    spend = [(f"2026-0{m}-01", "Ads", "12,5") for m in range(1, 7)]
    written("kosten.csv", text(["Tag", "Kanal", "Ausgaben"], spend, sep=";"))
    options = ("--table", "customers=kunden.csv", "--table", "marketing_spend=kosten.csv")
    done = call("--orders", plain(HEADERS["German"]), *PLACE, *options)
    assert done.exit_code == 0, done.output
    tables = toml_of(root)["tables"]
    assert tables["customers"]["date_format"] == "%d.%m.%Y"
    assert tables["customers"]["columns"]["acquisition_channel"] == "Herkunft"
    assert tables["marketing_spend"]["decimal"] == ","
    assert "marketing_spend: 6 of 6 rows" in done.output
    assert "Cost of winning a customer" not in done.output
    assert cleaning.prepare(load_shop("corner")).tables["customers"]["kept"] == len(PEOPLE)


# -- known exports ----------------------------------------------------------------------------


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """Two known exports and one that cannot serve."""
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "till.toml").write_text(
        '[tables.orders]\nreads = ["Bon", "Karte", "Zeit", "Summe", "Code"]\n'
        'refuse = [{headers = ["Umsatz", "Filiale"], reason = "It holds no customers."}]\n'
        "[tables.orders.columns]\n"
        'order_id = "Bon"\ncustomer_id = "Karte"\nordered_at = "Zeit"\nrevenue = "Summe"\n'
        'currency = "Code"\n[tables.consents]\nreads = ["Karte", "Newsletter"]\n'
    )
    (folder / "ads.toml").write_text(
        '[tables.marketing_spend]\nreads = ["Ad", "Day", "Spent"]\nasks = ["amounts"]\n'
        '[tables.marketing_spend.columns]\nchannel = "Ad"\nstarts_at = "Day"\ncost = "Spent"\n'
    )
    monkeypatch.setattr(settings, "PRESETS", folder)
    known.presets.cache_clear()
    yield folder
    known.presets.cache_clear()


def drafted(monkeypatch, *arguments: str) -> tuple[dict, list[str]]:
    """Give the draft that a call comes to, as TOML, and what was said until then."""
    made = []

    def stop(found, folder):
        made.append(tomllib.loads(draft.text(found)))
        raise DataError("far enough")

    monkeypatch.setattr(flow, "_prove", stop)
    done = call(*arguments)
    assert "far enough" in done.output, done.output
    return made[0], done.output.splitlines()


def bons(*more: str) -> str:
    header = ["Bon", "Karte", "Zeit", "Summe", "Code", *more]
    rows = [(*row, "EUR", *("yes" for _ in more)) for row in sales()]
    return written("bons.csv", text(header, rows))


def test_a_known_export_is_recognized_with_all_it_fills(presets, monkeypatch):
    zone = ("--time-zone", "Europe/Berlin")
    made, said = drafted(monkeypatch, "--orders", bons("Newsletter"), *zone)
    # The preset of the orders is the shop's own, and maps all of its tables.
    assert made["preset"] == "till" and [*made["tables"]] == ["orders", "consents"]
    assert not any("preset" in table for table in made["tables"].values())
    assert made["currency"] == "EUR"
    assert said[:4] == [
        "orders: bons.csv",
        "  a known export: preset till maps its columns",
        "  (--preset none turns this off)",
        "consents: bons.csv",
    ]
    assert sum(line.startswith("consents") for line in said) == 1
    made, said = drafted(monkeypatch, "--orders", bons(), *zone)
    assert list(made["tables"]) == ["orders"]
    made, said = drafted(monkeypatch, "--orders", bons(), *PLACE, "--preset", "none",
                         "--column", "order_id=Bon", "--column", "customer_id=Karte",
                         "--column", "ordered_at=Zeit")  # fmt: skip
    assert "preset" not in made["tables"]["orders"]
    assert made["tables"]["orders"]["columns"]["revenue"] == "Summe"


def test_a_preset_that_does_not_fit_says_what_is_missing(presets):
    done = call("--orders", plain(HEADERS["till"]), *PLACE, "--preset", "till")
    assert done.exit_code == 2 and "it lacks Bon, Karte, Zeit, Summe, Code" in done.output
    done = call("--orders", plain(HEADERS["till"]), *PLACE, "--preset", "ads")
    assert done.exit_code == 2 and "add it by --also ads=FILE" in done.output


def test_orders_do_not_come_twice(presets, monkeypatch):
    name = bons("Newsletter")
    made, _ = drafted(
        monkeypatch, "--orders", plain(HEADERS["till"]), *PLACE, "--also", f"till={name}"
    )
    assert [*made["tables"]] == ["orders", "consents"]
    assert made["tables"]["orders"]["files"].endswith("/orders.csv")
    done = call("--orders", name, *PLACE, "--also", f"till={bons()}")
    assert done.exit_code == 2 and "count them twice" in done.output


def test_an_export_that_cannot_serve_says_why(presets):
    rows = [("Nord", "5,00")] * 20
    done = call("--orders", written("a.csv", text(["Filiale", "Umsatz"], rows)), *PLACE)
    assert (done.exit_code, done.stderr) == (1, "error: a.csv: It holds no customers.\n")


@pytest.mark.parametrize(
    ("vat", "settings"),
    [("net", {"amounts": "net"}), ("0.20", {"amounts": "gross", "vat_rate": 0.2})],
)
def test_another_known_export_asks_what_only_the_shop_knows(presets, monkeypatch, vat, settings):
    spend = [(f"2026-0{m}-01", "Ads", "12.5") for m in range(1, 7)]
    written("ads.csv", text(["Day", "Ad", "Spent"], spend))
    written("ads2.csv", text(["Day", "Ad", "Spent"], spend))
    options = ("--orders", bons(), *PLACE, "--also", "ads=ads.csv")
    done = call(*options)
    assert done.exit_code == 2 and "--vat net, or --vat 0.20" in done.output
    done = call(*options, "--vat", "20%")
    assert done.exit_code == 2 and "--vat 20%" in done.output
    made, _ = drafted(monkeypatch, *options, "--vat", vat)
    ads = made["tables"]["marketing_spend"]
    assert ads.pop("files").endswith("/ads.csv")
    assert ads == {"preset": "ads"} | settings
    made, _ = drafted(monkeypatch, *options, "--vat", vat, "--also", "ads=ads2.csv")
    files = [each["files"].rpartition("/")[2] for each in made["tables"]["marketing_spend"]]
    assert files == ["ads.csv", "ads2.csv"]


# -- the data file ----------------------------------------------------------------------------


def test_the_known_names_are_each_once_and_of_the_contract():
    data = names._synonyms()
    for section, tables in data.items():
        parts = tables if section in names.DOUBTS else {section: tables}
        for table, columns in parts.items():
            assert set(columns) <= {column.name for column in TABLES[table].columns}
            for column, known_names in columns.items():
                plain_names = [names.plain_name(name) for name in known_names]
                assert all(plain_names)
                assert len(plain_names) == len(set(plain_names)), (table, column)
    of = {}
    for column, known_names in data["orders"].items():
        for name in known_names:
            assert of.setdefault(names.plain_name(name), column) == column, name


def test_a_refused_proof_points_to_no_folder_that_is_gone(root, tmp_path):
    rows = [(o, c, "" if k < 10 else t, 1e5 if k < 10 else x)
            for k, (o, c, t, x) in enumerate(sales())]  # fmt: skip
    done = call("--orders", written("orders.csv", text(HEADERS["till"], rows)), *PLACE)
    assert done.exit_code == 1
    assert "hold 99" in done.output and ": 10)" in done.output
    assert "clean/refused" not in done.output and str(tmp_path) not in done.output
    assert "reason is named with the number of its rows" in done.output
    assert done.output.endswith("No shop.toml was written.\n")
    assert not (root / "data" / "corner").exists()
