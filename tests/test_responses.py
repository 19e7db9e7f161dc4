"""What customers did with mail and webinars, what they answered, when they found value."""

import math
import tomllib

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import beta

from helpers import summaries
from helpers.chapters import findings_responses
from helpers.contract.shop import ROOT
from helpers.measures import activation, funnels, metrics, repurchase, surveys
from helpers.measures.metrics import Estimate
from helpers.study import open_study
from helpers.summaries import contracts
from helpers.written import money_in

TRUTH = tomllib.loads((ROOT / "data" / "sample" / "truth.toml").read_text(encoding="utf-8"))
ORDERS = """order_id,customer_id,ordered_at,revenue
1,anna,2026-01-05 10:00:00,20.00
2,ben,2026-01-10 11:00:00,30.00
2,ben,2026-01-20 11:00:00,-10.00
3,anna,2026-02-01 12:00:00,25.50
4,cleo,2026-02-15 13:00:00,12.25
5,ben,2026-03-31 23:59:59,40.00
"""
TOUCHPOINTS = """customer_id,campaign_id,step,kind,sent_at,delivered,opened,clicked,unsubscribed,attended
anna,news,1,email,2026-01-28 09:00:00,true,true,true,false,
anna,spring,1,email,2026-01-31 09:00:00,true,true,false,true,
ben,news,1,Email,2026-01-01 00:00:00,false,false,false,false,
cleo,news,2,email,2026-02-15 14:00:00,true,,,,
ben,spring,1,email,2026-03-25 09:00:00,true,false,false,false,
anna,talk,,webinar,2026-01-20 09:00:00,,,,,true
cleo,talk,,webinar,2026-01-20 09:00:00,,,,,false
ben,talk,,webinar,2026-03-20 09:00:00,,,,,true
anna,ask,,survey,2026-01-10 09:00:00,,,,,
ben,ask,,survey,2026-01-10 09:00:00,,,,,
ben,ask,,survey,2026-03-15 09:00:00,,,,,
"""
SURVEYS = """customer_id,kind,score,answered_at
anna,nps,9,2026-01-15 09:00:00
ben,NPS,3,2026-03-01 09:00:00
cleo,nps,7,2026-03-01 09:00:00
cleo,nps,11,2026-03-02 09:00:00
anna,csat,4,2026-03-01 09:00:00
ben,csat,2,2026-03-01 09:00:00
dora,csat,5,2026-03-01 09:00:00
"""
ACTIVATIONS = """customer_id,step,at
anna,1,2026-01-07 09:00:00
anna,2,2026-01-15 09:00:00
ben,1,2026-01-08 09:00:00
cleo,1,2026-03-20 09:00:00
"""
CONTRACTS = """subscription_id,customer_id,started_at,ended_at
s1,anna,2026-01-10 00:00:00,2026-02-15 00:00:00
s2,ben,2026-01-05 00:00:00,
s3,cleo,2026-02-03 00:00:00,2026-02-20 00:00:00
s4,anna,2026-03-05 00:00:00,
s5,ben,2026-02-01 00:00:00,2026-02-10 00:00:00
"""
euro = money_in("EUR")


