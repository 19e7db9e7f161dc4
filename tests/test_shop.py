import pytest
from stand_ins import input_digest

from helpers.contract.shop import load_shop, shop_names
from helpers.errors import DataError, UsageError


def refused(folder) -> str:
    with pytest.raises(UsageError) as caught:
        load_shop(str(folder))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_ten_lines_are_enough(tmp_path):
    (tmp_path / "shop.toml").write_text(
        'currency = "EUR"\ntime_zone = "Europe/Berlin"\n[tables.orders]\nfiles = "o*.csv"\n'
        '[tables.orders.columns]\norder_id = "No"\ncustomer_id = "Client"\nordered_at = "When"\n'
        'revenue = "Net"\n'
    )
    shop = load_shop(str(tmp_path))
    assert shop.sources["orders"][0].columns["customer_id"] == "Client"
    assert shop.margin.rule == "costs" and shop.privacy.min_cell == 10


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("curency_x = 1", ["unknown key 'curency_x'", "Did you mean 'currency'"]),
        ('duplicates = "drop"', ["duplicates is 'drop'", "'keep', 'quarantine'"]),
        ('engine = "duckdbb"', ["engine is 'duckdbb'", "Did you mean 'duckdb'"]),
        ('opened_at = "soon"', ["opened_at is 'soon'", "2026-06-30"]),
        ('threads = "two"', ["threads is 'two'", "whole number"]),
        ("[privacy]\nmin_cel = 3", ["unknown key 'min_cel'", "Did you mean 'min_cell'"]),
        ('[margin]\nrule = "rate"', ["rate is None", "rate = 0.35"]),
        ("[margin]\nrule = true", ["rule is True", "must be a text"]),
        ('[tables.order]\nfiles = "x.csv"', ["unknown table 'order'", "Did you mean 'orders'"]),
        ('[tables.carts]\nfile = "x.csv"', ["unknown key 'file'", "Did you mean 'files'"]),
        ("[tables.carts]", ["give either files"]),
        ('[tables.carts]\npackage = "p"', ["path (inside the package) is needed"]),
        ("[tables.carts]\nfiles = 3", ["files is 3", "text or list of text"]),
        (
            '[tables.carts]\nfiles = "x.csv"\n[tables.carts.columns]\ncart = "c"',
            ["unknown column 'cart'", "Did you mean 'cart_id'"],
        ),
        ('preset = "cdnaw"', ["preset is 'cdnaw'", "Did you mean 'cdnow'"]),
        (
            '[tables.carts]\nfiles = "x.csv"\ndate_format = "dd.MM.yyyy"',
            ["date_format is", "%d.%m.%Y"],
        ),
        ('[tables.carts]\nfiles = "x.csv"\ndate_format = "%d.%m.%y"', ["date_format is"]),
        ("= 3", ["is not valid TOML"]),
    ],
)
def test_faults_of_shop_toml(make_shop, toml, words):
    message = refused(make_shop(toml=toml))
    assert all(word in message for word in words), message


def test_currency_and_zone_are_never_assumed(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text('[tables.orders]\nfiles = "o.csv"\n')
    assert "'currency' is missing" in refused(tmp_path)
    path.write_text('currency = "EUR"\n[tables.orders]\nfiles = "o.csv"\n')
    assert "'time_zone' is missing" in refused(tmp_path)
    path.write_text(
        'currency = "euro"\ntime_zone = "Europe/Berlin"\n[tables.orders]\nfiles = "o"\n'
    )
    assert "currency is 'euro'" in refused(tmp_path)
    path.write_text('currency = "EUR"\ntime_zone = "Europe/Berln"\n[tables.orders]\nfiles = "o"\n')
    assert "Did you mean 'Europe/Berlin'" in refused(tmp_path)
    path.write_text('currency = "EUR"\ntime_zone = "Europe/Berlin"\n')
    assert "[tables.orders] is missing" in refused(tmp_path)


def test_unknown_shop_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'cdnow'"):
        load_shop("cdnov")
    assert {"cdnow", "cdnow_sample"} <= set(shop_names())


def test_missing_file_and_package(make_shop):
    folder = make_shop(toml="")
    (folder / "orders.csv").rename(folder / "order.csv")
    with pytest.raises(DataError, match=r"no file matches 'orders.csv'.*Did you mean 'order.csv'"):
        input_digest(load_shop(str(folder)))
    (folder / "shop.toml").write_text(
        'currency = "USD"\ntime_zone = "UTC"\n[tables.orders]\npackage = "nosuchpackage"\npath = "x"\n'
    )
    with pytest.raises(DataError, match="requirements-examples.txt"):
        input_digest(load_shop(str(folder)))


def test_digest_follows_content_and_settings_not_place(make_shop, tmp_path):
    first = input_digest(load_shop(str(make_shop())))
    copy = tmp_path / "elsewhere" / "corner"
    copy.parent.mkdir()
    (tmp_path / "corner").rename(copy)
    assert input_digest(load_shop(str(copy))) == first
    text = (copy / "shop.toml").read_text()
    (copy / "shop.toml").write_text("threads = 1\n" + text)
    assert input_digest(load_shop(str(copy))) == first
    (copy / "shop.toml").write_text('duplicates = "quarantine"\n' + text)
    assert input_digest(load_shop(str(copy))) != first
    (copy / "shop.toml").write_text(text)
    with (copy / "orders.csv").open("a") as file:
        file.write("6,dora,2026-03-01,1.00\n")
    assert input_digest(load_shop(str(copy))) != first


def test_preset_is_completed_by_shop_toml(tmp_path):
    (tmp_path / "shop.toml").write_text(
        'preset = "cdnow"\ntitle = "Mine"\n[privacy]\nmin_cell = 5\n'
    )
    shop = load_shop(str(tmp_path))
    assert (shop.title, shop.currency, shop.privacy.min_cell) == ("Mine", "USD", 5)
    assert shop.sources["orders"][0].columns["order_id"] == ("customer_id", "date")
