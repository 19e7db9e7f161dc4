"""Months: the season and whether it helps, customers to come, the ledger, cohorts compared."""

import numpy as np
import pandas as pd
import pytest
from test_btyd import make_fit, simulate_histories

from helpers.models import btyd, calendar, drift, forecast, futures, ledger, newcomers
from helpers.models.season import Season
from helpers.models.terms import Horizon, Terms

AS_OF = pd.Timestamp("2025-12-31")
START = pd.Timestamp("2023-01-01")
BUSY = np.array([0.8, 0.8, 0.9, 0.9, 1.0, 0.9, 0.8, 0.8, 0.9, 1.1, 1.5, 1.6])
SEASON = Season(BUSY / np.average(BUSY, weights=[31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]),
                np.zeros((12, 12)))  # fmt: skip
TRUTH = make_fit(0.5, 70.0, 1.0, 4.0, days_per_unit=1.0)


def shop(seed: int, size: int = 3000, until: str = "2026-12-31") -> pd.DataFrame:
    """Purchase days (id, day, first_day, spend) of customers who buy on the season's clock."""
    rng = np.random.default_rng(seed)
    first = START + pd.to_timedelta(rng.integers(0, (AS_OF - START).days + 1, size), unit="D")
    end = pd.Timestamp(until)
    length = SEASON.clock(np.datetime64(end, "D")) - SEASON.clock(first.to_numpy("datetime64[D]"))
    owner, time = simulate_histories(TRUTH, length, rng)
    born = first.to_numpy("datetime64[D]")
    days = np.array(
        [SEASON.days_until(born[i], t) for i, t in zip(owner, time, strict=True)], dtype=float
    )
    repeat = pd.DataFrame(
        {"id": owner, "day": first[owner] + pd.to_timedelta(np.ceil(days), unit="D")}
    )
    every = pd.concat([pd.DataFrame({"id": np.arange(size), "day": first}), repeat])
    every = every.drop_duplicates(["id", "day"])
    every["first_day"] = every.groupby("id")["day"].transform("min")
    mean = 60 / rng.gamma(4.0, 1.0, size)
    return every.assign(spend=rng.gamma(3.0, mean[every["id"]]).round(2) + 0.01)


def known(days: pd.DataFrame, as_of: pd.Timestamp):
    """States, spends and cohorts by month as known on a day."""
    seen = days[days["day"] <= as_of]
    by = seen.groupby("id")
    states = by.agg(frequency=("day", "size"), first_day=("day", "min"), last_day=("day", "max"))
    states["frequency"] -= 1
    states = states.groupby(forecast.STATE).size().rename("n").reset_index()
    repeat = seen[seen["day"] > seen["first_day"]]
    spends = repeat.groupby("id")["spend"].agg(["size", "sum"]).reset_index(drop=True)
    spends = spends.set_axis(["frequency", "total_spend"], axis=1).assign(n=1)
    return states, spends, cohort_months(seen)


def cohort_months(days: pd.DataFrame) -> pd.DataFrame:
    first = days["day"] == days["first_day"]
    rows = pd.DataFrame(
        {
            "cohort": days["first_day"].dt.to_period("M").dt.to_timestamp(),
            "start": days["day"].dt.to_period("M").dt.to_timestamp(),
            "new_customers": first.astype(int), "purchases": (~first).astype(int),
            "first_revenue": days["spend"].where(first, 0.0),
            "repeat_revenue": days["spend"].where(~first, 0.0),
        }
    )  # fmt: skip
    rows["first_margin"] = rows["first_revenue"] * 0.4
    rows["first_margin_revenue"] = rows["first_revenue"]
    return rows.groupby(["cohort", "start"]).sum().reset_index()


@pytest.fixture(scope="module")
def days():
    return shop(5)


@pytest.fixture(scope="module")
def now(days):
    return known(days, AS_OF)


@pytest.fixture(scope="module")
def models(now):
    states, spends, months = now
    season, reason = calendar.season_of(months, states, spends, AS_OF)
    assert reason == ""
    return forecast.fit_models(states, spends, AS_OF, season=season)


