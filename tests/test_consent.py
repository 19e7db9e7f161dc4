"""Consent as of the moment that matters, its coverage, and what was sent without it."""

import random
from datetime import date, datetime, timedelta

import ibis
import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import intake_findings
from helpers.persons import keys as persons
from helpers.study import open_study
from helpers.summaries import consent
from helpers.written import money_in

CONSENTS = """customer_id,purpose,state,at
anna,email_marketing,granted,2026-01-01 09:00:00
anna,email_marketing,withdrawn,2026-02-10 12:00:00
ben,email_marketing,granted,2026-02-20 00:00:00
ben,email_marketing,withdrawn,2026-04-01 00:00:00
cleo,profiling,Granted,2026-01-02 00:00:00
dora,email_marketing,granted,2026-01-01 00:00:00
dora,email_marketing,withdrawn,2026-01-01 00:00:00
"""
TOUCHPOINTS = """customer_id,campaign_id,kind,sent_at
anna,news,email,2026-02-10 11:59:59
anna,news,email,2026-02-10 12:00:01
ben,news,Email,2026-02-19 23:59:59
ben,spring,email,2026-02-20 08:00:00
cleo,spring,email,2026-03-01 08:00:00
cleo,spring,push,2026-03-01 08:00:00
cleo,,webinar,2026-03-01 08:00:00
dora,spring,email,2026-03-02 08:00:00
"""


@pytest.fixture(scope="module")
def study(make_shop_once):
    return open_study(str(make_shop_once(consents=CONSENTS, touchpoints=TOUCHPOINTS)), "2026-03")


def own_ids(study) -> dict[str, str]:
    """The shop's own id behind each pseudonym of the clean tables."""
    known = study.con.execute(persons.known(study.con, study.shop))
    return dict(zip(known["pseudonym"], known["customer_id"], strict=True))


def test_the_last_change_up_to_the_day_decides(study):
    found, own = {}, own_ids(study)
    for day in ("2026-01-01", "2026-02-09", "2026-02-10", "2026-03-31"):
        rows = study.con.execute(consent.as_of(study.table("consents"), day))
        found[day] = {(own[r.customer_id], r.purpose): r.state for r in rows.itertuples()}
    mail = "email_marketing"
    assert found["2026-01-01"] == {("anna", mail): "granted", ("dora", mail): "withdrawn"}
    assert found["2026-02-09"]["anna", mail] == "granted"
    assert found["2026-02-10"]["anna", mail] == "withdrawn"
    assert found["2026-03-31"] == {
        ("anna", mail): "withdrawn",
        ("ben", mail): "granted",
        ("cleo", "profiling"): "granted",
        ("dora", mail): "withdrawn",
    }


def test_a_day_may_be_a_date(study):
    table = consent.as_of(study.table("consents"), date(2026, 3, 31))
    assert study.con.execute(table.count()) == 4


def test_events_know_the_consent_of_their_own_moment(study):
    pseudonym = {own: name for name, own in own_ids(study).items()}
    sent = study.table("touchpoints")
    purposes = consent.PURPOSES["email"]
    rows = study.con.execute(
        consent.at_events(study.table("consents"), sent, "sent_at", purposes=purposes)
        .filter(lambda t: t.kind.lower() == "email")
        .order_by("sent_at")
    )
    assert rows["consent"].tolist() == [
        "granted",
        "withdrawn",
        "no record",
        "granted",
        "no record",
        "withdrawn",
    ]
    by_day = study.con.execute(
        consent.at_events(study.table("consents"), sent, "sent_date", purposes=purposes)
        .filter(lambda t: t.customer_id == pseudonym["anna"])
        .select("consent")
    )
    assert set(by_day["consent"]) == {"withdrawn"}, "by day, a change of that day counts"
    assert len(rows.columns) == len(sent.columns) + 1


def test_at_events_against_loops():
    draw = random.Random(5)
    start = datetime(2026, 1, 1)
    changes = [
        (f"c{draw.randrange(6)}", draw.choice(["email", "newsletter", "profiling"]),
         draw.choice(["granted", "withdrawn"]), start + timedelta(hours=draw.randrange(0, 200)))
        for _ in range(80)
    ]  # fmt: skip
    events = [
        (f"c{draw.randrange(8)}", start + timedelta(hours=draw.randrange(0, 220)))
        for _ in range(60)
    ]
    tables = [
        ibis.memtable(pd.DataFrame(changes, columns=["customer_id", "purpose", "state", "at"])),
        ibis.memtable(pd.DataFrame(events, columns=["customer_id", "sent_at"])),
    ]
    tables[0] = tables[0].mutate(date=tables[0].at.date())
    found = consent.at_events(*tables, "sent_at", purposes=("email", "newsletter")).execute()
    expected = []
    for who, moment in events:
        before = [
            (at, state == "withdrawn", state)
            for customer, purpose, state, at in changes
            if customer == who and purpose != "profiling" and at <= moment
        ]
        expected.append((who, moment, max(before)[2] if before else "no record"))
    assert sorted(found.itertuples(index=False, name=None)) == sorted(expected)


