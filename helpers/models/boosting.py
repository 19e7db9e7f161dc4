"""A challenger that learns from customers one by one: two-part gradient boosting.

One part learns whether a customer buys at all, the other how many orders and how much money those
bring who do. Trained on a bounded sample (``customer_features``) at a day whose results are known,
asked about the same features at a later day. It knows season, products, discounts, contacts and
service, which the purchase models do not; it does not know what it has not seen: no horizon but the
one it was trained on, no cohort older than any before.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.errors import DataError

_AMOUNTS = ["total_spend", "first_revenue", "last_revenue", "previous_revenue", "revenue_30",
            "revenue_90", "revenue_365", "margin_365", "served", "channel_cost"]  # fmt: skip
_COUNTS = ["frequency", "spend_frequency", "previous_frequency", "same_season", "days_30",
           "days_90", "days_365", "products", "categories", "messages", "opened", "clicked",
           "tickets"]  # fmt: skip
_WORDS = ["channel", "main_category"]
_LEAST, _MOST_WORDS = 300, 30


class TooLittleError(DataError):
    """There is too little to learn from; the message says of what."""


@dataclass(frozen=True)
class Boosting:
    """The fitted parts, and how words became numbers: `predict` says what customers will do."""

    buys: object
    orders: object
    money: object
    words: dict[str, list[str]]
    columns: list[str]

    def predict(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Give expected orders and money of each row: P(buys) x what those who buy bring."""
        table = features(rows, self.words)[self.columns]
        with _one_thread():
            buys = self.buys.predict_proba(table)[:, 1]
            orders, money = self.orders.predict(table), self.money.predict(table)
        return buys * np.maximum(orders, 1), buys * money


def features(rows: pd.DataFrame, words: dict[str, list[str]]) -> pd.DataFrame:
    """Turn rows of ``customer_features`` into numbers: recency, frequency, money, cadence and more.

    Dates become days before the last day that any row knows, so that nothing tells one year from
    the next but the month of the first purchase. Rare words share one number.
    """
    day = pd.to_datetime(rows["last_day"]).max()
    first, last = pd.to_datetime(rows["first_day"]), pd.to_datetime(rows["last_day"])
    age, quiet = (day - first).dt.days, (day - last).dt.days
    gap = (last - first).dt.days / rows["frequency"].where(rows["frequency"] > 0)
    table = rows[[*_COUNTS, *_AMOUNTS]].astype(float)
    gross = rows["gross"].where(rows["gross"] > 0)
    table = table.assign(
        age=age, quiet=quiet, gap=gap, overdue=quiet / gap,
        month=first.dt.month, mean_spend=rows["total_spend"] / rows["spend_frequency"].where(
            rows["spend_frequency"] > 0),
        discount=rows["discounts"] / gross, returned=rows["given_back"] / gross,
    )  # fmt: skip
    for name, known in words.items():
        codes = {word: number for number, word in enumerate(known)}
        table[name] = rows[name].map(codes).fillna(-1).astype(float)
    return table


def fit(rows: pd.DataFrame, money: str) -> Boosting:
    """Learn from customers whose results are known: ``later_frequency`` and the column ``money``.

    Seeded and single-threaded in effect: the same rows in any order give the same answer. Raises
    TooLittleError where fewer than 300 customers, or fewer than 100 buyers, are there to learn
    from.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rows = rows.sort_values(list(rows.columns), kind="stable", ignore_index=True)
    bought = (rows["later_frequency"] > 0).to_numpy()
    if len(rows) < _LEAST or not 100 <= bought.sum() < len(rows):
        raise TooLittleError(
            f"{len(rows):,} customers with {int(bought.sum()):,} buyers to learn from: boosting "
            f"needs {_LEAST} with 100 buyers, and some who did not buy."
        )
    words = {
        name: sorted(rows[name].dropna().astype(str).value_counts().head(_MOST_WORDS).index)
        for name in _WORDS
    }
    table = features(rows, words)
    table = table.loc[:, table.nunique() > 1]  # a column the shop lacks has nothing to say
    shared = {
        "max_iter": 80, "learning_rate": 0.08, "max_leaf_nodes": 8, "min_samples_leaf": 40,
        "l2_regularization": 1.0, "random_state": 0, "early_stopping": False,
    }  # fmt: skip
    buyers, results = table[bought], rows[bought]
    with _one_thread():
        buys = HistGradientBoostingClassifier(**shared).fit(table, bought)
        orders = HistGradientBoostingRegressor(**shared, loss="poisson")
        orders = orders.fit(buyers, results["later_frequency"])
        amount = HistGradientBoostingRegressor(**shared).fit(buyers, results[money])
    return Boosting(buys, orders, amount, words, list(table.columns))


def _one_thread():
    """Hold the learner to one thread: trees this small lose more by sharing than they win."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