class TestSeason:
    def test_it_is_found(self, models):
        np.testing.assert_allclose(models.season.intensity, SEASON.intensity, atol=0.17)

    def test_it_helps_on_months_not_seen(self, days):
        cutoff = pd.Timestamp("2024-12-31")
        states, spends, _ = known(days, cutoff)
        months = cohort_months(days[days["day"] <= AS_OF])
        check = calendar.check_season(states, spends, months, cutoff, AS_OF)
        assert check.helps
        assert check.seasonal_error < 0.6 * check.plain_error
        assert len(check.months) == 12

    def test_a_short_history_is_a_sentence(self, days):
        states, spends, months = known(days, pd.Timestamp("2024-06-30"))
        season, reason = calendar.season_of(months, states, spends, "2024-06-30")
        assert season is None
        assert "a season needs every month of the year twice" in reason
        assert calendar.season_cutoff("2024-01-01", "2026-02-28") is None

    def test_a_year_is_as_long_as_without(self, models):
        plain = forecast.Clock(AS_OF, 7.0)
        year = plain.ahead([365.25])[0]
        assert models.clock.ahead([365.25])[0] == pytest.approx(year, rel=2e-3)
        assert models.clock.days_until(models.clock.ahead([40.0]))[0] == pytest.approx(40)

    def test_tracking_follows_the_months(self, now, models):
        states, _, months = now
        daily = calendar.tracking(states, models, AS_OF)
        by = daily.groupby(daily["day"].dt.to_period("M"))["expected"].sum()
        seen = calendar.repeats_by_month(months, AS_OF)
        assert by.sum() == pytest.approx(seen.sum(), rel=0.03)
        assert np.corrcoef(by.iloc[12:], seen.iloc[12:])[0, 1] > 0.95


@pytest.fixture(scope="module")
def parts(now, models):
    states, spends, months = now
    terms = Terms(Horizon(12), margin_rate=0.4, cost_to_serve=1.0)
    edges = calendar.month_edges(AS_OF, 12)
    present = futures.futures(states, spends, models, edges, draws=60)
    new = newcomers.newcomers(months, models, terms, AS_OF, 12, draws=60)
    return present, new, newcomers.month_forecast(present, new, terms, AS_OF), terms


class TestMonths:
    def test_two_lines_add_up(self, parts):
        _, _, table, _ = parts
        assert table["start"].tolist()[0] == pd.Timestamp("2026-01-01")
        for name in ("orders", "revenue"):
            np.testing.assert_allclose(table[f"{name}_present"] + table[f"{name}_new"], table[name])
        np.testing.assert_allclose(table["margin"] - table["service"], table["net"])
        own = table["revenue_present"] * 0.4 - table["orders_present"]
        np.testing.assert_allclose(own, table["net_present"])
        assert (table["net_low"] < table["net"]).all() and (table["net"] < table["net_high"]).all()

    def test_present_customers_do_what_was_said(self, days, parts):
        table = parts[2]
        later = days[(days["day"] > AS_OF) & (days["first_day"] <= AS_OF)]
        actual = later.groupby(later["day"].dt.to_period("M")).size().cumsum().to_numpy()
        inside = (table["orders_present_to_date_low"] <= actual) & (
            actual <= table["orders_present_to_date_high"]
        )
        assert inside.sum() >= 9

    def test_months_sum_to_the_year(self, now, models, parts):
        states, spends, _ = now
        year = futures.clv_forecast(
            states, spends, models, Terms(Horizon(365, "days")), draws=5
        ).totals.iloc[0]
        assert parts[2]["orders_present"].sum() == pytest.approx(year["orders"], rel=1e-9)

    def test_repeats_of_newcomers(self, models):
        # one customer a month: in the last month all twelve have bought again as E[X(t)] says
        edges = calendar.month_edges(AS_OF, 12)
        plain = forecast.Models(models.purchase, models.spend, AS_OF)
        repeats = newcomers._repeats(plain, edges, np.ones(12))
        middle = (edges[1:] + edges[:-1]) / 2
        want = btyd.expected_purchases_new(models.purchase, (edges[-1] - middle) / 7).sum()
        assert repeats.sum() == pytest.approx(want, rel=1e-9)


class TestArrivals:
    def series(self, values):
        return pd.Series(values, pd.period_range("2022-01", periods=len(values), freq="M"))

    def test_two_years_grow(self):
        year = np.array([10, 12, 14, 20, 10, 12, 14, 20, 10, 12, 14, 20.0])
        counts, shared, single, rule = newcomers.arrivals(self.series([*year, *(year * 1.5)]), 14)
        np.testing.assert_allclose(counts[:12], year * 1.5 * 1.5)
        np.testing.assert_allclose(counts[12:], year[:2] * 1.5**3)
        assert shared >= newcomers.GROWTH_CHANGE and single == 0
        assert "a year before" in rule

    def test_one_year_is_flat(self):
        counts, *_, rule = newcomers.arrivals(self.series(np.arange(1.0, 15)), 3)
        np.testing.assert_allclose(counts, np.arange(9, 15).mean())
        assert "last 6 months" in rule

    def test_nobody_comes_any_more(self):
        counts, shared, _, rule = newcomers.arrivals(self.series([500.0, 300, 0, 0, 0]), 4)
        assert counts.sum() == shared == 0
        assert "none is expected" in rule


