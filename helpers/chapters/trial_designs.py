"""Before a test: what the shop's own customers and their spread allow it to see."""

import pandas as pd

from helpers import summaries
from helpers.experiments import cuped, design, effects
from helpers.experiments.ratios import ratio
from helpers.measures import metrics
from helpers.show import count, is_missing, percent
from helpers.study import Study

# What is usually hoped for: revenue per recipient, and order value.
TARGETS = {"revenue": (0.05, 0.10, 0.15), "order value": (0.10, 0.25), "margin": (0.10, 0.25, 0.50)}


def shop_spread(study: Study) -> pd.DataFrame:
    """Give mean, variance and R2 of one customer of the shop, by window and metric.

    Customers with an order in the year before each window, as if all had been assigned at its
    start; R2 is what margin of the half year before explains. For the order value the variance is
    that of one customer's linearised ratio. Margin is left out where too few costs are known.
    """
    rows = summaries.load(study, "shop_windows").sort_values("window_days")
    has_margin = metrics.money_basis(summaries.load(study, "periods")) == "margin"
    found = []
    for _, row in rows.iterrows():
        if row["n"] < 2 or not row["orders"] > 0:
            continue
        for metric in ("revenue", "margin") if has_margin else ("revenue",):
            r2, _ = cuped.explained([row], metric, ("pre",))
            found.append(
                {"window_days": int(row["window_days"]), "metric": metric,
                 "mean": float(effects.mean(row, metric)),
                 "variance": float(effects.variance(row, metric)), "r2": max(float(r2), 0.0)}
            )  # fmt: skip
        value, spread = ratio(row, "revenue", "orders")
        found.append(
            {"window_days": int(row["window_days"]), "metric": "order value", "mean": float(value),
             "variance": float(spread) * float(row["n"]), "r2": 0.0}
        )  # fmt: skip
    return pd.DataFrame(found, columns=["window_days", "metric", "mean", "variance", "r2"])


def sheet(study: Study) -> pd.DataFrame:
    """Plan tests of two equal arms with all customers of the last year, by window and target."""
    spread, rows = shop_spread(study), summaries.load(study, "shop_windows")
    if spread.empty:
        return pd.DataFrame(
            columns=["window_days", "metric", "target", "needed", "smallest_relative"]
        )
    parts = []
    for metric, targets in TARGETS.items():
        for window, line in spread[spread["metric"] == metric].groupby("window_days"):
            own = rows.loc[rows["window_days"] == window].iloc[0]
            parts.append(
                design.design_sheet(
                    line, customers=float(own["n"]), per_day=float(own["joined"]) / window,
                    targets=targets,
                ).assign(customers=float(own["n"]))
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def short(table: pd.DataFrame) -> pd.DataFrame:
    """Give the sheet as the page shows it: a row per metric and window from two weeks on."""
    rows = []
    longer = table[table["window_days"] > 7] if len(table) else table
    for (metric, window), part in longer.groupby(["metric", "window_days"]):
        first = part.iloc[0]
        row = {
            "metric": metric,
            "days": window,
            "mean": first["mean"],
            "customers": first["customers"],
        }
        row |= {"smallest_change": first["smallest_relative"]}
        needed = ", ".join(
            f"{percent(t, 0)}: {count(n)}"
            for t, n in zip(part["target"], part["needed"], strict=True)
        )
        rows.append(
            row | {"customers_needed_to_see": needed, "seen": bool(part["seen"].astype(bool).any())}
        )
    columns = [
        "metric",
        "days",
        "mean",
        "customers",
        "smallest_change",
        "customers_needed_to_see",
        "seen",
    ]
    return pd.DataFrame(rows, columns=columns)


def verdict_sentence(table: pd.DataFrame) -> str:
    """Say plainly whether the usual targets can be seen here, and what would help."""
    if table.empty:
        return "Nobody ordered in the windows, so there is no spread to plan with."
    texts = []
    for metric, window in (("revenue", 60), ("order value", 60)):
        part = table[(table["metric"] == metric) & (table["window_days"] == window)]
        if part.empty:
            continue
        seen = part[part["seen"].astype(bool)]
        name = {"revenue": "revenue per recipient", "order value": "order value"}[metric]
        low, high = part["target"].min(), part["target"].max()
        hoped = (
            f"The usual hope for {name} in 60 days, {percent(low, 0)} to {percent(high, 0)} more,"
        )
        if len(seen) == len(part):
            texts.append(f"{hoped} can be seen with the customers there are")
        elif len(seen):
            texts.append(f"{hoped} can be seen from {percent(seen['target'].min(), 0)} on")
        else:
            row = part.iloc[-1]
            texts.append(
                f"{hoped} cannot be seen: even {percent(row['target'], 0)} needs "
                f"{count(row['needed'])} customers, and there are {count(row['customers'])}, "
                "which show "
                f"{percent(row['smallest_relative'], 0)} or more{_in_time(row['days'])}"
            )
    helps = (
        "What helps: a longer window, several waves read together, a bolder change, and adjusting "
    )
    helps += "for what was known before"
    return ". ".join([*texts, helps]) + "."


def _in_time(days: float) -> str:
    """Say how long it takes until enough have joined, the window included."""
    if is_missing(days):
        return "; nobody new joins, so waiting does not help"
    return f"; at today's pace of new customers the test would take {count(days)} days"


def holdout_sentence(study: Study, effect: float, gain: float) -> str:
    """Say how many customers a hold-out takes to see an effect on margin, and what it costs.

    ``gain`` is what a customer held out goes without: the effect less the campaign's own cost.
    """
    spread, rows = shop_spread(study), summaries.load(study, "shop_windows")
    line = spread[(spread["metric"] == "margin") & (spread["window_days"] == 180)]
    if line.empty or is_missing(effect) or not effect > 0:
        return (
            "How large a hold-out has to be depends on the effect it is to see; no past campaign "
            "shows one to plan with."
        )
    n = float(rows.loc[rows["window_days"] == 180, "n"].iloc[0])
    first = line.iloc[0]
    size, cost = design.holdout_size(
        first["variance"], customers=n, effect=effect, gain=max(gain, 0.0), r2=first["r2"]
    )
    moved = f"To see {study.money(effect, 2)} more margin per customer in half a year"
    if is_missing(size):
        return f"{moved}, even half of the {count(n)} customers held out would not do."
    return (
        f"{moved}, {count(size)} of {count(n)} customers have to go without, which costs about "
        f"{study.money(cost)} if it is real and campaigns cost what they did."
    )
