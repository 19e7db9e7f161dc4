"""Summaries against slow and obvious Python, on random shops with refunds and same-day orders."""

from collections import defaultdict
from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest

from helpers import summaries
from helpers.errors import UsageError
from helpers.persons import keys as persons
from helpers.study import open_study
from helpers.summaries.ages import HORIZONS
from helpers.summaries.days import customer_days, customer_facts, purchase_days

END = date(2025, 6, 30)


def random_orders(seed: int, *, customers: int = 40) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), []
    start = date(2024, 1, 1)
    for customer in range(customers):
        day = start + timedelta(days=int(rng.integers(0, 300)))
        for number in range(int(rng.integers(1, 7))):
            order = f"{customer}-{number}"
            total = 0
            for line in range(int(rng.integers(1, 3))):
                cents, cost = int(rng.integers(0, 9000)), int(rng.integers(0, 4000))
                total += cents
                known = rng.random() > 0.2
                rows.append((order, line, customer, day, cents, cost if known else None, "", None))
            if rng.random() < 0.25:
                back = total if rng.random() < 0.5 else total // 2
                when = day + timedelta(days=int(rng.integers(0, 60)))
                of = order if rng.random() < 0.8 else "unknown"
                cost = None if rng.random() < 0.3 else 0
                rows.append((f"r{order}", 0, customer, day, -back, cost, of, when))
            day += timedelta(days=int(rng.choice([0, 1, 20, 45, 200])))
            if day > END + timedelta(days=40):
                break
    names = [
        "order_id",
        "line_id",
        "customer_id",
        "ordered_at",
        "cents",
        "cogs",
        "refund_of",
        "refunded_at",
    ]
    return pd.DataFrame(rows, columns=names)


def as_csv(orders: pd.DataFrame) -> str:
    text = orders.assign(
        revenue=orders.cents.map(lambda c: f"{c / 100:.2f}"),
        cogs=orders.cogs.map(lambda c: "" if pd.isna(c) else f"{c / 100:.2f}"),
        is_refund=orders.order_id.str.startswith("r"),
    )
    return text.drop(columns="cents").to_csv(index=False)


@pytest.fixture(scope="module", params=[1, 2, 3])
def shop(request, make_shop_once):
    orders = random_orders(request.param)
    folder = make_shop_once(
        as_csv(orders),
        toml="complete_through = 2025-08-31\nopened_at = 2024-01-01",
        name=f"random-{request.param}",
    )
    return orders, open_study(str(folder), f"{END:%Y-%m}")


def obvious_days(orders: pd.DataFrame) -> dict:
    """(customer, day) -> sums in cents, by loops."""
    known = orders[[(row.refunded_at or row.ordered_at) <= END for row in orders.itertuples()]]
    sold, complete = {}, defaultdict(lambda: True)
    for r in known.itertuples():
        if r.order_id[0] != "r":
            sold[r.order_id, r.customer_id] = r.ordered_at
            complete[r.order_id, r.customer_id] &= not pd.isna(r.cogs)
    days = defaultdict(
        lambda: {"orders": set(), "revenue": 0, "margin": 0, "covered": 0, "refunds": 0}
    )
    for r in known.itertuples():
        refund = r.order_id[0] == "r"
        day = sold.get((r.refund_of, r.customer_id), r.ordered_at) if refund else r.ordered_at
        cell = days[r.customer_id, day]
        cell["revenue"] += r.cents
        cost = None if pd.isna(r.cogs) else int(r.cogs)
        if refund and (r.refund_of, r.customer_id) in sold:
            # Its cost is known with that of its sale; none of its own: the goods are gone.
            cost = (cost or 0) if complete[r.refund_of, r.customer_id] else None
        if cost is not None:
            cell["margin"] += r.cents - cost
            cell["covered"] += r.cents
        if refund:
            cell["refunds"] -= r.cents
        else:
            cell["orders"].add(r.order_id)
    return days


def purchases(days: dict) -> dict:
    """customer -> sorted purchase days."""
    found = defaultdict(list)
    for (customer, day), cell in sorted(days.items()):
        if cell["orders"] and not (cell["refunds"] > 0 and cell["revenue"] <= 0):
            found[customer].append(day)
    return found