@pytest.fixture(scope="module")
def record(now, models):
    states, spends, months = now
    present = futures.futures(states, spends, models, calendar.month_edges(AS_OF, 6), draws=60)
    terms = Terms()
    new = newcomers.newcomers(months, models, terms, AS_OF, 6, draws=60)
    table = newcomers.month_forecast(present, new, terms, AS_OF)
    return {"extra": {"forecast_months": ledger.kept(table)}}, table


class TestLedger:
    def test_it_is_scored_on_what_happened(self, days, record):
        kept, table = record
        months = cohort_months(days[days["day"] <= pd.Timestamp("2026-03-31")])
        made = ledger.entries({"2025-12": kept, "2025-11": {}, "2025-10": {"extra": {}}})
        found = ledger.scored(made, months, "2026-03").set_index("measure")
        row = found.loc["orders_present"]
        later = days[(days["day"] > AS_OF) & (days["day"] <= pd.Timestamp("2026-03-31"))]
        assert row["actual"] == (later["first_day"] <= AS_OF).sum()
        assert row["months"] == 3
        assert row["forecast"] == pytest.approx(table["orders_present"].iloc[:3].sum(), abs=0.01)
        assert row["bias"] == pytest.approx(row["forecast"] / row["actual"] - 1)
        assert found.loc["revenue", "actual"] == pytest.approx(later["spend"].sum())

    def test_months_to_come_are_not_scored(self, days, record):
        made = ledger.entries({"2025-12": record[0]})
        assert ledger.scored(made, cohort_months(days[days["day"] <= AS_OF]), "2025-12").empty
        assert ledger.entries({}).empty

    def row(self, **values):
        base = {"made": "2025-12", "months": 3, "measure": "revenue", "forecast": 130.0,
                "low": 120.0, "high": 140.0, "actual": 100.0, "bias": 0.3, "inside": False}  # fmt: skip
        return {**base, **values}

    def test_alarms(self):
        [said] = ledger.alarms(pd.DataFrame([self.row()]))
        assert "2025-12 lies above what happened, by 30%" in said
        assert ledger.alarms(pd.DataFrame([self.row(bias=0.05)])) == []
        fine = self.row(inside=True, bias=-0.12)
        three = [self.row(**{**fine, "made": f"2025-{m}"}) for m in ("10", "11", "12")]
        [said] = ledger.alarms(pd.DataFrame(three))
        assert "all lie below" in said
        assert ledger.alarms(pd.DataFrame(three[:2])) == []


class TestDrift:
    def test_alike_cohorts_are_pooled(self, now, models):
        found = drift.compare_cohorts(now[0], models)
        assert found.advice == "pool"
        assert found.cohorts["cohort"].iloc[-1] == "all"
        assert found.cohorts["customers"].iloc[:-1].sum() == 3000
        assert (found.cohorts["low"] < found.cohorts["expected"]).all()

    def test_cohorts_that_differ_are_split(self):
        rng = np.random.default_rng(3)
        parts = []
        for year, rate in (("2023", 40.0), ("2024", 160.0)):
            born = pd.Timestamp(f"{year}-03-01") + pd.to_timedelta(
                rng.integers(0, 90, 1500), unit="D"
            )
            T = (AS_OF - born).days.to_numpy(float)
            seen = btyd.simulate_states(make_fit(0.6, rate, 0.8, 3.0, days_per_unit=1.0), T, rng)
            last = born + pd.to_timedelta(np.ceil(seen.recency), unit="D")
            parts.append(pd.DataFrame({"frequency": seen.frequency, "first_day": born,
                                       "last_day": np.minimum(last, AS_OF), "n": 1}))  # fmt: skip
        states = pd.concat(parts, ignore_index=True)
        x = np.tile([1, 2, 3], 50)
        total = rng.gamma(3.0 * x, 60 / rng.gamma(4.0, 1.0, 150))
        spends = pd.DataFrame({"frequency": x, "total_spend": total, "n": 1})
        models = forecast.fit_models(states, spends, AS_OF)
        found = drift.compare_cohorts(states, models)
        assert found.advice == "split"
        assert found.gain > drift.CLEARLY
        assert found.cohorts["apart"].iloc[:-1].all()

    def test_too_few(self, now, models):
        found = drift.compare_cohorts(now[0].head(100), models)
        assert "at least 300 customers" in found.reason
        assert found.cohorts.empty
