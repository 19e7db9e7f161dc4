"""From purchase times to order lines, refunds and payments, exact to the cent.

All money is computed in whole cents; frames carry it in currency units.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.simulate.config import ShopConfig, calendar
from helpers.simulate.purchases import History, People
from helpers.simulate.truth import first_orders, order_discounts

FLOWS = ("one_page", "three_step", "express")
PRICE_BANDS = (12, 20, 28, 38, 55, 80)  # list price of a unit, EUR; seven products per category
MONEY = ("revenue", "unit_price", "discount", "cogs", "shipping_cost", "payment_fee")


@dataclass(frozen=True)
class Orders:
    """The orders of a batch, one array entry each, in order of time."""

    order_id: np.ndarray
    customer: np.ndarray
    at: np.ndarray
    first: np.ndarray
    discount: np.ndarray
    coupon: np.ndarray
    channel: np.ndarray
    flow: np.ndarray
    n_lines: np.ndarray
    value: np.ndarray  # list value, currency


def ids(letter: str, numbers: np.ndarray, width: int = 5) -> np.ndarray:
    """Give ids such as ``O00042`` for whole numbers."""
    return (letter + pd.Series(numbers).astype(str).str.zfill(width)).to_numpy(dtype=object)


def draw_orders(
    config: ShopConfig, people: People, history: History, block: int, rng: np.random.Generator
) -> Orders:
    """Draw what each purchase is: its list value, lines, discount, channel and checkout flow."""
    n, who = len(history.at), history.customer
    first = first_orders(history)
    discount, coupon = order_discounts(config, people, history, rng)
    names = np.array([c.name for c in config.channels], dtype=object)
    own = people.channel[who]
    later = rng.choice(len(names), n, p=[c.share for c in config.channels])
    channel = names[np.where(first | (rng.random(n) < 0.55), own, later)]
    one_page = np.interp(history.at / 365.25, [0, 1, 2.5], [0.2, 0.35, 0.6])
    u = rng.random(n)
    flow = np.where(u < 0.15, 2, np.where(u < 0.15 + 0.85 * one_page, 0, 1))
    scale = people.mean_value[who] / config.p
    number = block * 100 * config.block_customers + np.arange(1, n + 1)
    return Orders(
        order_id=ids("O", number),
        customer=who,
        at=history.at,
        first=first,
        discount=discount,
        coupon=coupon,
        channel=channel,
        flow=np.array(FLOWS, dtype=object)[flow],
        n_lines=rng.choice(len(config.lines), n, p=config.lines) + 1,
        value=rng.gamma(config.p, scale),
    )


def draw_lines(
    config: ShopConfig,
    people: People,
    customer_ids: np.ndarray,
    orders: Orders,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Split orders into lines: ``revenue = quantity x unit_price - discount`` to the cent.

    One row per line, money in whole cents, with the helper columns ``order``, ``at``, ``cost``.
    """
    n = int(orders.n_lines.sum())
    order = np.repeat(np.arange(len(orders.at)), orders.n_lines)
    start = np.cumsum(orders.n_lines) - orders.n_lines
    place = np.arange(n) - start[order]
    weight = rng.gamma(4.0, 1.0, n)
    weight /= np.bincount(order, weights=weight)[order]
    category = _categories(config, order, place, start, rng)
    quantity = rng.choice(len(config.quantities), n, p=config.quantities) + 1
    unit = np.rint(orders.value[order] * weight * 100 / quantity).astype(np.int64)
    unit = np.maximum(unit, 1)
    gross = unit * quantity
    discount = np.rint(gross * orders.discount[order]).astype(np.int64)
    revenue = gross - discount
    shares = np.array([c.cogs_share for c in config.categories])[category]
    cogs = np.rint(gross * shares * rng.uniform(0.95, 1.05, n))
    net = np.bincount(order, weights=revenue)
    fee = np.rint(config.fee_fixed * 100 + config.fee_share * net).astype(np.int64)
    who = orders.customer[order]
    ship = np.rint([cost * 100 for _, _, cost in config.countries]).astype(np.int64)
    band = np.searchsorted(np.array(PRICE_BANDS) * 100, unit)
    return pd.DataFrame(
        {
            "line_id": place + 1,
            "order_id": orders.order_id[order],
            "customer_id": customer_ids[who],
            "revenue": revenue,
            "quantity": quantity,
            "unit_price": unit,
            "discount": discount,
            "cogs": np.where(rng.random(n) < config.cogs_missing, np.nan, cogs),
            "shipping_cost": np.where(place == 0, ship[people.country[who]], 0),
            "payment_fee": np.where(place == 0, fee[order], 0),
            "product_id": ids("P", category * (len(PRICE_BANDS) + 1) + band + 1, 2),
            "category": np.array([c.name for c in config.categories], dtype=object)[category],
            "channel": orders.channel[order],
            "cart_flow": orders.flow[order],
            "coupon": orders.coupon[order],
            "country": np.array([c[0] for c in config.countries], dtype=object)[
                people.country[who]
            ],
            "currency": config.currency,
            "order": order,
            "at": orders.at[order],
            "cost": cogs,
        }
    )


