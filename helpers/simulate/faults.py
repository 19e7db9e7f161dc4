"""Faults planted in a simulated shop's files, each counted, so that cleaning can be checked.

Every fault is an extra row: the clean shop, and its truth, stay what they were.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import UsageError
from helpers.simulate.config import ShopConfig
from helpers.simulate.purchases import generator

KINDS = {
    "duplicate_line": 12,
    "unreadable_date": 7,
    "missing_customer": 9,
    "unreadable_revenue": 6,
    "currency_without_rate": 5,
    "zero_revenue": 8,
    "future_date": 4,
    "refund_of_unknown_order": 3,
}
KEPT = ("zero_revenue", "refund_of_unknown_order")  # flagged by a cleaner, but real money
BAD_DATES = ("2025-13-45 10:00:00", "31/02/2025 10:15", "yesterday", "0000-00-00 00:00:00", "45678")
PAYMENT_KINDS = {"wrong_amount": 5, "missing_payment": 4, "unknown_order": 3, "paid_twice": 2}
_DECIMALS = {"rate": 4}


@dataclass(frozen=True)
class Faults:
    """The tables that carry faults, as text, and what was planted."""

    tables: dict[str, pd.DataFrame]
    facts: dict[str, Any]


def text_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a frame as it stands in a CSV file: pinned decimals, ISO times, empty for missing."""
    return pd.DataFrame({name: _text(frame[name]) for name in frame.columns})


def _text(column: pd.Series) -> np.ndarray:
    kind = column.dtype.kind
    if kind == "M":
        stamps = column.to_numpy().astype("datetime64[s]")
        text = np.char.replace(np.datetime_as_string(stamps), "T", " ").astype(object)
        return np.where(np.isnat(stamps), "", text)
    if kind == "f":
        decimals = _DECIMALS.get(column.name, 2)
        values = [f"{x:.{decimals}f}" if x == x else "" for x in column.tolist()]
        return np.array(values, dtype=object)
    if kind == "b":
        return np.where(column.to_numpy(), "true", "false").astype(object)
    return column.astype(object).astype(str).to_numpy(dtype=object)


def plant_faults(config: ShopConfig, frames: dict[str, pd.DataFrame], seed: int) -> Faults:
    """Add the faulty rows to orders and payments; the frames given stay as they are."""
    if not config.faults:
        return Faults({}, {})
    if len(frames["payments"]) < 100:
        raise UsageError("Faults need a shop of 100 orders or more; use faults=False.")
    rng = generator(seed, 2**31 + 3, "extras")
    orders, facts = _faulty_orders(frames["orders"], rng)
    payments, amounts = _faulty_payments(text_frame(frames["payments"]), rng)
    return Faults({"orders": orders, "payments": payments}, {"orders": facts, "payments": amounts})


def _faulty_orders(
    clean: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, Any]]:
    sales = np.flatnonzero(~clean["is_refund"].to_numpy() & (clean["line_id"] == 1).to_numpy())
    total = sum(KINDS.values())
    chosen = rng.choice(sales, total, replace=len(sales) < total)
    rows = text_frame(clean.iloc[chosen])
    kinds = np.repeat(list(KINDS), list(KINDS.values()))
    rows["order_id"] = np.where(
        kinds == "duplicate_line", rows["order_id"], [f"X{n:04d}" for n in range(1, total + 1)]
    )
    for number, kind in enumerate(kinds):
        for name, text in _fault(kind, number, rows.iloc[number]).items():
            rows.loc[number, name] = text
    readable = pd.to_numeric(rows["revenue"], errors="coerce").fillna(0.0)
    facts = {
        kind: {
            "rows": int((kinds == kind).sum()),
            "revenue": round(float(readable[kinds == kind].sum()), 2),
            "kept": kind in KEPT,
        }
        for kind in KINDS
    }
    return _mixed_in(text_frame(clean), rows, rng), facts


def _fault(kind: str, number: int, row: pd.Series) -> dict[str, str]:
    if kind == "unreadable_date":
        return {"ordered_at": BAD_DATES[number % len(BAD_DATES)]}
    if kind == "missing_customer":
        return {"customer_id": ""}
    if kind == "unreadable_revenue":
        return {"revenue": "n/a"}
    if kind == "currency_without_rate":
        return {"currency": "USD"}
    if kind == "zero_revenue":  # a free sample, sent with another order of the same moment
        free = {"revenue": "0.00", "quantity": "1", "discount": row["unit_price"]}
        return {**free, "shipping_cost": "0.00", "payment_fee": "0.00", "coupon": ""}
    if kind == "future_date":
        return {"ordered_at": "2031" + row["ordered_at"][4:].replace("02-29", "02-28")}
    if kind == "refund_of_unknown_order":
        back = {"is_refund": "true", "status": "refund", "refund_of": f"O9{number:06d}"}
        money = {"revenue": "-" + row["revenue"], "quantity": "-" + row["quantity"]}
        if row["discount"] != "0.00":
            money["discount"] = "-" + row["discount"]
        if row["cogs"]:
            money["cogs"] = "-" + row["cogs"]
        zero = {"shipping_cost": "0.00", "payment_fee": "0.00", "coupon": ""}
        return {**back, **money, **zero, "refunded_at": row["ordered_at"]}
    return {}


def _faulty_payments(
    clean: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, Any]]:
    usual = np.flatnonzero((clean["kind"] == "payment").to_numpy())
    chosen = rng.choice(usual, sum(PAYMENT_KINDS.values()), replace=False)
    wrong, missing, unknown, twice = np.split(chosen, np.cumsum(list(PAYMENT_KINDS.values()))[:-1])
    amount = clean["amount"].to_numpy(dtype=object).copy()
    amount[wrong] = [f"{float(amount[row]) + 10:.2f}" for row in wrong]
    frame = clean.assign(amount=amount)
    extra = frame.iloc[np.concatenate([unknown, twice])].reset_index(drop=True)
    strange = np.arange(len(extra)) < len(unknown)
    numbers = pd.Series([f"O9{n:06d}" for n in range(900_000, 900_000 + len(extra))])
    extra["order_id"] = np.where(strange, numbers, extra["order_id"])
    extra["payment_id"] = [f"PX{n:04d}" for n in range(1, len(extra) + 1)]
    kept = frame.drop(index=frame.index[missing]).reset_index(drop=True)
    facts = {**PAYMENT_KINDS, "rows": len(kept) + len(extra)}
    return _mixed_in(kept, extra, rng), facts


def _mixed_in(clean: pd.DataFrame, extra: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    places = np.concatenate([np.arange(len(clean)), rng.uniform(0, len(clean), len(extra))])
    both = pd.concat([clean, extra], ignore_index=True)
    return both.iloc[np.argsort(places, kind="stable")].reset_index(drop=True)
