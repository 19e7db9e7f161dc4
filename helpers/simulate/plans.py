"""The tables that are about the shop, not a customer: spend, budget, promotions, tests, rates."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from helpers.simulate.config import ShopConfig, calendar
from helpers.simulate.purchases import generator


def _expected_arrivals(config: ShopConfig) -> np.ndarray:
    arrivals = calendar(config).arrivals
    return arrivals / arrivals[: config.as_of_day].sum() * config.customers


def month_starts(config: ShopConfig) -> list[date]:
    """Give the first day of each month of the data."""
    days = (config.first_day + timedelta(days=n) for n in range(config.end))
    return [day for day in days if day.day == 1]


def marketing_spend_frame(config: ShopConfig, seed: int) -> pd.DataFrame:
    """Give spend of the paid channels by day, or by week where a channel bills by week.

    Spend follows the expected, not the realized, number of new customers, with noise by period.
    """
    rng, arrivals = generator(seed, 2**31 + 1, "extras"), _expected_arrivals(config)
    parts = []
    for channel in config.channels:
        if channel.cost <= 0:
            continue
        starts = np.arange(0, config.end, channel.spend_days)
        ends = np.minimum(starts + channel.spend_days, config.end) - 1
        expected = np.add.reduceat(arrivals, starts) * channel.share
        # Media prices rise by 8% a year, so that acquisition gets dearer while the shop grows.
        cost = expected * channel.cost * np.exp(0.08 * starts / 365)
        cost *= rng.gamma(30.0, 1 / 30.0, len(starts))
        clicks = rng.poisson(cost / 0.55)
        first = np.datetime64(config.first_day, "D")
        parts.append(
            pd.DataFrame(
                {
                    "channel": channel.name,
                    "starts_at": (first + starts).astype(str),
                    "ends_at": (first + ends).astype(str),
                    "cost": np.round(cost, 2),
                    "clicks": clicks,
                    "leads": rng.poisson(expected * 0.4),
                    "impressions": clicks * 40 + rng.poisson(200.0, len(starts)),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def budget_frame(config: ShopConfig) -> pd.DataFrame:
    """Give the planned spend by paid channel and month: what last year's growth would have cost."""
    rows, arrivals = [], _expected_arrivals(config)
    for channel in config.channels:
        for start in month_starts(config) if channel.cost > 0 else ():
            day = config.day(start)
            days = ((start + timedelta(days=32)).replace(day=1) - start).days
            daily = arrivals[day : day + days].mean() * channel.share
            planned = round(daily * days * channel.cost * 1.04, -1)
            rows.append((channel.name, start.isoformat(), float(planned)))
    return pd.DataFrame(rows, columns=["channel", "month", "planned"])


def promotions_frame(config: ShopConfig) -> pd.DataFrame:
    """Give the promotions: general sales, the welcome coupon, and the experiments' discounts."""
    rows = [
        (p.promotion_id, p.starts.isoformat(), p.ends.isoformat(), p.kind, p.discount)
        for p in config.promotions
        if p.starts <= config.last_day
    ]
    first, last = config.first_day.isoformat(), config.last_day.isoformat()
    rows.append(("WELCOME10", first, last, "coupon", config.coupon_discount))
    for test in config.experiments:
        for arm in test.arms:
            if arm.discount:
                ends = test.starts + timedelta(days=(arm.pull_days or test.window_days) - 1)
                dates = (test.starts.isoformat(), ends.isoformat())
                rows.append(("FLASH15", *dates, "targeted", arm.discount))
    columns = ["promotion_id", "starts_at", "ends_at", "kind", "discount"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        ["starts_at", "promotion_id"], ignore_index=True
    )


def experiments_frame(config: ShopConfig) -> pd.DataFrame:
    """Give the tests as they were declared; cost_per_customer is that of the dearest arm."""
    size = {"new": 0.2, "recent": 0.25, "lapsed": 0.35}
    rows = [
        {
            "experiment_id": test.experiment_id,
            "name": test.name,
            "hypothesis": test.hypothesis,
            "metric": "margin_per_customer",
            "window_days": test.window_days,
            "planned_size": int(round(size[test.population] * config.customers, -1)),
            "control_arm": test.arms[0].name,
            "randomized": test.randomized,
            "cost_per_customer": max(arm.cost for arm in test.arms),
            "fixed_cost": test.fixed_cost,
            "started_at": f"{test.starts.isoformat()} 00:00:00",
            "ended_at": f"{test.ends.isoformat()} 23:59:59",
            "decision": test.decision,
        }
        for test in sorted(config.experiments, key=lambda e: (e.starts, e.experiment_id))
        if test.starts <= config.last_day
    ]
    return pd.DataFrame(rows)


def fx_rates_frame(config: ShopConfig, seed: int) -> pd.DataFrame:
    """Give pound rates by month; the clean shop sells in one currency and needs none of them."""
    rng, months = generator(seed, 2**31 + 2, "extras"), month_starts(config)
    rate = 1.17 * np.exp(np.cumsum(rng.normal(0, 0.006, len(months))))
    days = [month.isoformat() for month in months]
    return pd.DataFrame({"currency": "GBP", "day": days, "rate": np.round(rate, 4)})
