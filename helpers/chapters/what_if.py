"""What would follow: the formula with other inputs, and two made-up groups of customers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.errors import UsageError
from helpers.measures import ltv
from helpers.show import percent
from helpers.sliders import Lever
from helpers.written import Formatter

# How far each input of the formula is moved, as a share of what it is.
MOVED = 0.6


# What sources claim for two tactics: a range to test, never a default of anything computed here.
CLAIMS = {
    "Upsell: repeat purchases, first weeks": ("arpu", 0.05, 0.15),
    "Cross-sell: order value": ("arpu", 0.10, 0.25),
}


def levers(value: ltv.FormulaValue, money: Formatter) -> tuple[Lever, ...]:
    """Give the formula's inputs as numbers that can be moved, by 60% up or down.

    A margin rate goes no higher than 1, a churn neither. Empty without a value.
    """
    if not np.isfinite(value.value):
        return ()

    def lever(name: str, label: str, at: float, fmt: Formatter, most: float = np.inf) -> Lever:
        return Lever(name, label, at, at * (1 - MOVED), min(at * (1 + MOVED), most), fmt)

    return (
        lever("churn", "Churn", 1 / value.cycles, percent, 1.0),
        lever("arpu", "Revenue per active customer", value.arpu, money),
        lever("margin_rate", "Margin rate", value.margin_rate, percent, 1.0),
    )


def formula(*, churn: float, arpu: float, margin_rate: float) -> float:
    """Answer to the levers: ARPU x margin rate / churn, missing where it cannot be used."""
    return ltv.ltv_formula(arpu, margin_rate, churn).value


def what_if(
    value: ltv.FormulaValue, *, churn_cut: float = 0.1, spend_lift: float = 0.1
) -> pd.DataFrame:
    """Try a lower churn, a higher spend, both, and what others claim: what, value, change.

    Claims stand as the two ends of their range. Raises UsageError for a cut of all churn or more.
    """
    if not churn_cut < 1:
        raise UsageError(f"churn_cut == {churn_cut}, must be below 1.")
    if spend_lift <= -1:
        raise UsageError(f"spend_lift == {spend_lift}, must be above -1.")
    if not np.isfinite(value.value):
        return pd.DataFrame(columns=["what", "value", "change"])
    base = {"arpu": value.arpu, "margin_rate": value.margin_rate, "churn": 1 / value.cycles}

    def tried(**factors: float) -> float:
        moved = {name: base[name] * factors.get(name, 1.0) for name in base}
        return ltv.ltv_formula(**moved).value

    rows = [
        ("As it is", tried()),
        (f"Churn {churn_cut:.0%} lower", tried(churn=1 - churn_cut)),
        (f"Spend {spend_lift:.0%} higher", tried(arpu=1 + spend_lift)),
        ("Both", tried(churn=1 - churn_cut, arpu=1 + spend_lift)),
        ("Half a year, if nobody left", ltv.ltv_horizon(value.arpu, value.margin_rate, 6).value),
    ]
    for name, (which, low, high) in CLAIMS.items():
        rows += [
            (f"{name} (claim, +{lift:.0%})", tried(**{which: 1 + lift})) for lift in (low, high)
        ]
    table = pd.DataFrame(rows, columns=["what", "value"])
    return table.assign(change=table["value"] - rows[0][1])


@dataclass(frozen=True)
class Group:
    """A group of like customers over their life: orders, revenue and margin of one, service."""

    name: str
    orders: int
    revenue_per_order: float
    margin_per_order: float
    service: float

    def worth(self) -> Mapping[str, float]:
        """Give value per customer in revenue, in margin, and in margin less cost to serve."""
        margin = self.orders * self.margin_per_order
        revenue = self.orders * self.revenue_per_order
        return {"revenue": revenue, "margin": margin, "after service": margin - self.service}


# Irregular buyers with a good margin, and frequent ones with a small margin and many questions.
TWO_GROUPS = (Group("A", 3, 80.0, 40.0, 10.0), Group("B", 8, 30.0, 16.0, 45.0))


def two_groups() -> pd.DataFrame:
    """Set out the two made-up groups, long: group, measure, value per customer."""
    rows = [(f"group {each.name}", name, amount) for each in TWO_GROUPS
            for name, amount in each.worth().items()]  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "measure", "value"])
