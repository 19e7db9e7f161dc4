"""One churn rate or many: customers who each leave at a rate of their own (beta-geometric)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize

from helpers.measures import repurchase


@dataclass(frozen=True)
class Mixture:
    """Customers who each leave at their own rate: shape alpha, beta of the rates' distribution.

    After purchase number n the share alpha / (alpha + beta + n - 1) leaves: those who leave easily
    are gone first. ``purchases`` is what a new customer makes in all; missing where the mean of
    such a mixture is without bound (alpha at or below 1).
    """

    alpha: float
    beta: float
    purchases: float

    def lost(self, number: np.ndarray | float) -> np.ndarray | float:
        """Give the share that leaves after purchase ``number``."""
        return self.alpha / (self.alpha + self.beta + np.asarray(number, dtype=float) - 1)

    def made(self, most: int) -> float:
        """Give the purchases of a new customer up to purchase number ``most``."""
        stay = 1 - np.asarray(self.lost(np.arange(1, most)))
        return float(1 + np.cumprod(stay).sum())


def lost_after(
    gaps: pd.DataFrame, window_days: int, *, most: int = 12, least: int = 30
) -> pd.DataFrame:
    """Show which share leaves after the first, the second, the third ... purchase.

    No purchase within the window, by Kaplan-Meier (`repurchase.churn_rate`): number, waits,
    observed (through the window), lost, low, high. Numbers with fewer than ``least`` observed
    waits end the table.
    """
    rows = []
    for number in range(1, most + 1):
        part = gaps[gaps["order_number"] == number]
        found = repurchase.churn_rate(part, window_days) if len(part) else None
        if found is None or found.n < least:
            break
        ends = (found.lost_low, found.lost_high)
        rows.append((number, int(part["n"].sum()), found.n, found.lost_share, *ends))
    return pd.DataFrame(rows, columns=["number", "waits", "observed", "lost", "low", "high"])


def fit_mixture(lost: pd.DataFrame) -> Mixture | None:
    """Fit the mixture to the shares lost by purchase number; None with fewer than three numbers.

    The shifted-beta-geometric of Fader and Hardie (2007) in purchases, by maximum likelihood with
    the waits of each number as its weight.
    """
    if len(lost) < 3:
        return None
    number, share = (lost[name].to_numpy(dtype=float) for name in ("number", "lost"))
    weight = lost["waits"].to_numpy(dtype=float)

    def unlikely(logs: np.ndarray) -> float:
        alpha, beta = np.exp(logs)
        mean = np.clip(alpha / (alpha + beta + number - 1), 1e-12, 1 - 1e-12)
        return -float((weight * (share * np.log(mean) + (1 - share) * np.log1p(-mean))).sum())

    bounds = [(-6.0, 9.0)] * 2
    found = optimize.minimize(unlikely, [0.0, 0.5], method="L-BFGS-B", bounds=bounds)
    alpha, beta = (float(x) for x in np.exp(found.x))
    purchases = (alpha + beta - 1) / (alpha - 1) if alpha > 1 else np.nan
    return Mixture(alpha, beta, purchases)


def one_rate_or_many(
    gaps: pd.DataFrame, window_days: int, per_purchase: float, *, most: int = 100
) -> pd.DataFrame:
    """Put the formula with three churns beside customers who each have their own.

    1 / share lost is the number of purchases that the formula promises a new customer, at
    ``per_purchase`` of margin each: with the share of new customers it is too few, since the loyal
    are yet to be sorted out; with that of the loyal too many, since most never get that far. The
    mixture, fitted to the shares by purchase number, counts up to number ``most``.
    Rows: churn, lost, purchases, value. Empty without a mixture.
    """
    lost = lost_after(gaps, window_days)
    mixture = fit_mixture(lost)
    if mixture is None:
        return pd.DataFrame(columns=["churn", "lost", "purchases", "value"])
    last = int(lost["number"].iloc[-1])
    loyal = repurchase.churn_rate(gaps[gaps["order_number"] >= last], window_days).lost_share
    rows = [
        ("of new customers, after the first purchase", lost["lost"].iloc[0]),
        ("pooled over all purchases", repurchase.churn_rate(gaps, window_days).lost_share),
        (f"of loyal customers, after purchase {last} and later", loyal),
    ]
    lines = [(name, share, 1 / share if share > 0 else np.nan) for name, share in rows]
    lines.append(("each customer's own (mixture)", np.nan, mixture.made(most)))
    table = pd.DataFrame(lines, columns=["churn", "lost", "purchases"])
    return table.assign(value=table["purchases"] * per_purchase)