def test_customer_days(shop):
    orders, study = shop
    expected = obvious_days(orders)
    found = summaries.engine_table(study, "customer_days").execute()
    assert len(found) == len(expected)
    known = persons.known(study.con, study.shop).execute().set_index("pseudonym")["customer_id"]
    for row in found.itertuples():
        cell = expected[int(known[row.customer_id]), pd.Timestamp(row.day).date()]
        assert (row.orders, row.revenue, row.margin, row.margin_revenue, row.refunds) == (
            len(cell["orders"]), cell["revenue"], cell["margin"], cell["covered"], cell["refunds"]
        )  # fmt: skip


def test_states_and_spend(shop):
    orders, study = shop
    days = obvious_days(orders)
    expected, spend = defaultdict(int), defaultdict(int)
    for customer, bought in purchases(days).items():
        expected[len(bought) - 1, bought[0], bought[-1]] += 1
        repeat = [days[customer, day]["revenue"] for day in bought[1:]]
        repeat = [amount for amount in repeat if amount > 0]
        if repeat:
            spend[len(repeat), sum(repeat)] += 1
    states = summaries.load(study, "customer_states")
    found = {(r.frequency, r.first_day.date(), r.last_day.date()): r.n for r in states.itertuples()}
    assert found == expected
    spends = summaries.load(study, "spend_states")
    assert {(r.frequency, round(r.total_spend * 100)): r.n for r in spends.itertuples()} == spend


def test_gaps_and_holdout(shop):
    orders, study = shop
    bought = purchases(obvious_days(orders))
    expected = defaultdict(int)
    for days in bought.values():
        for number, day in enumerate(days, 1):
            later = days[number] if number < len(days) else None
            expected[number, ((later or END) - day).days, later is not None] += 1
    gaps = summaries.load(study, "gaps")
    assert {(r.order_number, r.days, r.event): r.n for r in gaps.itertuples()} == expected
    split = date(2024, 12, 31)
    known = defaultdict(int)
    for days in bought.values():
        before = [day for day in days if day <= split]
        after = [day for day in days if split < day <= date(2025, 3, 31)]
        if before:
            known[len(before) - 1, before[0], before[-1], len(after)] += 1
    until = date(2025, 3, 31)
    options = {"split": split.isoformat(), "until": until.isoformat()}
    found = summaries.load(study, "customer_features", **options)
    got = defaultdict(int)
    for row in found.itertuples():
        days = row.first_day.date(), row.last_day.date()
        got[row.frequency, *days, row.later_frequency] += 1
    assert got == known
    assert (found["population"] == sum(known.values())).all()
    assert (found["days_365"] <= found["frequency"] + 1).all()
    assert "customer_id" not in found


def test_cohorts_by_calendar_month(shop):
    orders, study = shop
    known = defaultdict(lambda: [0, 0])
    for days in purchases(obvious_days(orders)).values():
        for number, day in enumerate(days):
            known[days[0].replace(day=1), day.replace(day=1)][min(number, 1)] += 1
    found = summaries.load(study, "cohort_months")
    assert {
        (r.cohort.date(), r.start.date()): [r.new_customers, r.purchases]
        for r in found.itertuples()
    } == known


def cohort_of(days: dict) -> dict:
    first = {}
    for (customer, day), cell in sorted(days.items()):
        if cell["orders"]:
            first.setdefault(customer, day)
    return first


def test_days_know_what_came_before_and_next(shop):
    orders, study = shop
    days = obvious_days(orders)
    first, bought = cohort_of(days), purchases(days)
    table = study.con.execute(summaries.engine_table(study, "customer_days"))
    known = persons.known(study.con, study.shop).execute().set_index("pseudonym")["customer_id"]
    for row in table.itertuples():
        customer, day = int(known[row.customer_id]), pd.Timestamp(row.day).date()
        mine = {d: cell for (who, d), cell in days.items() if who == customer}
        ordered = [d for d, cell in mine.items() if d < day and cell["orders"]]
        assert _day(row.previous_day) == max(ordered, default=None)
        assert row.orders_before == sum(len(mine[d]["orders"]) for d in ordered)
        assert row.purchase_number == sum(d <= day for d in bought[customer])
        later = [d for d in bought[customer] if d > day]
        assert _day(row.next_purchase) == min(later, default=None)
        past = [cell for d, cell in mine.items() if first.get(customer, date.max) <= d < day]
        assert (
            row.revenue_before, row.margin_before, row.refunds_before, row.cost_before
        ) == (
            sum(cell["revenue"] for cell in past), sum(cell["margin"] for cell in past),
            sum(cell["refunds"] for cell in past),
            sum(cell["covered"] - cell["margin"] for cell in past),
        )  # fmt: skip


