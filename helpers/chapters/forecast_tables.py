"""Tables of the predictive CLV notebook, made from an outlook."""

from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.chapters.outlooks import TIERS, Outlook
from helpers.models import btyd, drift, forecast, futures
from helpers.models.portfolio import standing, what_if
from helpers.show import count, percent, ratio
from helpers.study import Study


def total_row(view: Outlook) -> pd.Series:
    """Give the total of a forecast; all missing where there is none."""
    names = ("orders", "revenue", "margin", "clv")
    if view.forecast is None:
        keys = ["customers", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
        return pd.Series(np.nan, index=keys)
    return view.forecast.totals.iloc[-1]


def residual(view: Outlook) -> float:
    """Give all that today's customers are still expected to bring, discounted, without horizon."""
    known = view.valued is not None and "residual" in view.valued
    return float(view.valued["residual"].sum()) if known else np.nan


def tiers(view: Outlook) -> pd.DataFrame:
    """Give the tiers: customers, orders, value in total and per customer, with intervals."""
    columns = ["tier", "customers", "orders", "revenue", "margin", "clv", "clv_low", "clv_high"]
    columns += ["share", "residual", "per_customer", "low", "high"]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    table = view.forecast.totals.iloc[:-1]
    table = table.assign(tier=table["tier"].astype(str)).reset_index(drop=True)
    each = {"per_customer": "clv", "low": "clv_low", "high": "clv_high"}
    per_customer = {name: table[column] / table["customers"] for name, column in each.items()}
    still = np.nan
    if "residual" in view.valued:
        still = (
            view.valued.groupby("tier", observed=False)["residual"].sum().reindex(TIERS).to_numpy()
        )
        still = still[: len(table)]
    return table.assign(share=table["clv"] / table["clv"].sum(), residual=still, **per_customer)[
        columns
    ]


def one_customer(view: Outlook, seed: int, *, most: int = 400) -> pd.DataFrame:
    """Give what a single customer in the middle of each tier may do: 90% predictive ranges.

    One row per tier: orders_low, orders_high, low, high (margin less service over the horizon, not
    discounted). At most ``most`` customers of a tier are looked at, evenly from first to last.
    """
    columns = ["tier", "orders_low", "orders_high", "low", "high"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    states = view.valued.sort_values([*forecast.STATE, "spend_frequency"], kind="stable")
    parts = []
    for tier, part in states.groupby("tier", observed=True, sort=True):
        upto = part["n"].cumsum().to_numpy()
        places = (np.arange(min(most, upto[-1])) + 0.5) * (upto[-1] / min(most, upto[-1]))
        chosen = part.iloc[np.searchsorted(upto, places, side="right").clip(max=len(part) - 1)]
        ranges = futures.customer_ranges(chosen, view.models, view.terms, seed=seed)
        parts.append(ranges.median().rename(str(tier)))
    found = pd.DataFrame(parts).rename_axis("tier").reset_index()
    return found.rename(columns={"net_low": "low", "net_high": "high"})[columns]


def cohorts(view: Outlook, seed: int, *, least: int = 0) -> pd.DataFrame:
    """Give the forecast by quarter of first purchase; quarters below ``least`` join the one
    before."""
    columns = [
        "cohort",
        "customers",
        "orders",
        "revenue",
        "clv",
        "clv_low",
        "clv_high",
        "per_customer",
    ]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    found = futures.clv_forecast(
        view.valued.assign(cohort=_large(view.valued, least)), view.spend, view.models, view.terms,
        by="cohort", draws=200, seed=seed,
    )  # fmt: skip
    table = found.totals
    return table.assign(per_customer=table["clv"] / table["customers"])[columns]


def _large(valued: pd.DataFrame, least: int) -> pd.Series:
    sizes, names, last = valued.groupby("cohort")["n"].sum(), {}, ""
    for cohort, size in sizes.items():
        last = cohort if size >= least or not last else last
        names[cohort] = last
    return valued["cohort"].map(names)


def by_month(view: Outlook) -> pd.DataFrame:
    """Give profit and loss by calendar month: customers of today, customers to come, and both.

    Margin and net are missing where no cost is known.
    """
    columns = ["start", "orders", "new_customers", "revenue_present", "revenue_new", "revenue",
               "revenue_low", "revenue_high", "margin", "service", "net"]  # fmt: skip
    if view.months is None:
        return pd.DataFrame(columns=columns)
    unknown = {} if view.basis == "margin" else {"margin": np.nan, "net": np.nan}
    return view.months[columns].assign(**unknown)


def month_lines(months: pd.DataFrame) -> pd.DataFrame:
    """Lay revenue by month out for a picture: of both with its interval, of each without one.

    Long: start, who, revenue, low, high.
    """
    parts = {
        "both": ("revenue", "revenue_low", "revenue_high"),
        "of today": ("revenue_present",), "to come": ("revenue_new",),
    }  # fmt: skip
    names = {"revenue_low": "low", "revenue_high": "high"}
    rows = [
        months[["start", *columns]].rename(columns={columns[0]: "revenue", **names}).assign(who=who)
        for who, columns in parts.items()
    ]
    return pd.concat(rows, ignore_index=True)[["start", "who", "revenue", "low", "high"]]


def parameters(view: Outlook) -> pd.DataFrame:
    """Give the fitted parameters with their 95% intervals, purchase and spend model together."""
    columns = ["model", "parameter", "estimate", "low", "high"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for name, fit in ((view.models.name, view.models.purchase), ("Gamma-Gamma", view.models.spend)):
        for parameter, error in zip(fit.names, fit.standard_errors, strict=True):
            value = getattr(fit, parameter)
            floor = dict(zip(fit.names, fit.floors, strict=True))[parameter]
            # The interval is on the logarithm of what lies above the floor: nearly normal there.
            times = np.exp(1.96 * error / (value - floor))
            low, high = floor + (value - floor) / times, floor + (value - floor) * times
            rows.append((name, parameter, value, low, high))
    return pd.DataFrame(rows, columns=columns)


def fit_by_frequency(view: Outlook, states: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Give customers by repeat purchase days, counted and as the model expects: long.

    The last row takes in as many frequencies as it takes that no row counts fewer customers than
    may be shown.
    """
    columns = ["repeat_days", "what", "customers"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    models = view.models
    at = forecast.states_at(states, study.end, models.clock.days_per_unit, models.season)
    least = study.shop.privacy.min_cell
    for last in range(7, 0, -1):
        seen, expected = btyd.frequency_table(models.purchase, at, last=last).T
        if not ((seen > 0) & (seen < least)).any():
            break
    names = [*(str(k) for k in range(last)), f"{last}+"]
    parts = {"customers": seen, "model": expected}
    return pd.concat(
        [
            pd.DataFrame({"repeat_days": names, "what": what, "customers": values})
            for what, values in parts.items()
        ],
        ignore_index=True,
    )


def cohort_drift(view: Outlook, states: pd.DataFrame) -> drift.Drift:
    """Compare cohorts: is one model enough for all of them?"""
    if view.models is None:
        return drift.Drift("There is no model to compare cohorts by.", drift.NONE)
    together = states.groupby(forecast.STATE, as_index=False)["n"].sum()
    return drift.compare_cohorts(together, view.models)


def channel_drift(view: Outlook, states: pd.DataFrame) -> drift.Drift:
    """Compare the channels that won customers: is one model enough for all of them?"""
    if view.models is None:
        return drift.Drift("There is no model to compare channels by.", drift.NONE)
    return drift.compare_segments(states, view.models)


def identity(view: Outlook) -> pd.DataFrame:
    """Check the forecast: tiers add up to the total, months too, and money is orders x spend."""
    columns = ["check", "difference"]
    if view.forecast is None:
        return pd.DataFrame(columns=columns)
    totals, steps, terms = view.forecast.totals, view.forecast.steps, view.terms
    total, parts = totals.iloc[-1], totals.iloc[:-1]
    engine = (view.valued["value"]).sum()
    free = replace(terms, discount_rate=0.0)
    plain = what_if(standing(view.valued, view.spend, view.models, free))
    net = total["revenue"] * terms.margin_rate - total["orders"] * terms.cost_to_serve
    rows = [
        ("Tiers less total, value", parts["clv"].sum() - total["clv"]),
        ("Steps less total, value", steps["clv"].sum() - total["clv"]),
        ("Customers one by one in the engine less total, value", engine - total["clv"]),
        ("Revenue x margin rate - service less net", net - total["net"]),
        ("Value without discount less net", plain - total["net"]),
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(difference=table["difference"].round(2) + 0.0)


_COUNTED = ("customers", "orders", "orders_said", "orders_present", "orders_new", "new_customers",
            "consented")  # fmt: skip
_SHARES = ("share", "bias", "total_error", "decile_error", "change", "p_alive")
_RATIOS = ("rmse", "mae", "msle", "gini", "estimate", "low", "high", "intensity", "expected")


def formats(study: Study, table: pd.DataFrame, **own: object) -> dict:
    """Say how the columns of a table of this notebook are written: counts, shares, ratios, money.

    What is named in ``own`` is written so; columns of numbers that no list names are money.
    """
    found = {}
    for name in table:
        if name in own:
            found[name] = own[name]
        elif name in _COUNTED:
            found[name] = count
        elif name in _SHARES:
            found[name] = percent
        elif name in _RATIOS:
            found[name] = ratio
        elif pd.api.types.is_float_dtype(table[name]):
            found[name] = study.money
    return found


def with_interval(total: pd.Series, name: str, *, per: str = "") -> dict[str, float]:
    """Give a figure of a total with its interval, as a headline takes it; ``per`` divides it."""
    by = total[per] if per else 1
    keys = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    return {key: total[column] / by for key, column in keys.items()}
