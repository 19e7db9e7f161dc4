"""What an entry of the catalog holds: a measure, or a rule of thumb (a threshold, a cadence)."""

from dataclasses import KW_ONLY, dataclass

UNITS = {
    "money": "money, in the shop's currency",
    "percent": "percent",
    "count": "a count",
    "ratio": "a ratio",
    "days": "days",
    "months": "months of 365.25 / 12 days",
    "score": "a score",
}
# Parts of formulas that several entries share.
REVENUE = ("orders.customer_id", "orders.ordered_at", "orders.revenue")
ORDERS = ("orders.customer_id", "orders.order_id", "orders.ordered_at")
MARGIN = (*REVENUE, "orders.cogs", "orders.shipping_cost", "orders.payment_fee")
SPEND = ("marketing_spend.channel", "marketing_spend.starts_at", "marketing_spend.cost")
TEST = ("assignments.experiment_id", "assignments.customer_id", "assignments.arm",
        "assignments.assigned_at")  # fmt: skip
SENT = ("touchpoints.customer_id", "touchpoints.kind", "touchpoints.sent_at")
PERIOD = "a day, month or quarter, by the order's local date"
BUYERS = "distinct customers with an order in the period"


@dataclass(frozen=True)
class Measure:
    """One measure: what it says, how it is counted, and where people go wrong with it.

    ``numerator`` and ``denominator`` are words (no denominator: a sum or a count). ``needs`` are
    canonical columns, ``requirements`` numbers of what was asked of the workbook, ``notebook`` the
    two digits of the one it belongs to. ``example`` is arithmetic that holds. A measure that is
    computed from the summary ``periods`` names its columns there.
    """

    name: str
    label: str
    sentence: str
    formula: str
    _: KW_ONLY
    window: str
    unit: str
    needs: tuple[str, ...]
    pitfalls: tuple[str, ...]
    requirements: tuple[int, ...]
    notebook: str
    numerator: str = ""
    denominator: str = ""
    aliases: tuple[str, ...] = ()
    example: str = ""
    numerator_column: str = ""
    denominator_column: str = ""


@dataclass(frozen=True)
class Threshold:
    """A rule of thumb: one number, or two for a range, with a unit, and where it is used.

    ``values`` is empty where the rule names no number; ``rule`` is its number in the list the
    workbook was started from.
    """

    name: str
    label: str
    sentence: str
    values: tuple[float, ...]
    unit: str
    used_in: str
    rule: str

    @property
    def value(self) -> str:
        """Give the number or the range with its unit, as a reader says it.

        >>> Threshold("a", "A", "A.", (7, 14), "days", "05", "T0").value
        '7 to 14 days'
        """
        return f"{' to '.join(f'{each:g}' for each in self.values)} {self.unit}".strip()