def test_what_was_sent_without_consent_is_counted_by_campaign(study):
    found = summaries.load(study, "sent_without_consent")
    rows = {(r.kind, r.campaign_id): r for r in found.itertuples()}
    assert set(rows) == {("email", "news"), ("email", "spring"), ("push", "spring")}, (
        "a webinar needs none of these consents"
    )
    news, spring = rows["email", "news"], rows["email", "spring"]
    assert (news.messages, news.granted, news.withdrawn, news.no_record) == (3, 1, 1, 1)
    assert (spring.messages, spring.granted, spring.withdrawn, spring.no_record) == (3, 1, 1, 1)
    assert (news.customers, news.customers_without) == (2, 2)
    table = consent.sent(found, least=1)
    assert table["campaign"].tolist() == ["news", "spring"], "push: no consent was ever recorded"
    assert table["without"].tolist() == [2, 2]
    assert "4 of 6 messages" in consent.sent_sentence(found)
    hidden = consent.sent(found, least=3)
    assert hidden["campaign"].tolist() == ["withheld (2 rows)"]
    assert hidden["messages"].tolist() == [6]


def test_coverage_counts_customers_with_an_order(study):
    found = summaries.load(study, "consent_coverage")
    mail = found[found["purpose"] == "email_marketing"].set_index("state")
    assert mail["customers"].to_dict() == {"granted": 1, "withdrawn": 1, "no record": 1}
    assert mail["revenue"].to_dict() == {"granted": 70.0, "withdrawn": 45.5, "no record": 12.25}
    assert mail["orders"].to_dict() == {"granted": 2, "withdrawn": 2, "no record": 1}
    other = found[found["purpose"] == "profiling"].set_index("state")["customers"]
    assert other.to_dict() == {"granted": 1, "no record": 2}
    assert "too few differ" in consent.coverage_sentence(found, money_in("EUR"), least=10)


def test_bias_is_the_mean_of_each_group(make_shop):
    draw = random.Random(3)
    revenue, lines, agreed = {}, [], []
    for number in range(120):
        who, orders = f"c{number}", draw.randrange(1, 4)
        revenue[who] = [draw.randrange(500, 9000) for _ in range(orders)]
        lines += [
            f"{who}-{i},{who},2026-01-{5 + i:02d} 10:00:00,{cents / 100:.2f},{'a' if number % 3 else 'b'}"
            for i, cents in enumerate(revenue[who])
        ]
        if number % 2:
            agreed.append(f"{who},email_marketing,granted,2026-01-02 00:00:00")
    orders = (
        "order_id,customer_id,ordered_at,revenue,channel\n"
        + "\n".join(lines)
        + "\nlast,c1,2026-01-31 10:00:00,0.00,a\n"
    )
    shop = make_shop(orders, consents="customer_id,purpose,state,at\n" + "\n".join(agreed) + "\n")
    found = summaries.load(open_study(str(shop), "2026-01"), "consent_coverage")
    table = consent.bias(found, "email_marketing").set_index("group")
    sums = pd.Series({who: sum(cents) / 100 for who, cents in revenue.items()})
    yes = sums[[f"c{n}" for n in range(1, 120, 2)]]
    assert table.loc["consented", "customers"] == 60
    assert table.loc["consented", "revenue_each"] == pytest.approx(yes.mean())
    half = table.loc["consented", "revenue_high"] - yes.mean()
    assert half == pytest.approx(2.000995 * yes.std() / 60**0.5, rel=1e-5)
    channels = consent.by_channel(found, "email_marketing", least=10)
    assert channels["channel"].tolist() == ["a", "b"]
    assert channels["customers"].tolist() == [80, 40]
    assert "50.0% of 120 customers" in consent.coverage_sentence(found, money_in("EUR"), least=10)
    assert intake_findings.consent_by_channel(channels).title.startswith("Between 50.0% and 50.0%")


def test_without_consents_the_sentences_say_so(make_shop):
    study = open_study(str(make_shop()), "2026-03")
    assert "No consent is recorded" in consent.coverage_sentence(
        summaries.load(study, "consent_coverage"), money_in("EUR"), least=10
    )
    assert "Nothing that needs" in consent.sent_sentence(
        summaries.load(study, "sent_without_consent")
    )
