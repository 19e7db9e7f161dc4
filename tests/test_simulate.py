"""The simulated shop: same content as committed, and true to the law that truth.toml states."""

import io
import tomllib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.contract.shop import ROOT
from helpers.contract.tables import TABLES
from helpers.errors import UsageError
from helpers.simulate import (
    SAMPLE,
    SAMPLE_SEED,
    csv_texts,
    main,
    simulate,
    simulate_batch,
    simulate_batches,
    write_shop,
)
from helpers.simulate.config import calendar
from helpers.simulate.faults import KINDS, PAYMENT_KINDS
from helpers.simulate.report import to_toml
from helpers.simulate.truth import (
    AGES,
    expected_orders,
    order_margin,
    replicated_values,
    value_by_age,
)

FOLDER = ROOT / "data" / "sample"
LIMIT = 4.0  # standard errors; one check in 16,000 would fail by chance
BIG = replace(SAMPLE, customers=30_000, faults=False, replicates=0)
PLAIN = replace(SAMPLE, customers=25_000, faults=False, experiments=(), replicates=0)


@pytest.fixture(scope="module")
def sample():
    return simulate(SAMPLE, SAMPLE_SEED)


@pytest.fixture(scope="module")
def big():
    return simulate(BIG, 11)


@pytest.fixture(scope="module")
def plain():
    return simulate(PLAIN, 12)


@pytest.fixture(scope="module")
def raw_orders():
    return pd.read_csv(FOLDER / "orders.csv", dtype=str, keep_default_na=False)


def sales_of(shop):
    orders = shop.frames["orders"]
    return orders[~orders["is_refund"]]


def z_of_mean(values, expected):
    values = np.asarray(values, dtype=float)
    return (values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values)))


# --- what is committed -------------------------------------------------------------------


def test_generator_gives_the_committed_files(sample):
    texts = csv_texts(sample)
    assert set(texts) == {path.stem for path in FOLDER.glob("*.csv")}
    for name, text in texts.items():
        assert (FOLDER / f"{name}.csv").read_bytes() == text.encode(), name
    assert (FOLDER / "truth.toml").read_bytes() == to_toml(sample.truth).encode()


def test_committed_files_are_under_five_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.csv")) < 5_000_000


def test_every_table_of_the_contract_is_there_with_its_columns_only(sample):
    texts = csv_texts(sample)
    assert set(texts) == set(TABLES)
    for name, text in texts.items():
        header = text.split("\n", 1)[0].split(",")
        known = [column.name for column in TABLES[name].columns]
        assert set(header) <= set(known), name
        assert set(TABLES[name].required) <= set(header), name


def test_sample_has_the_planned_shape(sample):
    facts = sample.truth["facts"]["by_as_of"]
    assert 4_500 < facts["customers"] < 5_200
    assert 2.6 < facts["orders"] / facts["customers"] < 3.3
    assert 0.45 < facts["one_time_share"] < 0.55
    stamps = sales_of(sample)["ordered_at"]
    assert stamps.min() >= pd.Timestamp("2024-01-01")
    assert stamps.min() < pd.Timestamp("2024-01-03")
    assert stamps.max().strftime("%Y-%m-%d") == "2026-07-05"


def test_experiments_end_where_the_two_last_months_need_them(sample):
    tests = sample.truth["experiments"]
    ended = {name: t["ends"].strftime("%Y-%m") for name, t in tests.items()}
    assert "2026-05" in ended.values()
    assert "2026-06" in ended.values()
    assert any(not t["window_over"] and t["starts"] < SAMPLE.as_of for t in tests.values())
    seen = [
        arm["seen"] for t in sample.truth["facts"]["experiments"].values() for arm in t.values()
    ]
    assert any(seen)
    assert not all(seen)


def test_no_time_falls_in_the_hour_of_the_clock_change(sample):
    for name, frame in sample.frames.items():
        for column in frame.columns:
            if frame[column].dtype.kind == "M":
                assert not (frame[column].dt.hour == 2).any(), (name, column)


