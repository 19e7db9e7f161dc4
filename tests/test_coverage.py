"""Simulated shops: estimates by segment lie in their intervals, and the benchmark still runs."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from benchmarks import coverage
from helpers.measures import ltv
from helpers.simulate.config import ShopConfig
from helpers.simulate.truth import value_by_age

SHOPS, AGES = 60, (30, 90, 180, 365)


@pytest.fixture(scope="module")
def law() -> ShopConfig:
    return coverage.replace(coverage.LAW, block_customers=30_000)


@pytest.fixture(scope="module")
def by_channel(law) -> pd.DataFrame:
    """Sixty shops of five hundred customers, their value by channel of acquisition."""
    days, channels = coverage.customer_days(law, 20260701, 0)
    # Arrivals are sorted, so the shops take turns.
    names = [f"{number % SHOPS:02d} {name}" for number, name in enumerate(channels)]
    people = pd.DataFrame({"customer_id": np.arange(len(channels)), "channel": names})
    ages = coverage.horizon_ages(*coverage.stored(*coverage.with_first_day(days, people)))
    parts = [
        ltv.ltv_historical(ages, as_of=coverage.END, horizons=AGES, value=value,
                           dimension="channel", min_cell=30).assign(measure=value)
        for value in ("revenue", "margin")
    ]  # fmt: skip
    return pd.concat(parts).dropna(subset="low")


@pytest.mark.parametrize("measure", ["revenue", "margin"])
@pytest.mark.parametrize("age", AGES)
def test_value_by_channel_lies_in_its_interval_as_often_as_it_says(by_channel, law, measure, age):
    """Truth is the closed form of the law. Three hundred intervals hold it in 95% of the shops."""
    rows = by_channel[(by_channel["measure"] == measure) & (by_channel["horizon"] == age)]
    channel = rows["value"].str[3:]
    truth = channel.map(
        {name: value_by_age(law, age, channel=name)[measure] for name in channel.unique()}
    )
    assert len(rows) > 200 and channel.nunique() == 5
    held = ((rows["low"] <= truth) & (truth <= rows["high"])).mean()
    # Three standard errors of so many draws, and the one point that the benchmark allows.
    assert 0.95 - 0.048 < held < 0.95 + 0.044, held


def test_channels_differ_as_the_law_says(by_channel, law):
    rows = by_channel[(by_channel["measure"] == "margin") & (by_channel["horizon"] == 365)]
    for name, part in rows.groupby(rows["value"].str[3:]):
        n = part["customers"]
        mean = part["amount"].sum() / n.sum()
        se = np.sqrt(((n * part["se"]) ** 2).sum()) / n.sum()
        assert abs(mean - value_by_age(law, 365, channel=name)["margin"]) < 3.5 * se, name
    shares = {each.name: each.share for each in law.channels}
    mixed = sum(
        share * value_by_age(law, 365, channel=name)["margin"] for name, share in shares.items()
    )
    assert mixed == pytest.approx(value_by_age(law, 365)["margin"])


def test_the_benchmark_of_coverage_runs(monkeypatch, tmp_path):
    """A small run through the command, with every figure in the page it writes."""
    monkeypatch.setattr(coverage, "LAW", coverage.replace(coverage.LAW, block_customers=2_000))
    monkeypatch.setattr(coverage, "_TARGET", tmp_path / "reports" / "coverage.md")
    table = coverage.of_size(60, 12, 1)
    assert set(table["customers"]) == {60} and (table["shops"] == 12).all()
    assert len(table) == 2 * len(AGES) + len(AGES) + 2
    assert table["covered"].between(0, 1).all() and (table["width"] > 0).all()
    page = coverage.page(table, 12, 1)
    assert page.count("\n| 60 |") == len(table)
    found = CliRunner().invoke(coverage.main, ["--help"])
    assert found.exit_code == 0 and "--jobs" in found.output
