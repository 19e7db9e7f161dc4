"""The facts of one draw of a simulated shop: rows, cents, and what a plain readout shows."""

from typing import Any

import numpy as np
import pandas as pd

from helpers.simulate.config import Experiment, ShopConfig
from helpers.simulate.faults import PAYMENT_KINDS

SEEN = 2.8  # standard errors: 80% power at 5% two-sided


def realized_facts(
    config: ShopConfig,
    frames: dict[str, pd.DataFrame],
    faults: dict[str, Any],
    experiments: dict[str, Any],
) -> dict[str, Any]:
    """Give counts and sums of this draw: files, clean shop, planted faults, plain readouts."""
    orders = frames["orders"]
    sales, refunds = orders[~orders["is_refund"]], orders[orders["is_refund"]]
    seen = sales[sales["ordered_at"] < pd.Timestamp(config.as_of) + pd.Timedelta(days=1)]
    per_customer = seen.groupby("customer_id")["order_id"].nunique()
    rows = {name: len(frame) for name, frame in sorted(frames.items()) if len(frame)}
    if faults:
        rows["orders"] += sum(kind["rows"] for kind in faults["orders"].values())
        rows["payments"] = faults["payments"]["rows"]
    return {
        "rows_in_files": rows,
        "clean": {
            "sale_lines": len(sales),
            "refund_lines": len(refunds),
            "orders": int(sales["order_id"].nunique()),
            "customers": int(sales["customer_id"].nunique()),
            "revenue": _cents(orders["revenue"]),
            "sales_revenue": _cents(sales["revenue"]),
            "refund_revenue": _cents(refunds["revenue"]),
            "lines_without_cogs": int(orders["cogs"].isna().sum()),
            "undated_refunds": int(refunds["refunded_at"].isna().sum()),
            "registered_without_order": len(frames["customers"])
            - int(sales["customer_id"].nunique()),
        },
        "by_as_of": {
            "customers": len(per_customer),
            "orders": int(per_customer.sum()),
            "sales_revenue": _cents(seen["revenue"]),
            "one_time_share": float((per_customer == 1).mean()),
        },
        "faults": faults.get("orders", {}),
        "payment_faults": {
            k: v for k, v in faults.get("payments", {}).items() if k in PAYMENT_KINDS
        },
        "experiments": {
            test.experiment_id: facts
            for test in config.experiments
            if (facts := experiment_facts(config, test, frames, experiments))
        },
    }


def _cents(values: pd.Series) -> float:
    return round(float((values * 100).round().sum()) / 100, 2)


def experiment_facts(
    config: ShopConfig,
    test: Experiment,
    frames: dict[str, pd.DataFrame],
    experiments: dict[str, Any],
) -> dict[str, Any]:
    """Give what a plain comparison of arms shows in this draw, for windows over by ``as_of``.

    Orders and margin of known cost per assigned customer in the window (refunds with their sale):
    difference to control and its standard error; ``<measure>_z``: the true effect in standard
    errors, which says whether a shop of this size can see it. Empty when a window is still open.
    """
    assigned = frames["assignments"]
    assigned = assigned[assigned["experiment_id"] == test.experiment_id]
    if test.ends > config.as_of or not len(assigned):
        return {}
    orders = frames["orders"]
    sale_of = orders["order_id"].where(~orders["is_refund"], orders["refund_of"])
    costs = orders["cogs"] + orders["shipping_cost"] + orders["payment_fee"]
    margin = (orders["revenue"] - costs).groupby(sale_of).sum()
    sales = orders[(~orders["is_refund"]) & (orders["line_id"] == 1)]
    each = sales[["customer_id", "order_id", "ordered_at"]].merge(
        assigned[["customer_id", "assigned_at", "arm"]], on="customer_id"
    )
    since = each["ordered_at"] - each["assigned_at"]
    inside = (since >= pd.Timedelta(0)) & (since < pd.Timedelta(days=test.window_days))
    each = each[inside].assign(margin=lambda f: f["order_id"].map(margin), orders=1.0)
    totals = each.groupby("customer_id")[["orders", "margin"]].sum()
    by_customer = assigned.set_index("customer_id")[["arm"]].join(totals).fillna(0.0)
    found = {}
    control = by_customer[by_customer["arm"] == test.arms[0].name]
    for arm in test.arms[1:]:
        treated, row = by_customer[by_customer["arm"] == arm.name], {}
        for name in ("orders", "margin"):
            row[f"{name}_difference"] = float(treated[name].mean() - control[name].mean())
            spread = treated[name].var() / len(treated) + control[name].var() / len(control)
            row[f"{name}_se"] = float(np.sqrt(spread))
            known = 1 - config.cogs_missing if name == "margin" else 1.0
            effect = experiments[test.experiment_id]["effects"][arm.name][name] * known
            row[f"{name}_z"] = effect / row[f"{name}_se"] if spread > 0 else 0.0
        row["seen"] = test.randomized and abs(row["margin_z"]) >= SEEN
        found[arm.name] = row
    return found
