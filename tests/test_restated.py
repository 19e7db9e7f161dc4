"""A published month and the same month today: every cent of the difference has its reason."""

import json

import pytest

from helpers import records, summaries
from helpers.chapters import restated
from helpers.study import open_study

HEAD = "order_id,customer_id,ordered_at,revenue,cogs,is_refund,refund_of,known_at\n"
JANUARY = """1,anna,2026-01-05 10:00:00,20.00,8.00,false,,
2,ben,2026-01-10 11:00:00,30.10,12.00,false,,
2,ben,2026-01-20 11:00:00,-5.05,-2.00,true,2,
"""
FEBRUARY = """3,cleo,2026-02-02 10:00:00,40.00,16.00,false,,
1,anna,2026-02-12 09:00:00,-7.77,-3.00,true,1,
4,anna,2026-01-28 09:00:00,11.11,4.00,false,,2026-02-03 08:00:00
"""
MORE = "5,ben,2026-03-05 10:00:00,1.00,0.50,false,,\n"


@pytest.fixture
def shop(make_shop, tmp_path, monkeypatch):
    """A shop whose January is published; gives a way to look at it from February."""
    monkeypatch.setenv("LTV_REPORTS", str(tmp_path / "reports"))

    def open_as(orders: str, month: str, toml: str = ""):
        return open_study(str(make_shop(HEAD + orders, toml=toml)), month)

    def publish(study, **changes):
        known = summaries.load(study, "known_months")
        facts = restated.facts(study, known) | changes
        record = {"shop": study.shop.name, "month": study.month, "currency": study.currency,
                  "figures": [], "extra": {"month_facts": facts}}  # fmt: skip
        stored = {"06_monthly_scorecard": json.loads(json.dumps(record))}
        monkeypatch.setattr(records, "published_records", lambda *a: stored)
        return stored

    return open_as, publish


def bridge_of(study):
    table, reason = restated.bridge(study, summaries.load(study, "known_months"))
    return table.set_index("step"), reason, restated.sentence(study, *restated.bridge(
        study, summaries.load(study, "known_months")))  # fmt: skip


def steps(table, name):
    return table.loc[restated.STEPS[name]].to_list()


ALL = JANUARY + FEBRUARY + MORE


def test_late_rows_and_refunds_since_explain_an_unchanged_file(shop):
    open_as, publish = shop
    publish(open_as(ALL, "2026-01"))
    table, reason, text = bridge_of(open_as(ALL, "2026-02"))
    assert not reason
    assert steps(table, "published") == [45.05, 27.05, 5.05, 2]
    assert steps(table, "late") == [11.11, 7.11, 0, 1]
    assert steps(table, "refunds") == [-7.77, -4.77, 7.77, 0]
    for name in ("restated", "definitions", "rest"):
        assert steps(table, name) == [0, 0, 0, 0]
    assert steps(table, "now") == [48.39, 29.39, 12.82, 3]
    assert "€45.05" in text and "+€3.34" in text and "late" in text


def test_what_was_published_is_what_was_known_then(shop):
    """The sums of January as of January are those of the study, whatever stands later in files."""
    open_as, publish = shop
    early = publish(open_as(JANUARY + MORE, "2026-01"))["06_monthly_scorecard"]["extra"]
    late = publish(open_as(ALL, "2026-01"))["06_monthly_scorecard"]["extra"]
    assert early["month_facts"]["sums"] == late["month_facts"]["sums"]


def test_amounts_that_a_new_file_gives_otherwise_are_restated(shop):
    open_as, publish = shop
    publish(open_as(ALL, "2026-01"))
    changed = ALL.replace("2,ben,2026-01-10 11:00:00,30.10,12.00",
                          "2,ben,2026-01-10 11:00:00,29.00,13.00")  # fmt: skip
    table, _, _ = bridge_of(open_as(changed, "2026-02"))
    assert steps(table, "restated") == [-1.1, -2.1, 0, 0]
    assert steps(table, "late") == [11.11, 7.11, 0, 1]
    parts = table.drop(index=restated.STEPS["now"]).sum().round(2)
    assert parts.to_list() == steps(table, "now")


def test_a_new_margin_rule_is_a_definition(shop):
    open_as, publish = shop
    publish(open_as(ALL, "2026-01"))
    rule = '[margin]\nrule = "rate"\nrate = 0.5\n'
    table, _, text = bridge_of(open_as(ALL, "2026-02", rule))
    assert steps(table, "definitions")[0] == 0 and steps(table, "definitions")[1] != 0
    assert steps(table, "restated") == steps(table, "rest") == [0, 0, 0, 0]
    parts = table.drop(index=restated.STEPS["now"]).sum().round(2)
    assert parts.to_list() == steps(table, "now") and "revenue" in text


def test_code_that_changed_is_a_definition_and_both_changed_is_a_rest(shop):
    open_as, publish = shop
    sums = {"revenue": 45.0, "margin": 27.05, "refunds": 5.05, "orders": 2}
    publish(open_as(ALL, "2026-01"), definitions="other", sums=sums)
    table, _, _ = bridge_of(open_as(ALL, "2026-02"))
    assert steps(table, "definitions") == [0.05, 0, 0, 0]
    publish(open_as(ALL, "2026-01"), definitions="other", files="other", sums=sums)
    table, _, text = bridge_of(open_as(ALL, "2026-02"))
    assert steps(table, "rest") == [0.05, 0, 0, 0] and "cannot be divided" in text


def test_targets_and_the_core_metric_define_no_figure(shop):
    open_as, publish = shop
    publish(open_as(ALL, "2026-01"))
    known = open_as(ALL, "2026-02", "[core_metric]\ntarget = 3.0\n[targets]\naov = 20\n")
    table, _, _ = bridge_of(known)
    assert steps(table, "definitions") == steps(table, "rest") == [0, 0, 0, 0]


def test_a_month_that_stands_says_so(shop):
    open_as, publish = shop
    publish(open_as(JANUARY + MORE, "2026-01"))
    extra = JANUARY + MORE + "6,cleo,2026-02-09 10:00:00,4.00,1.00,false,,\n"
    _, _, text = bridge_of(open_as(extra, "2026-02"))
    assert text == "2026-01 stands as it was published, to the cent."


def test_a_month_that_was_not_published_or_cannot_be_compared_says_why(shop, monkeypatch):
    open_as, publish = shop
    study = open_as(ALL, "2026-02")
    monkeypatch.setattr(records, "published_records", lambda *a: {})
    assert "was not published" in bridge_of(study)[1] and bridge_of(study)[0].empty
    stored = publish(open_as(ALL, "2026-01"))["06_monthly_scorecard"]
    stored["currency"] = "USD"
    assert "published in USD" in bridge_of(study)[1]
    del stored["extra"]["month_facts"]
    assert "publish it again" in bridge_of(study)[1]
    assert "does not reach back" in bridge_of(open_as(ALL, "2026-01"))[1]