def _categories(
    config: ShopConfig,
    order: np.ndarray,
    place: np.ndarray,
    start: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw categories: a further line comes from the first line's partner four times in ten."""
    names = [c.name for c in config.categories]
    partner = np.array([names.index(c.partner) for c in config.categories])
    drawn = rng.choice(len(names), len(order), p=[c.share for c in config.categories])
    paired = (place > 0) & (rng.random(len(order)) < 0.4)
    return np.where(paired, partner[drawn[start[order]]], drawn)


def draw_refunds(config: ShopConfig, lines: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw refunds: rows like ``lines``, for one line of some orders, known by the data end.

    A full refund takes the goods back (their cost returns); the others give half the price back.
    """
    of_order = lines.groupby("order", sort=True)
    sizes, starts = of_order.size().to_numpy(), None
    starts = np.cumsum(sizes) - sizes
    chosen = starts + np.floor(rng.random(len(sizes)) * sizes).astype(np.int64)
    when = rng.uniform(3, 30, len(sizes)) + lines["at"].to_numpy()[chosen]
    full = rng.random(len(sizes)) < config.refund_full
    dated = rng.random(len(sizes)) >= config.refund_undated
    happens = (rng.random(len(sizes)) < config.refund_share) & (when < config.end)
    sold = lines.iloc[chosen[happens]].reset_index(drop=True)
    full, dated, when = full[happens], dated[happens], when[happens]
    revenue = np.where(full, -sold["revenue"], -np.rint(sold["revenue"] / 2)).astype(np.int64)
    returned = np.where(full, -sold["cogs"], 0.0)
    return sold.assign(
        line_id=1,
        refund_of=sold["order_id"],
        order_id="R" + sold["order_id"].str[1:],
        revenue=revenue,
        quantity=np.where(full, -sold["quantity"], 0),
        discount=np.where(full, -sold["discount"], -revenue),
        cogs=np.where(sold["cogs"].isna(), np.nan, returned),
        cost=np.where(full, -sold["cost"], 0.0),
        shipping_cost=0,
        payment_fee=0,
        coupon="",
        at=np.where(dated, when, sold["at"]),
        refunded=np.where(dated, when, np.nan),
    )


def orders_frame(config: ShopConfig, lines: pd.DataFrame, refunds: pd.DataFrame) -> pd.DataFrame:
    """Give the canonical orders table: sales and refunds by time, money in currency units."""
    time = calendar(config)
    sales = lines.assign(refund_of="", refunded=np.nan, is_refund=False, status="paid")
    back = refunds.assign(is_refund=True, status="refund")
    both = pd.concat([sales, back], ignore_index=True) if len(back) else sales
    both["ordered_at"] = time.stamps(both["at"].to_numpy())
    refunded = both["refunded"].to_numpy()
    known = ~np.isnan(refunded)
    moments = np.full(len(both), np.datetime64("NaT", "s"))
    moments[known] = time.stamps(refunded[known])
    both["refunded_at"] = moments
    for name in MONEY:
        both[name] = both[name] / 100
    both = both.sort_values(["ordered_at", "order_id", "line_id"], ignore_index=True)
    names = "line_id order_id customer_id ordered_at revenue quantity unit_price discount cogs"
    names += " shipping_cost payment_fee product_id category channel cart_flow coupon country"
    names += " currency status is_refund refund_of refunded_at"
    return both[names.split()]


def payments_frame(orders: pd.DataFrame) -> pd.DataFrame:
    """Give billing's view: one payment per order and per refund, a minute or two later."""
    grouped = orders.groupby("order_id", sort=False)
    amount = (grouped["revenue"].sum() * 100).round() / 100
    refund = grouped["is_refund"].first().to_numpy()
    paid = grouped["ordered_at"].first().to_numpy()
    order_id = amount.index.to_numpy(dtype=object)
    delay = np.array([30 + 7 * (int(name[1:]) % 13) for name in order_id], dtype="timedelta64[s]")
    return pd.DataFrame(
        {
            "payment_id": "P" + pd.Series(order_id, dtype=object),
            "order_id": order_id,
            "paid_at": paid + delay,
            "amount": amount.to_numpy(),
            "kind": np.where(refund, "refund", "payment"),
        }
    )
