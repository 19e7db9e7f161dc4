"""What a shop says of itself beside its files: targets, bounds of alerts, cost beside the spend.

They stand in shop.toml as [targets], [alerts] and [acquisition]. The first two change no figure but
those of the scorecard, so a new bound does not make the files be cleaned again (`Shop.settings`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from helpers.errors import UsageError, nearest

# Measures of the scorecard that may have a target for the month; the core metric has its own.
TARGETS = (
    "revenue", "orders", "customers", "new_customers", "aov", "margin_rate", "refund_rate", "cac",
    "repeat_90d", "ltv", "clv_per_customer",
)  # fmt: skip


@dataclass(frozen=True)
class Alerts:
    """Bounds, each a share from 0 to 1, beyond which the month's first page says so.

    The core metric below its target by more than the first; the refund rate above; margin coverage
    below; new customers down on the same month of last year by more than; the share of order
    lines or of money set aside above; the forecast's error on held-out months beyond, either way;
    the share of customers who have consented below. ``off`` names rules that are not to speak.
    """

    core_below_target: float = 0.05
    refund_rate: float = 0.15
    margin_coverage: float = 0.8
    new_customers_drop: float = 0.2
    set_aside: float = 0.02
    forecast_bias: float = 0.2
    consent_share: float = 0.3
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acquisition:
    """What winning customers costs beside the spend on channels: people, tools, agencies.

    An amount for every month, in the shop's currency, and a share on top of what channels cost
    (an agency's fee); what is not said is not known, and not zero.
    """

    overhead_per_month: float | None = None
    overhead_share_of_spend: float | None = None

    @property
    def known(self) -> bool:
        """Say whether any of it was said."""
        return not (self.overhead_per_month is None and self.overhead_share_of_spend is None)

    def overhead(self, spend: float, months: int) -> float:
        """Give what so many months with so much spend cost beside it; missing if not known."""
        if not self.known:
            return float("nan")
        return (self.overhead_per_month or 0.0) * months + (
            self.overhead_share_of_spend or 0.0
        ) * spend


RULES = tuple(each.name for each in fields(Alerts) if each.name != "off")


def check_acquisition(acquisition: Acquisition, where: str) -> None:
    """Check that overhead is an amount, and a share of spend."""
    amount, share = acquisition.overhead_per_month, acquisition.overhead_share_of_spend
    if amount is not None and not 0 <= amount < float("inf"):
        raise UsageError(
            f"{where} [acquisition]: overhead_per_month is {amount}; it must be an amount of 0 or "
            "more in the shop's currency, such as overhead_per_month = 2500."
        )
    if share is not None and not 0 <= share <= 1:
        raise UsageError(
            f"{where} [acquisition]: overhead_share_of_spend is {share}; it must be a share from 0 "
            "to 1, such as overhead_share_of_spend = 0.15."
        )


def check_goals(alerts: Alerts, targets: Mapping[str, float], where: str) -> None:
    """Check that bounds are shares, targets numbers above 0, and names of rules known."""
    for name in RULES:
        bound = getattr(alerts, name)
        if not 0 <= bound <= 1:
            raise UsageError(
                f"{where} [alerts]: {name} is {bound}; it must be a share from 0 to 1, such as "
                f"{getattr(Alerts, name)}. To switch a rule off, name it in off."
            )
    for name in alerts.off:
        if name not in RULES:
            raise UsageError(
                f"{where} [alerts]: off names '{name}', which is no rule. Rules: "
                f"{', '.join(RULES)}.{nearest(name, RULES)}"
            )
    for name, value in targets.items():
        if not 0 < value < float("inf"):
            raise UsageError(
                f"{where} [targets]: {name} is {value}; it must be a number above 0, and a share "
                "for what is shown in percent, such as margin_rate = 0.38."
            )