@pytest.fixture(scope="module")
def folder(make_shop_once):
    return make_shop_once(
        ORDERS, touchpoints=TOUCHPOINTS, surveys=SURVEYS, activations=ACTIVATIONS,
        subscriptions=CONTRACTS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(folder):
    return open_study(str(folder), "2026-03")


@pytest.fixture(scope="module")
def sample():
    return open_study("sample", "2026-06")


# -- touchpoints ----------------------------------------------------------------------------------


def test_mails_and_the_revenue_of_the_last_touch(study):
    found = summaries.load(study, "mails").set_index(["campaign_id", "step"])
    news, spring = found.loc[("news", 1)], found.loc[("spring", 1)]
    columns = ["sent", "customers", "arrived", "opened", "clicked", "unsubscribed", "ripe"]
    assert news[columns].tolist() == [2, 2, 1, 1, 1, 0, 2]
    assert spring[columns].tolist() == [2, 2, 2, 1, 0, 1, 1]
    assert news["revenue"] == 20, "ben's order net of its refund; anna's went to the later mail"
    assert news["revenue_squares"] == 400 and news["buyers"] == 1
    assert spring["revenue"] == 25.5, "the order after the younger mail is not counted yet"
    second = found.loc[("news", 2)]
    assert second["revenue"] == 0, "the order came an hour before the mail"
    assert second["opened_known"] == 0


def test_mails_of_one_customer_are_alike(make_shop):
    people = [f"c{i}" for i in range(12)]
    text = "customer_id,campaign_id,step,kind,sent_at,clicked\n" + "".join(
        f"{name},news,1,email,2026-01-{day} 09:00:00,{str(i % 2 == 0).lower()}\n"
        for i, name in enumerate(people) for day in ("05", "12")
    )  # fmt: skip
    orders = "order_id,customer_id,ordered_at,revenue\n" + "".join(
        f"{i}-{day},{name},2026-01-{day} 12:00:00,{1 + i % 2}0.00\n"
        for i, name in enumerate(people) for day in ("05", "12")
    )  # fmt: skip
    toml = "complete_through = 2026-02-28"
    study = open_study(str(make_shop(orders, touchpoints=text, toml=toml)), "2026-02")
    found = summaries.load(study, "mails").iloc[0]
    assert found[["customers", "sent", "arrived_arrived", "clicked_clicked"]].tolist() == [
        12, 24, 48, 24
    ]  # fmt: skip
    assert found[["revenue", "revenue_squares"]].tolist() == [360, 12 * 100 + 12 * 400]
    assert found[["revenue_revenue", "revenue_ripe"]].tolist() == [6 * 20**2 + 6 * 40**2, 720]
    row = funnels.mail_funnel(summaries.load(study, "mails")).iloc[0]
    alone = metrics.wilson(12, 24)
    assert row["clicked_high"] - row["clicked_low"] > 1.4 * (alone.high - alone.low)
    # Of each customer both mails brought the same: twice the variance, and of 12 draws, not 24.
    each = metrics.mean_interval(360, 6000, 24, cubes=12 * 10**3 + 12 * 20**3)
    wider = np.sqrt(2 * (12 / 11) / (24 / 23))
    for end in ("low", "high"):
        far = row[f"revenue_{end}"] - row["revenue_each"]
        assert far == pytest.approx(wider * (getattr(each, end) - each.value))


def test_mail_funnel_states_what_it_divides_by(study):
    table = funnels.mail_funnel(summaries.load(study, "mails"), least=1).set_index("mail")
    news = table.loc["news, step 1"]
    assert (news["of"], news["delivered"], news["clicked"]) == ("delivered", 0.5, 1.0)
    assert news["revenue_each"] == 10 and news["clicked_low"] < 1 == news["clicked_high"]
    assert table.loc["spring", "unsubscribed"] == 0.5
    assert math.isnan(table.loc["news, step 2", "clicked"]), "not recorded is not zero"
    few = funnels.mail_funnel(summaries.load(study, "mails"), least=2)
    assert few["sent"].sum() == 5 and few["mail"].iloc[-1] == "withheld (2 rows)"


def test_delivery_that_is_not_recorded_is_no_share(make_shop):
    text = "\n".join(
        ",".join(line.split(",")[i] for i in (0, 1, 3, 4, 7)) for line in TOUCHPOINTS.splitlines()
    )
    study = open_study(str(make_shop(ORDERS, touchpoints=text + "\n")), "2026-03")
    table = funnels.mail_funnel(summaries.load(study, "mails"), least=1).set_index("mail")
    assert set(table["of"]) == {"sent"} and table["delivered"].isna().all()
    assert table.loc["spring", "clicked"] == 0 and table["unsubscribed"].isna().all()


def test_touches_and_fatigue(study):
    months = summaries.load(study, "touch_months")
    assert funnels.touches_each(months, least=2)["each"].isna().tolist() == [False, True, True]
    each = funnels.touches_each(months, least=1)
    assert each["touches"].tolist() == [7, 1, 3] and each["customers"].tolist() == [3, 1, 1]
    touched = funnels.touches_of(months, "2026-01", least=1)
    assert dict(zip(touched["touches"], touched["customers"], strict=True)) == {
        "1": 1, "2": 1, "4": 1
    }  # fmt: skip
    tired = funnels.tired(summaries.load(study, "fatigue"), least=1).set_index("touches")
    # Anna's mails were the third and fourth touch in thirty days, ben's the first and the third.
    assert tired["messages"].to_dict() == {"1": 1, "3": 2, "4": 1}
    assert tired["unsubscribed"].to_dict() == {"1": 0, "3": 0, "4": 1}
    hidden = funnels.tired(summaries.load(study, "fatigue"), least=2)
    last = hidden.iloc[-1]
    assert last["rate"] > 0 and math.isnan(last["low"]), "rows withheld share people"
    assert hidden["messages"].sum() == 4 and hidden["touches"].iloc[-1].startswith("withheld")


def test_webinars_count_buyers_only_after_their_days(study):
    found = summaries.load(study, "webinars").iloc[0]
    columns = ["invited", "attended", "ripe_attended", "ripe_absent"]
    assert found[columns].tolist() == [3, 2, 1, 1]
    assert found[["bought_attended", "bought_absent"]].tolist() == [1, 1]
    table = funnels.webinar_funnel(summaries.load(study, "webinars"), least=1).iloc[0]
    assert table["attendance"] == pytest.approx(2 / 3) and table["bought"] == 1
    assert "came" in findings_responses.webinar_sentence(table.to_frame().T)
    few = funnels.webinar_funnel(summaries.load(study, "webinars"), least=2).iloc[0]
    assert few["attendance"] > 0 and math.isnan(few["bought"])


def test_engagement_is_of_segments_and_prints_its_weights(study, sample):
    found = summaries.load(study, "engagement")
    assert set(found["dimension"]) == {"channel", "tier"} and "customer_id" not in found
    # Anna had two mails and a webinar, ben two mails (one arrived) and a webinar, cleo one and one.
    unknown = found[(found["dimension"] == "channel") & (found["value"] == "unknown")].iloc[0]
    columns = ["customers", "arrived", "opened", "arrived_arrived", "opened_arrived"]
    assert unknown[columns].tolist() == [3, 4, 2, 6, 4]
    assert unknown[["opened_clicked", "arrived_asked"]].tolist() == [2, 4]
    table = funnels.engaged(summaries.load(sample, "engagement"))
    assert (table["low"] < table["score"]).all() and (table["score"] < table["high"]).all()
    said = findings_responses.engagement_sentence(table)
    assert "opened 20%, clicked 50%, attended 30%" in said
    only = funnels.engaged(summaries.load(sample, "engagement"), weights={"clicked": 2.0})
    z = (only["clicked"] - only["clicked"].mean()) / only["clicked"].std()
    assert only["score"].diff().to_numpy()[1:] == pytest.approx(z.diff().to_numpy()[1:])
    assert funnels.engaged(summaries.load(sample, "engagement"), least=500)["value"].tolist()


def test_engagement_takes_a_customer_with_all_signals():
    rng, weights = np.random.default_rng(21), {"opened": 0.2, "clicked": 0.5}
    names, people, rows = ("opened", "clicked", "attended", "arrived", "asked"), 40, []
    for share in (0.3, 0.4, 0.6):
        arrived = 1 + rng.poisson(3, people)
        opened = rng.binomial(arrived, rng.beta(3 * share, 3 * (1 - share), people))
        none = np.zeros(people, int)
        of = dict(zip(names, (opened, rng.binomial(opened, 0.4), none, arrived, none), strict=True))
        rows.append(of)
    sums = pd.DataFrame(
        {name: of[name].sum() for name in names}
        | {f"{a}_{b}": (of[a] * of[b]).sum() for a in names for b in names}
        | {"value": place, "customers": people, "dimension": "channel"}
        | {f"{name}_known": of["arrived"].sum() for name in weights}
        for place, of in enumerate(rows)
    )
    table = funnels.engaged(sums, weights=weights).set_index("value")
    for place, of in enumerate(rows):
        each = sum(
            weight / table[name].std() * (of[name] - table.loc[place, name] * of["arrived"])
            / of["arrived"].sum()
            for name, weight in weights.items()
        ) / sum(weights.values())  # fmt: skip
        half = stats.t.ppf(0.975, people - 1) * np.sqrt(people) * each.std(ddof=1)
        assert table.loc[place, "high"] - table.loc[place, "score"] == pytest.approx(half)


# -- surveys --------------------------------------------------------------------------------------


def test_surveys_by_tier_and_month(study):
    found = summaries.load(study, "survey_answers")
    nps = found[found["kind"] == "nps"].set_index(["dimension", "value"])
    columns = ["answers", "customers", "unusable", "promoters", "detractors"]
    assert nps.loc[("all", "all"), columns].tolist() == [3, 3, 1, 1, 1]
    assert nps.loc[("all", "all"), ["balance", "answers_answers"]].tolist() == [0, 3]
    # Revenue to date: ben 60.00, anna 45.50, cleo 12.25.
    tiers = nps.loc["tier"]["answers"].to_dict()
    assert tiers == {"next 20%": 1, "next 30%": 1, "last 40%": 1}
    csat = surveys.satisfaction(found, "csat", "tier", least=1).set_index("value")["figure"]
    assert csat.to_dict() == {"next 20%": 0, "next 30%": 1, "no order": 1}
    months = surveys.satisfaction(found, "nps", "month", least=2)
    assert months["figure"].isna().tolist() == [True, False] and months["figure"][1] == -50


def test_equal_customers_share_a_tier(make_shop):
    orders = "order_id,customer_id,ordered_at,revenue\n" + "".join(
        f"{i},c{i},2026-01-0{i},10.00\n" for i in range(1, 8)
    )
    told = "customer_id,kind,score,answered_at\n" + "".join(
        f"c{i},nps,9,2026-01-20\n" for i in range(1, 8)
    )
    study = open_study(
        str(make_shop(orders, surveys=told, toml="complete_through = 2026-01-31")), "2026-01"
    )
    found = summaries.load(study, "survey_answers")
    assert found.loc[found["dimension"] == "tier", "value"].tolist() == ["next 30%"]


def test_nps_interval_against_simulation():
    draw = np.random.default_rng(3)
    n, shares = 200, [0.5, 0.3, 0.2]
    counts = draw.multinomial(n, shares, size=4000)
    found = surveys.nps(counts[:, 0], counts[:, 2], np.full(4000, n))
    covered = ((found["low"] < 30) & (found["high"] > 30)).mean()
    assert covered == pytest.approx(0.95, abs=0.012)
    same = surveys.nps([5], [0], [5]).iloc[0]
    assert same["value"] == 100 and math.isnan(same["low"])
    assert surveys.nps([0], [0], [0]).isna().all().all()


def test_response_rate_where_requests_are_known(study):
    found = surveys.response_rate(summaries.load(study, "survey_requests"), least=2)
    # Anna answered in time; ben answered after fifty days, and was asked again too lately.
    assert (found.value, found.n) == (0.5, 2)
    few = surveys.response_rate(summaries.load(study, "survey_requests"))
    assert math.isnan(few.value) and "Too few" in few.reason
    none = surveys.response_rate(summaries.load(study, "survey_requests")[:0])
    assert math.isnan(none.value) and "not recorded" in none.reason


def test_satisfaction_of_the_sample_recovers_what_was_drawn(sample):
    found = summaries.load(sample, "survey_answers")
    # NPS answers are the lesser of 10 and a binomial of 11; CSAT is 1 and a binomial of 4.
    score, content = stats.binom(11, 0.78), stats.binom(4, 0.8)
    true = {"nps": 100 * (score.sf(8) - score.cdf(6)), "csat": content.sf(2)}
    for kind, figure in true.items():
        row = surveys.satisfaction(found, kind).iloc[0]
        assert row["low"] < figure < row["high"]
        parts = [surveys.satisfaction(found, kind, by)["answers"].sum() for by in ("tier", "month")]
        assert parts[0] == row["answers"] >= parts[1]


# -- first value ----------------------------------------------------------------------------------


def test_days_to_value_are_censored_at_the_end(folder, study):
    found = summaries.load(study, "activation_waits")
    rows = [tuple(r) for r in found[["step", "days", "event", "n"]].sort_values(
        ["step", "days"]).itertuples(index=False)]  # fmt: skip
    # Ben's first value came before his first order: no days. Cleo's came after 33 days.
    assert rows == [(1, 0, True, 1), (1, 2, True, 1), (1, 33, True, 1),
                    (2, 10, True, 1), (2, 44, False, 1), (2, 80, False, 1)]  # fmt: skip
    early = summaries.load(open_study(str(folder), "2026-02"), "activation_waits")
    assert early.loc[early["step"] == 1, ["days", "event"]].values.tolist()[-1] == [13, False]
    assert activation.reached(found, 1, 3, least=1).value == pytest.approx(2 / 3)
    assert activation.time_to_value(found, 1, least=1).value == 2
    table = activation.by_cohort(found, as_of=study.end, least=1)
    assert table["activated"].tolist() == [2, 0] and table["rate"].tolist() == [1, 0]
    young = activation.by_cohort(early, as_of=open_study(str(folder), "2026-02").end, least=1)
    assert young["rate"].isna().tolist() == [False, True]
    assert activation.by_cohort(found, as_of=study.end, least=2)["rate"].isna().tolist() == [
        False,
        True,
    ]


def test_value_of_the_sample_recovers_what_was_drawn(sample):
    waits = summaries.load(sample, "activation_waits")
    month = activation.reached(waits, 1, 30)
    assert month.low < 0.45 < month.high
    second = activation.reached(waits, 2, 60)
    assert second.low < 0.45 * 0.5 < second.high
    middle = activation.time_to_value(waits, 1)
    assert math.isnan(middle.value) and middle.reason.startswith("Fewer than half")
    quarter = activation.time_to_value(waits, 1, share=0.25)
    assert quarter.low <= quarter.value <= quarter.high and quarter.value in (0, 1)
    said = findings_responses.value_found(
        activation.value_curve(waits), activation.value_table(waits)
    )
    assert "of new customers find value by day 3" in said.title


# -- contracts ------------------------------------------------------------------------------------


def test_contracts_and_customers_by_month(folder, study):
    found = summaries.load(study, "contract_months").set_index(["unit", "start"]).sort_index()
    columns = ["at_start", "at_end", "kept", "new", "joined_and_left", "returned"]
    assert found.loc["contracts", columns].values.tolist() == [
        [0, 2, 0, 2, 0, 0], [2, 1, 1, 2, 2, 0], [1, 2, 1, 1, 0, 0]
    ]  # fmt: skip
    assert found.loc["customers", columns].values.tolist() == [
        [0, 2, 0, 2, 0, 0], [2, 1, 1, 1, 1, 0], [1, 2, 1, 0, 0, 1]
    ]  # fmt: skip
    january = summaries.load(open_study(str(folder), "2026-01"), "contract_months")
    assert january["at_end"].tolist() == [2, 2], "what ends later has not ended yet"


def test_counts_and_sets_differ_by_who_came_and_went(study):
    table = contracts.churn_by_month(summaries.load(study, "contract_months"), "2026-03", least=1)
    rows = table.set_index(["unit", "start"])
    february, march = pd.Timestamp("2026-02-01"), pd.Timestamp("2026-03-01")
    assert rows.loc[("contracts", february), ["churn", "retention", "crr"]].tolist() == [
        0.5, 0.5, -0.5
    ]  # fmt: skip
    assert rows.loc[("customers", march), ["churn", "retention", "crr"]].tolist() == [0, 1, 2]
    s = table["at_start"].where(table["at_start"] > 0)
    gap = (table["returned"] - table["joined_and_left"]) / s
    assert (table["crr"] - table["retention"] - gap).abs().max() < 1e-12
    assert table.loc[table["at_start"] == 0, "churn"].isna().all()
    few = contracts.churn_by_month(summaries.load(study, "contract_months"), "2026-03", least=2)
    assert few["churn"].notna().sum() == 2


def test_churn_over_several_months_is_sum_over_sum(study):
    table = contracts.churn_by_month(summaries.load(study, "contract_months"), "2026-03", least=1)
    found = contracts.pooled_churn(table)
    assert (found.ended, found.at_start, found.rate) == (1, 3, 1 / 3)
    assert found.low < found.rate < found.high
    assert found.yearly == pytest.approx(1 - (2 / 3) ** 12)
    none = contracts.pooled_churn(table[:0])
    assert math.isnan(none.rate)


def test_contracts_of_the_sample_end_as_their_law_says(sample):
    waits = summaries.load(sample, "contract_waits")
    curve = repurchase.survival(waits.assign(order_number=1))
    a, b = TRUTH["subscriptions"]["a"], TRUTH["subscriptions"]["b"]
    for renewals in (1, 2, 3, 6, 12):
        # Shifted beta-geometric (Fader & Hardie 2007): S(t) = B(a, b + t) / B(a, b).
        true = beta(a, b + renewals) / beta(a, b)
        row = curve[curve["days"] <= renewals * 365.25 / 12 + 1].iloc[-1]
        assert row["low"] < true < row["high"]
    months = summaries.load(sample, "contract_months")
    own = months[months["unit"] == "contracts"].sort_values("start")
    assert (own["at_end"].to_numpy()[:-1] == own["at_start"].to_numpy()[1:]).all()
    assert waits["n"].sum() == own["new"].sum()


# -- words ----------------------------------------------------------------------------------------


def test_without_any_table_there_is_a_sentence_and_no_figure(make_shop):
    study = open_study(str(make_shop()), "2026-03")
    load = {name: summaries.load(study, name) for name in (
        "mails", "touch_months", "fatigue", "webinars", "engagement", "survey_answers",
        "survey_requests", "activation_waits", "contract_months")}  # fmt: skip
    mails = funnels.mail_funnel(load["mails"])
    waits = load["activation_waits"]
    churn = contracts.churn_by_month(load["contract_months"], "2026-03")
    every = surveys.satisfaction(load["survey_answers"], "nps")
    tiers = surveys.satisfaction(load["survey_answers"], "nps", "tier")
    asked = surveys.response_rate(load["survey_requests"])
    found = [
        findings_responses.mails(mails, euro),
        findings_responses.satisfied(tiers, every, every, asked),
        findings_responses.value_found(
            activation.value_curve(waits), activation.value_table(waits)
        ),
        findings_responses.contract_churn(churn, contracts.pooled_churn(churn)),
    ]
    assert all(not f.title and "A table" in f.sentence for f in found)
    assert "webinar" in findings_responses.webinar_sentence(
        funnels.webinar_funnel(load["webinars"])
    )
    each = funnels.touches_each(load["touch_months"])
    touched = funnels.touches_of(load["touch_months"], "2026-03")
    tired = funnels.tired(load["fatigue"])
    assert "touchpoints" in findings_responses.touches_sentence(touched, each, tired)
    assert "no engagement score" in findings_responses.engagement_sentence(
        funnels.engaged(load["engagement"])
    )


def test_findings_do_not_call_chance_a_difference():
    rows = pd.DataFrame(
        {"cart_flow": ["one", "two"], "abandonment": [0.1, 0.2], "abandonment_low": [0.05, 0.12],
         "abandonment_high": [0.15, 0.3], "ripe": [10.0, 0.0], "recovered": [3.0, 0.0]}
    )  # fmt: skip
    assert "alike" in findings_responses.checkouts(rows)
    clear = rows.assign(abandonment_high=[0.11, 0.3])
    assert "a larger gap than chance makes" in findings_responses.checkouts(clear)
    known = Estimate(0.2, 0.1, 0.3, 50)
    said = findings_responses.share_sentence({"referred": known, "members": known})
    assert said.count("10.0% to 30.0%") == 2