def test_truth_is_toml_and_reads_back(sample, tmp_path):
    write_shop(tmp_path, sample)
    read = tomllib.loads((tmp_path / "truth.toml").read_text())
    assert set(read) == set(sample.truth)
    assert read["facts"]["clean"] == sample.truth["facts"]["clean"]
    assert read["shop"]["as_of"] == SAMPLE.as_of
    arm = read["experiments"]["winback"]["effects"]["voucher"]
    assert arm["margin"] == pytest.approx(
        sample.truth["experiments"]["winback"]["effects"]["voucher"]["margin"], abs=1e-8
    )


def test_text_is_escaped_in_toml():
    text = to_toml({"a": {"b": 'say "no" \\ yes', "c": [1, 2.5], "d": True}})
    assert tomllib.loads(text) == {"a": {"b": 'say "no" \\ yes', "c": [1, 2.5], "d": True}}


# --- planted faults, counted from the files by rules of their own ---------------------------


def _kinds_found(raw):
    dates = pd.to_datetime(raw["ordered_at"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    amount = pd.to_numeric(raw["revenue"], errors="coerce")
    unknown = ~raw["refund_of"].isin(raw.loc[raw["is_refund"] == "false", "order_id"])
    return {
        "duplicate_line": raw.duplicated(),
        "unreadable_date": dates.isna(),
        "missing_customer": raw["customer_id"] == "",
        "unreadable_revenue": amount.isna(),
        "currency_without_rate": raw["currency"] != "EUR",
        "zero_revenue": amount == 0,
        "future_date": dates.dt.year > 2026,
        "refund_of_unknown_order": (raw["is_refund"] == "true") & unknown,
    }


def test_planted_faults_are_counted_exactly(sample, raw_orders):
    facts = sample.truth["facts"]
    found = _kinds_found(raw_orders)
    amount = pd.to_numeric(raw_orders["revenue"], errors="coerce").fillna(0)
    for kind, rows in found.items():
        assert int(rows.sum()) == facts["faults"][kind]["rows"] == KINDS[kind], kind
        assert round(float(amount[rows].sum()), 2) == facts["faults"][kind]["revenue"], kind
    faulty = np.column_stack(list(found.values())).any(axis=1)
    assert faulty.sum() == sum(KINDS.values())  # no row has two faults
    clean = facts["clean"]
    assert (~faulty).sum() == clean["sale_lines"] + clean["refund_lines"]
    assert round(float(amount[~faulty].sum()), 2) == clean["revenue"]
    assert len(raw_orders) == facts["rows_in_files"]["orders"]


def test_planted_payment_faults_are_counted_exactly(sample):
    orders = sample.frames["orders"]
    due = orders.groupby("order_id")["revenue"].sum().round(2)
    paid = pd.read_csv(io.StringIO(csv_texts(sample)["payments"]))
    booked = paid.groupby("order_id")["amount"].sum().round(2)
    count = paid.groupby("order_id").size()
    both = due.index.intersection(booked.index)
    differs = (due[both] - booked[both]).abs() > 0.005
    assert (count > 1).sum() == PAYMENT_KINDS["paid_twice"]
    assert differs.sum() - (count > 1).sum() == PAYMENT_KINDS["wrong_amount"]
    assert len(due.index.difference(booked.index)) == PAYMENT_KINDS["missing_payment"]
    assert len(booked.index.difference(due.index)) == PAYMENT_KINDS["unknown_order"]
    assert len(paid) == sample.truth["facts"]["rows_in_files"]["payments"]


def test_faults_leave_the_clean_frames_alone(sample):
    without = simulate(replace(SAMPLE, faults=False, replicates=0), SAMPLE_SEED)
    for name, frame in without.frames.items():
        pd.testing.assert_frame_equal(frame, sample.frames[name])
    assert "faults" not in without.truth["facts"] or not without.truth["facts"]["faults"]


# --- arithmetic ------------------------------------------------------------------------------


def cents(values):
    return np.rint(np.asarray(values, dtype=float) * 100).astype(np.int64)


def test_lines_add_up_to_the_cent(big):
    orders = big.frames["orders"]
    product = orders["quantity"].to_numpy() * cents(orders["unit_price"])
    assert (product - cents(orders["discount"]) == cents(orders["revenue"])).all()
    assert (cents(sales_of(big)["revenue"]) > 0).all()


def test_refunds_never_exceed_their_line_and_follow_the_sale(big):
    orders = big.frames["orders"]
    refunds = orders[orders["is_refund"]]
    sale = orders[~orders["is_refund"]]
    lines = sale.merge(
        refunds, left_on="order_id", right_on="refund_of", suffixes=("", "_back")
    ).query("product_id == product_id_back and unit_price == unit_price_back")
    best = lines.groupby("refund_of_back")["revenue"].max()
    back = -refunds.set_index("refund_of")["revenue"]
    assert (cents(back) <= cents(best[back.index]) + 1).all()
    assert (refunds["revenue"] < 0).all()
    dated = lines.dropna(subset=["refunded_at_back"])
    days = (dated["refunded_at_back"] - dated["ordered_at"]) / pd.Timedelta(days=1)
    assert days.between(2, 31).all()
    assert (dated["ordered_at_back"] == dated["refunded_at_back"]).all()
    undated = lines[lines["refunded_at_back"].isna()]
    assert len(undated) > 0
    assert (undated["ordered_at_back"] == undated["ordered_at"]).all()


def test_keys_are_unique_and_point_somewhere(big):
    frames = big.frames
    assert not frames["orders"].duplicated(["order_id", "line_id"]).any()
    known = set(frames["customers"]["customer_id"])
    assert len(known) == len(frames["customers"])
    for name in ("orders", "consents", "assignments", "touchpoints", "service_costs", "carts"):
        assert set(frames[name]["customer_id"]) <= known, name
    for name, key in {"carts": "cart_id", "payments": "payment_id", "leads": "lead_id"}.items():
        assert frames[name][key].is_unique, name
    assert not frames["assignments"].duplicated(["experiment_id", "customer_id"]).any()
    recovered = frames["carts"]["recovered_order_id"]
    assert set(recovered[recovered != ""]) <= set(frames["orders"]["order_id"])


def test_campaigns_reach_only_customers_with_consent(big):
    frames = big.frames
    gone = frames["consents"].query("state == 'withdrawn'").set_index("customer_id")["at"]
    given = set(frames["consents"].query("state == 'granted'")["customer_id"])
    assigned = frames["assignments"].query("experiment_id != 'onboarding'")
    assert set(assigned["customer_id"]) <= given
    ended = assigned["customer_id"].map(gone)
    assert (ended.isna() | (ended > assigned["assigned_at"])).all()


# --- the law -----------------------------------------------------------------------------------


@pytest.mark.parametrize("age", AGES)
def test_orders_by_age_follow_the_closed_form(plain, age):
    sales = sales_of(plain).drop_duplicates("order_id")
    first = sales.groupby("customer_id")["ordered_at"].transform("min")
    end = pd.Timestamp(PLAIN.as_of) + pd.Timedelta(days=1)
    eligible = sales[first <= end - pd.Timedelta(days=age)]
    young = (eligible["ordered_at"] - first[eligible.index]) < pd.Timedelta(days=age)
    counts = young.groupby(eligible["customer_id"]).sum()
    assert abs(z_of_mean(counts, value_by_age(PLAIN, age)["orders"])) < LIMIT


def test_replicated_value_agrees_with_the_closed_form_where_there_is_no_experiment():
    shop = replace(PLAIN, replicates=30_000)
    found = replicated_values(shop, 5)
    for age in AGES:
        expected = value_by_age(shop, age)
        for name in ("orders", "revenue", "margin"):
            gap = found[age][name] - expected[name]
            assert abs(gap) < LIMIT * found[age][f"{name}_se"], (age, name)


def test_spend_follows_the_gamma_gamma_law_and_not_the_purchase_rate(plain):
    sales, latent = sales_of(plain), plain.latent.set_index("customer_id")
    listed = sales["quantity"] * sales["unit_price"]
    by_order = listed.groupby(sales["order_id"]).sum()
    who = sales.drop_duplicates("order_id").set_index("order_id")["customer_id"]
    by_customer = by_order.groupby(who).mean()
    expected = PLAIN.p * PLAIN.gamma / (PLAIN.q - 1)
    assert abs(z_of_mean(by_customer, expected)) < LIMIT
    assert (
        abs(z_of_mean(by_order / latent.loc[who[by_order.index], "mean_value"].to_numpy(), 1.0))
        < LIMIT
    )
    together = np.corrcoef(latent["rate"], latent["mean_value"])[0, 1]
    assert abs(together) * np.sqrt(len(latent)) < LIMIT


def test_margin_of_an_order_is_as_stated(plain):
    orders = plain.frames["orders"]
    settled = pd.Timestamp(PLAIN.last_day) - pd.Timedelta(days=31)
    sale_of = orders["order_id"].where(~orders["is_refund"], orders["refund_of"])
    sales = sales_of(plain)
    usual = sales.groupby("order_id")["discount"].sum() == 0
    early = sales.groupby("order_id")["ordered_at"].min() < settled
    names = usual.index[usual & early]
    costs = orders["cogs"] + orders["shipping_cost"] + orders["payment_fee"]
    margin = (orders["revenue"] - costs).groupby(sale_of).sum()[names]
    revenue = orders["revenue"].groupby(sale_of).sum()[names]
    stated = plain.truth["margin"]
    assert abs(z_of_mean(revenue, stated["order_revenue"])) < LIMIT
    assert abs(z_of_mean(margin, stated["order_margin"] * stated["cost_known"])) < LIMIT


def test_shares_of_refunds_channels_lines_and_missing_costs(plain):
    sales = sales_of(plain)
    settled = sales[sales["ordered_at"] < pd.Timestamp(PLAIN.last_day) - pd.Timedelta(days=31)]
    refunded = plain.frames["orders"]["refund_of"]
    first = sales.drop_duplicates("customer_id")
    lines = sales.groupby("order_id").size()
    checks = [
        (settled.drop_duplicates("order_id")["order_id"].isin(refunded), PLAIN.refund_share),
        (sales["cogs"].isna(), PLAIN.cogs_missing),
        (lines == 2, PLAIN.lines[1]),
    ]
    checks += [(first["channel"] == c.name, c.share) for c in PLAIN.channels]
    checks += [(sales["category"] == c.name, c.share) for c in PLAIN.categories]
    for values, share in checks:
        assert abs(z_of_mean(values, share)) < LIMIT, share


def test_season_shows_in_repeat_orders():
    quiet = replace(PLAIN, season=(1.0,) * 12)
    assert calendar(quiet).exposure(np.array([366.0]))[0] == pytest.approx(366, abs=1)
    counts = []
    for config in (PLAIN, quiet):
        sales = sales_of(simulate(replace(config, customers=8_000), 3)).drop_duplicates("order_id")
        repeats = sales[sales.duplicated("customer_id")]["ordered_at"]
        counts.append([(repeats.dt.strftime("%Y-%m") == m).sum() for m in ("2025-07", "2025-12")])
    rise = [december / july for july, december in counts]
    assert rise[0] / rise[1] == pytest.approx(PLAIN.season[11] / PLAIN.season[6], rel=0.15)


def test_next_year_is_expected_without_bias():
    # Blocks are independent shops: their differences from expectation give the standard error.
    longer = replace(
        BIG, customers=9_000, last_day=BIG.as_of.replace(year=2027, month=8), block_customers=450
    )
    start = pd.Timestamp(BIG.as_of) + pd.Timedelta(days=1)
    gaps = []
    for batch in simulate_batches(longer, 21):
        orders, expected = batch.frames["orders"], batch.sums["next_12_months"]
        sales = orders[~orders["is_refund"]]
        old = set(sales[sales["ordered_at"] < start]["customer_id"])
        year = sales["ordered_at"].between(
            start, start + pd.Timedelta(days=365), inclusive="left"
        ) & sales["customer_id"].isin(old)
        names = set(sales[year]["order_id"])
        sale_of = orders["order_id"].where(~orders["is_refund"], orders["refund_of"])
        mine = orders[sale_of.isin(names)]
        costs = mine["cogs"] + mine["shipping_cost"] + mine["payment_fee"]
        margin = (mine["revenue"] - costs).sum() / (1 - BIG.cogs_missing)
        gaps.append(
            (
                len(names) - expected["orders"],
                mine["revenue"].sum() - expected["revenue"],
                margin - expected["margin"],
            )
        )
    for values in np.array(gaps).T:
        assert abs(z_of_mean(values, 0.0)) < LIMIT


# --- experiments ---------------------------------------------------------------------------------


def arms_with_truth(shop):
    for name, arms in shop.truth["facts"]["experiments"].items():
        for arm, facts in arms.items():
            yield name, arm, facts, shop.truth["experiments"][name]["effects"][arm]


def test_true_effects_are_recovered_where_arms_were_randomized(big):
    known = 1 - BIG.cogs_missing
    checked = 0
    for name, arm, facts, effect in arms_with_truth(big):
        if not big.truth["experiments"][name]["randomized"]:
            continue
        for measure, share in (("orders", 1.0), ("margin", known)):
            gap = facts[f"{measure}_difference"] - effect[measure] * share
            assert abs(gap) < LIMIT * facts[f"{measure}_se"], (name, arm, measure)
            checked += 1
    assert checked == 18  # nine treated arms, orders and margin


def test_a_naive_reading_of_the_loyalty_letter_is_very_wrong(big):
    facts = big.truth["facts"]["experiments"]["loyalty_mail"]["mailed"]
    effect = big.truth["experiments"]["loyalty_mail"]["effects"]["mailed"]
    assert effect["orders_naive"] > 5 * effect["orders"] > 0
    assert facts["orders_difference"] - effect["orders"] > 10 * facts["orders_se"]
    assert abs(facts["orders_difference"] - effect["orders_naive"]) < LIMIT * facts["orders_se"]


def test_the_flash_sale_only_pulls_forward(big):
    effect = big.truth["experiments"]["flash_sale"]["effects"]["flash"]
    assert effect["orders"] == pytest.approx(0, abs=1e-9)
    assert effect["orders_pulled_forward"] > 0.05
    assert effect["margin"] < 0
    assigned = big.frames["assignments"].query("experiment_id == 'flash_sale'")
    sales = sales_of(big).drop_duplicates("order_id")
    each = sales.merge(assigned[["customer_id", "assigned_at"]], on="customer_id")
    days = (each["ordered_at"] - each["assigned_at"]) / pd.Timedelta(days=1)
    arm = assigned.set_index("customer_id")["arm"]
    early = each[(days >= 0) & (days < 14)].groupby("customer_id").size().reindex(arm.index)
    flash, control = (early.fillna(0)[arm == name] for name in ("flash", "control"))
    spread = np.sqrt(flash.var() / len(flash) + control.var() / len(control))
    gap = flash.mean() - control.mean()
    assert abs(gap - effect["orders_pulled_forward"]) < LIMIT * spread
    assert gap > 5 * spread


def test_the_null_campaign_has_no_effect_at_all(sample):
    assert sample.truth["experiments"]["spring_news"]["effects"]["newsletter"]["margin"] == 0


def test_factors_are_independent_and_arms_of_equal_size(big):
    assigned = big.frames["assignments"].query("experiment_id == 'offer_reminder'")
    counts = assigned["factors"].value_counts()
    assert len(counts) == 4
    spread = np.sqrt(len(assigned) * 0.25 * 0.75)
    assert (np.abs(counts - len(assigned) / 4) < LIMIT * spread).all()


def test_open_windows_of_one_customer_never_overlap(big):
    days = {e.experiment_id: e.window_days for e in BIG.experiments}
    assigned = big.frames["assignments"].sort_values(["customer_id", "assigned_at"])
    length = pd.to_timedelta(assigned["experiment_id"].map(days), unit="D")
    end = (assigned["assigned_at"] + length).groupby(assigned["customer_id"]).shift()
    assert (end.isna() | (end <= assigned["assigned_at"])).all()


# --- any size, any shop --------------------------------------------------------------------------


def test_batches_give_the_same_shop_in_any_order():
    config = replace(SAMPLE, customers=900, block_customers=300, faults=False, replicates=0)
    whole = simulate(config, 4)
    batches = list(simulate_batches(config, 4))
    assert len(batches) >= 3
    for name in batches[0].frames:
        joined = pd.concat([batch.frames[name] for batch in batches], ignore_index=True)
        pd.testing.assert_frame_equal(joined, whole.frames[name])
    alone = simulate_batch(config, 4, 2)
    pd.testing.assert_frame_equal(alone.frames["orders"], batches[2].frames["orders"])
    assert whole.frames["orders"].groupby("order_id")["customer_id"].nunique().max() == 1


def test_seed_decides_the_content():
    small = replace(SAMPLE, customers=300, faults=True, replicates=0)
    same, again, other = (csv_texts(simulate(small, seed)) for seed in (1, 1, 2))
    assert same == again
    assert same["orders"] != other["orders"]


@pytest.mark.parametrize(
    "changes",
    [
        {"customers": 1},
        {"customers": 40, "experiments": ()},
        {"customers": 200, "season": (1.0,) * 12, "promotions": ()},
        {"customers": 200, "refund_share": 0.0, "consent_share": 0.0},
        {"customers": 200, "as_of": SAMPLE.first_day.replace(month=4)},
    ],
)
def test_other_shops_can_be_had(changes, tmp_path):
    config = replace(SAMPLE, faults=False, replicates=0, **changes)
    shop = simulate(config, 8)
    files = {path.name for path in write_shop(tmp_path, shop)}
    assert {"orders.csv", "customers.csv", "truth.toml"} <= files
    assert tomllib.loads((tmp_path / "truth.toml").read_text())["next_12_months"]["orders"] >= 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"customers": 0}, "customers must be above 0"),
        ({"season": (2.0,) * 12}, "season"),
        ({"lines": (0.5, 0.2)}, "lines"),
        ({"q": 1.5}, "q must be above 2"),
        ({"experiments": (replace(SAMPLE.experiments[0], population="old"),)}, "population"),
    ],
)
def test_impossible_shops_are_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        replace(SAMPLE, **changes)


def test_faults_need_a_shop_to_hide_in():
    with pytest.raises(UsageError, match="faults=False"):
        simulate(replace(SAMPLE, customers=3, replicates=0), 1)


def test_command_writes_a_shop(tmp_path, capsys):
    main([str(tmp_path / "shop"), "--customers", "200", "--seed", "3"])
    assert (tmp_path / "shop" / "orders.csv").exists()
    assert "truth.toml" in capsys.readouterr().out


def test_expected_orders_of_a_known_customer():
    alive = np.array([True, False])
    found = expected_orders(alive, np.array([0.02, 0.02]), np.array([0.25, 0.25]), np.array(100.0))
    assert found[0] == pytest.approx((1 - np.exp(-0.5)) / 0.25)
    assert found[1] == 0


def test_order_margin_without_refunds_is_plain_arithmetic():
    earns = order_margin(replace(SAMPLE, refund_share=0.0))
    goods = sum(c.share * c.cogs_share for c in SAMPLE.categories)
    expected = 50 * 0.9 * (1 - 0.014) - 50 * goods - 4 - 0.25
    assert float(earns.margin(50.0, 0.1, 4.0)) == pytest.approx(expected)