def _day(found) -> date | None:
    return None if pd.isna(found) else pd.Timestamp(found).date()


@pytest.mark.parametrize("unit", ["month", "days30", "horizon"])
def test_cohort_ages(shop, unit):
    orders, study = shop
    days = obvious_days(orders)
    first = cohort_of(days)
    steps = defaultdict(lambda: defaultdict(lambda: np.zeros(2, dtype=int)))
    for (customer, day), cell in days.items():
        start = first.get(customer)
        if start is None or day < start:
            continue
        elapsed = (day - start).days
        months = (day.year - start.year) * 12 + day.month - start.month
        ends = [end for end in HORIZONS if elapsed < end]
        age = {"month": months, "days30": elapsed // 30, "horizon": ends[0] if ends else None}[unit]
        if age is not None:
            steps[customer][age] += np.array([cell["margin"], len(cell["orders"])])
    expected = defaultdict(lambda: [0] * 5)
    for customer, by_age in steps.items():
        before = 0
        for age in sorted(by_age):
            step, ordered = by_age[age].tolist()
            cell = expected[first[customer].replace(day=1), age]
            cell[0] += step
            cell[1] += (before + step) ** 2 - before**2
            cell[2] += (before + step) ** 3 - before**3
            cell[3] += ordered
            cell[4] += ordered > 0
            before += step
    table = summaries.load(study, "cohort_ages")
    table = table[(table.age_unit == unit) & (table.dimension == "all")]
    found = {
        (r.cohort.date(), r.age): [
            round(r.margin * 100), round(r.margin_cumulative_squares * 1e4),
            round(r.margin_cumulative_cubes * 1e6), r.orders, r.active,
        ]
        for r in table.itertuples()
    }  # fmt: skip
    assert found == expected
    sizes = pd.Series([day.replace(day=1) for day in first.values()]).value_counts().to_dict()
    assert {r.cohort.date(): r.customers for r in table.itertuples()} == {
        cohort: n for cohort, n in sizes.items() if cohort in {key[0] for key in expected}
    }


def test_periods_add_up(shop):
    orders, study = shop
    days = obvious_days(orders)
    table = summaries.load(study, "periods")
    months = table[(table.grain == "month") & (table.dimension == "all")]
    assert round(months.revenue.sum() * 100) == sum(cell["revenue"] for cell in days.values())
    by_channel = table[(table.grain == "month") & (table.dimension == "channel")]
    assert round(by_channel.revenue.sum(), 2) == round(months.revenue.sum(), 2)
    daily = table[(table.grain == "day") & (table.dimension == "all")]
    assert daily.orders.sum() == months.orders.sum() == sum(len(c["orders"]) for c in days.values())
    expected = defaultdict(set)
    for (customer, day), cell in days.items():
        if cell["orders"]:
            expected[day.replace(day=1)].add(customer)
    assert {r.start.date(): r.customers for r in months.itertuples() if r.customers} == {
        month: len(who) for month, who in expected.items()
    }
    quarterly = table[(table.grain == "quarter") & (table.dimension == "all")]
    in_quarter = defaultdict(set)
    for month, who in expected.items():
        in_quarter[pd.Timestamp(month).to_period("Q").start_time] |= who
    assert {r.start: r.customers for r in quarterly.itertuples() if r.customers} == {
        quarter: len(who) for quarter, who in in_quarter.items()
    }
    won = quarterly.sort_values("start")
    assert won.known_customers.tolist() == won.new_customers.cumsum().tolist()
    assert won.known_customers.iloc[-1] == len(set().union(*expected.values()))
    assert months.new_customers.sum() == len(cohort_of(days))


def test_spend_is_spread_over_its_days(make_shop):
    orders = "order_id,customer_id,ordered_at,revenue,channel\n1,a,2026-01-31,10,ads\n2,b,2026-02-10,10,ads\n3,c,2026-02-28,10,post\n"
    spend = "channel,starts_at,ends_at,cost,clicks\nads,2026-01-30,2026-02-02,40.00,8\nads,2026-02-27,2026-03-02,40.00,4\n"
    study = open_study(str(make_shop(orders, marketing_spend=spend)), "2026-02")
    found = summaries.load(study, "acquisition").set_index(["start", "channel"]).sort_index()
    january, february = pd.Timestamp(2026, 1, 1), pd.Timestamp(2026, 2, 1)
    assert found.loc[(january, "ads"), "cost"] == 20.0
    assert found.loc[(february, "ads"), "cost"] == 20.0 + 20.0
    assert found.loc[(february, "ads"), "clicks"] == 4 + 2
    assert found.loc[(february, "post"), "new_customers"] == 1
    assert pd.isna(found.loc[(february, "post"), "cost"])


def test_experiment_moments(make_shop):
    orders = (
        "order_id,customer_id,ordered_at,revenue,cogs\n1,a,2026-01-01,10,4\n2,a,2026-02-05,20,8\n"
        "3,b,2026-02-20,30,12\n4,a,2026-03-15,50,20\n5,d,2026-04-30,1,0\n"
    )
    assignments = (
        "experiment_id,customer_id,arm,assigned_at\nt,a,mail,2026-02-01 09:00:00\n"
        "t,b,control,2026-02-01 09:00:00\nt,c,control,2026-02-01\nt,a,control,2026-02-03\n"
    )
    experiments = "experiment_id,window_days\nt,30\n"
    folder = make_shop(orders, assignments=assignments, experiments=experiments)
    study = open_study(str(folder))
    rows = summaries.load(study, "experiment_moments")
    found = rows[rows["declared"]].groupby("arm").sum(numeric_only=True)
    arms = summaries.load(study, "experiment_arms").set_index("arm")
    mail, control = found.loc["mail"], found.loc["control"]
    assert (mail.n, mail.orders, mail.margin, mail.pre) == (1, 1, 12.0, 6.0)
    assert (control.n, control.converted, control.margin, control.margin_squares) == (
        2,
        1,
        18.0,
        324,
    )
    assert (mail.margin_pre, mail.missing, control.missing) == (72.0, 0, 2)
    assert (arms.loc["mail", "switched"], arms.loc["control", "switched"]) == (1, 0)
    # The order of day 42 counts from the window of 60 days on, that of day 4 in all of them.
    margins = rows[rows["arm"] == "mail"].set_index("window_days")["margin"]
    assert margins.to_dict() == {7: 12.0, 14: 12.0, 30: 12.0, 60: 42.0, 180: 0.0}
    assert summaries.load(study, "assigned_revenue")["revenue"].tolist() == [50.0]
    days = summaries.load(study, "experiment_days")
    mail_days = days[days["arm"] == "mail"].set_index("day")
    assert mail_days["margin"].sum() == 42.0 and mail_days.loc[4, "margin"] == 12.0
    # Squares so far: 12 squared, then 42 squared in all.
    assert mail_days["margin_squares"].cumsum().iloc[-1] == 42.0**2
    early = summaries.load(open_study(str(folder), "2026-02"), "experiment_moments")
    assert early.loc[early["declared"], "n"].sum() == 0
    assert early.loc[early["declared"], "assigned"].sum() == 3


def test_customers_are_never_given_as_a_frame(shop):
    _, study = shop
    with pytest.raises(UsageError, match="No summary 'customer_days'"):
        summaries.load(study, "customer_days")
    with pytest.raises(UsageError, match="Did you mean 'periods'"):
        summaries.load(study, "period")


def test_one_thread_or_two_and_any_order_of_rows_give_the_same(make_shop, monkeypatch):
    orders = random_orders(5)
    frames = []
    for threads, text in (
        ("1", as_csv(orders)),
        ("2", as_csv(orders.sample(frac=1, random_state=1))),
    ):
        monkeypatch.setenv("LTV_THREADS", threads)
        folder = make_shop(text, toml="complete_through = 2025-08-31")
        study = open_study(str(folder), "2025-06")
        frames.append([summaries.load(study, name) for name in ("cohort_ages", "periods", "gaps")])
    for one, two in zip(*frames, strict=True):
        pd.testing.assert_frame_equal(one, two)


def test_every_module_that_makes_summaries_is_in_their_key():
    """A summary kept from older code must not be taken for one of today."""
    import inspect

    made_in = {inspect.getmodule(summary.make).__name__ for summary in summaries.SUMMARIES.values()}
    for module in {*made_in, "helpers.summaries"}:
        assert module.split(".")[1] in summaries._CODE
    assert "study.py" in summaries._CODE


def test_powers_of_large_amounts_are_exact(make_shop):
    """Two hundred million in one order: its square in cents has 21 digits, its cube 31."""
    orders = "order_id,customer_id,ordered_at,revenue\n1,a,2026-01-05,200000000.00\n2,b,2026-01-06,1.00\n"
    study = open_study(str(make_shop(orders, toml="complete_through = 2026-01-31")), "2026-01")
    table = summaries.load(study, "cohort_ages")
    row = table[(table.age_unit == "days30") & (table.dimension == "all")].iloc[0]
    assert row.revenue_cumulative_squares == 200_000_000**2 + 1
    assert row.revenue_cumulative_cubes == pytest.approx(200_000_000**3, rel=1e-15)


def test_large_amounts_stop_no_summary(make_shop):
    """Twenty million in one order, mailed, in an experiment and activated, with all it leads to."""
    text = (
        "order_id,customer_id,ordered_at,revenue,cogs,category\n"
        "1,a,2025-06-01,20000000.00,1000000.00,wood\n2,a,2025-07-05,20000000.00,1000000.00,wood\n"
        "3,b,2025-06-02,1.00,0.50,wood\n4,a,2025-12-05,20000000.00,1000000.00,iron\n"
    )
    folder = make_shop(
        text, toml="complete_through = 2025-12-31",
        touchpoints="customer_id,campaign_id,kind,sent_at\na,c,email,2025-07-04 10:00:00\n",
        experiments="experiment_id,window_days,control_arm\nt,60,control\n",
        assignments="experiment_id,customer_id,arm,assigned_at\nt,a,call,2025-07-01\nt,b,control,2025-07-01\n",
        activations="customer_id,step,at\na,1,2025-06-03 10:00:00\n",
        service_costs="customer_id,at,amount\na,2025-06-20 10:00:00,2000000.00\n",
    )  # fmt: skip
    study = open_study(str(folder), "2025-12")
    options = {"dimension": "first_category", "split": "2025-08-31", "until": "2025-11-30",
               "window": 90, "tolerance": 0.005}  # fmt: skip
    found = {}
    for name, made in summaries.SUMMARIES.items():
        if name not in summaries.PRIVATE:
            given = {option: options[option] for option in made.options if option in options}
            found[name] = summaries.load(study, name, **given)
    assert found["mails"]["revenue_cubes"].iloc[0] == pytest.approx(20e6**3, rel=1e-15)
    assert found["basket_ages"]["revenue_squares"].max() == 20e6**2 + 1
    assert found["experiment_moments"]["revenue_squares"].max() == 40e6**2


def test_a_refund_costs_what_is_known_of_its_product(make_shop):
    """The cost of another line of the order says nothing about the one that came back."""
    text = (
        "order_id,line_id,customer_id,ordered_at,revenue,cogs,product_id,is_refund,refund_of,payment_fee\n"
        "o1,1,a,2026-01-05,20,5,p1,false,,\no1,2,a,2026-01-05,10,,p2,false,,\n"
        "r1,1,a,2026-01-09,-20,-5,p1,true,o1,\n"
        "o2,1,b,2026-01-06,20,5,p1,false,,\no2,2,b,2026-01-06,10,,p2,false,,\n"
        "r2,1,b,2026-01-09,-10,,p2,true,o2,\n"
        "o3,1,c,2026-01-07,20,5,p1,false,,\no3,2,c,2026-01-07,10,,p2,false,,\n"
        "r3,1,c,2026-01-09,-20,-5,,true,o3,\n"
        "o4,1,d,2026-01-08,20,5,p1,false,,\nr4,1,d,2026-01-09,-20,,p1,true,o4,1\n"
    )
    study = open_study(str(make_shop(text, toml="complete_through = 2026-01-31")), "2026-01")
    days = study.con.execute(summaries.engine_table(study, "customer_days")).set_index("day")
    found = {
        day.day: (row.revenue, row.margin, row.margin_revenue, row.cost, row.order_cost)
        for day, row in days.set_axis(pd.to_datetime(days.index)).iterrows()
    }
    # Known of what came back; not known; the whole order where no product is named; goods kept,
    # where the refund itself cost a fee.
    assert found == {
        5: (1000, 0, 0, 0, 0), 6: (2000, 1500, 2000, 500, 0), 7: (1000, 1500, 2000, 500, 0),
        8: (0, -600, 0, 600, 100),
    }  # fmt: skip


def test_sale_lines_below_zero_are_part_of_what_an_order_brought(make_shop):
    text = (
        "order_id,line_id,customer_id,ordered_at,revenue,is_refund\n"
        "o1,1,a,2026-01-05,100,false\no1,2,a,2026-01-05,-20,false\n"
        "o2,1,b,2026-01-06,50,false\no2,2,b,2026-01-06,-50,false\n"
    )
    study = open_study(str(make_shop(text, toml="complete_through = 2026-01-31")), "2026-01")
    moments = summaries.load(study, "paid_moments").iloc[0]
    assert (moments.gross_revenue, moments.net_revenue, moments.gross_aov_total) == (80, 80, 80)
    assert summaries.load(study, "paid_ages")["gross"].sum() == 80


def test_a_month_without_a_line_keeps_its_active_customers(make_shop):
    text = "order_id,customer_id,ordered_at,revenue\n1,a,2024-01-20,10\n2,a,2024-03-15,10\n"
    study = open_study(str(make_shop(text, toml="complete_through = 2024-03-31")), "2024-03")
    stock = summaries.load(study, "active_stock", window=90)
    assert stock[["active", "kept", "new_active"]].to_numpy().tolist() == [
        [1, 0, 1], [1, 1, 0], [1, 1, 0],
    ]  # fmt: skip


def test_facts_and_days_agree_on_what_a_purchase_is():
    """A refund that was taken back leaves a free order what it was: a purchase."""
    lines = [
        ("a", "o1", 1, False, None, 1000), ("a", "o2", 5, False, None, 0),
        ("a", "r1", 5, True, "o2", -700), ("a", "r2", 5, True, "o2", 700),
        ("b", "o3", 2, False, None, 500), ("b", "r3", 9, True, "o3", -500),
    ]  # fmt: skip
    names = ["customer_id", "order_id", "day", "is_refund", "refund_of", "revenue"]
    frame = pd.DataFrame(lines, columns=names)
    frame["order_date"] = frame["event_date"] = pd.to_datetime("2026-01-01") + pd.to_timedelta(
        frame.pop("day"), "D"
    )
    frame = frame.assign(quantity=1.0, margin=frame["revenue"], order_cost=0, discount=0,
                         channel="web")  # fmt: skip
    kinds = dict.fromkeys(("order_date", "event_date", "known_date"), "date")
    frame = frame.assign(product_id=None)
    schema = dict.fromkeys(frame.columns, "string") | kinds
    schema |= {"quantity": "float64", "is_refund": "boolean"}
    schema |= dict.fromkeys(("revenue", "discount", "margin", "order_cost"), "int64")
    orders = ibis.memtable(frame.assign(known_date=pd.NaT), schema=schema)
    customers = ibis.memtable([], schema={"customer_id": "string", "acquisition_channel": "string"})
    con = ibis.duckdb.connect()
    facts = customer_facts(orders, customers)
    found = con.execute(facts).set_index("customer_id")
    days = purchase_days(customer_days(orders, facts))
    counted = con.execute(days.group_by("customer_id").aggregate(n=days.count()))
    assert dict(zip(counted["customer_id"], counted["n"], strict=True)) == {"a": 2}
    assert found["frequency"].dropna().to_dict() == {"a": 1}


def test_only_what_went_out_before_the_first_order_can_have_brought_it(make_shop):
    orders = (
        "order_id,customer_id,ordered_at,revenue\n1,a,2026-01-05 10:00:00,10\n"
        "2,b,2026-01-06 09:00:00,10\n3,c,2026-01-06 12:00:00,10\n4,d,2026-01-07 12:00:00,10\n"
    )
    sent = (
        "customer_id,campaign_id,kind,sent_at,delivered\n"
        "a,spring,email,2026-01-04 10:00:00,true\na,welcome,email,2026-01-05 11:00:00,true\n"
        "b,welcome,email,2026-01-06 10:00:00,true\nc,spring,email,2026-01-05 10:00:00,false\n"
        "d,autumn,email,2025-12-01 10:00:00,true\nd,today,email,2026-01-07 09:00:00,\n"
    )
    toml = "complete_through = 2026-01-31"
    study = open_study(str(make_shop(orders, toml=toml, touchpoints=sent)), "2026-01")
    traits = study.con.execute(summaries.engine_table(study, "customer_traits"))
    assert sorted(traits["campaign"]) == ["no campaign", "no campaign", "spring", "today"]
    study = open_study(str(make_shop(orders, name="bare", toml=toml)), "2026-01")
    traits = study.con.execute(summaries.engine_table(study, "customer_traits"))
    assert set(traits["campaign"]) == {"unknown"}
