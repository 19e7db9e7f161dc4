"""What is easily misread on this page, said only where the shop's data makes it likely."""

import pandas as pd

from helpers.chapters import run_chart, scorecard
from helpers.measures import metrics
from helpers.show import count, is_missing, label, percent
from helpers.study import Study


def sentences(study: Study, figures: pd.DataFrame, months: pd.DataFrame) -> list[str]:
    """Give the cautions that apply: LTV and CLV, cost of service, one period, unknown costs.

    ``months`` are the rows of `scorecard.by_period`.
    """
    found = []
    ltv = scorecard.figure(figures, "Value so far", "ltv_")
    clv = scorecard.figure(figures, "Forecast", "clv_per_customer")
    if _known(ltv) and _known(clv):
        found.append(
            f"**LTV is not CLV.** {label(ltv['label'])} is what customers have earned; CLV per "
            "customer is what those already won are still expected to bring. They are two "
            "measures: do not add them, compare them, or show both under one name."
        )
    if not study.has("service_costs"):
        found.append(
            "**Serving customers is not free.** No cost of service is recorded, so customers who "
            "need much help look as good as those who need none, and every CLV is too high. A "
            "table service_costs (customer_id, at, amount) mends that."
        )
    whole = int(months["complete"].sum())
    published = figures["before"].notna().any()
    if whole < 13 or not published:
        why = []
        if whole < 13:
            why.append(
                f"the history holds {count(whole)} whole months, and a season takes thirteen"
            )
        if not published:
            why.append("the month before is not published")
        found.append(
            f"**One period is a snapshot.** Here {' and '.join(why)}. Decide on what several "
            "months say together."
        )
    coverage = months["margin_coverage"].iloc[-1]
    if study.shop.margin.rule == "costs" and coverage == 0:
        found.append(
            "**There is no margin.** No cost of goods is known for this month, so what customers "
            "are worth is said in revenue."
        )
    elif study.shop.margin.rule == "costs" and not is_missing(coverage) and coverage < 1:
        found.append(
            f"**Margin covers part of the sales.** The cost is known for {percent(coverage)} of "
            "the month's revenue; margin adds up those lines only."
        )
    return found


def _known(row: pd.Series | None) -> bool:
    return row is not None and not is_missing(row["value"])


def written(found: list[str]) -> str:
    """Write the cautions as paragraphs, or say that none applies."""
    return "\n\n".join(found) or (
        "None of the usual mistakes is likely here: cost of service is recorded, and the history "
        "is long enough to compare."
    )


def assumptions(
    study: Study, *, core: str, target: float, chart: run_chart.RunChart, periods: pd.DataFrame
) -> pd.DataFrame:
    """List what this page takes for granted: what, its value, and where it is set."""
    shop, money = study.shop, study.money
    rule = shop.margin.rule
    cost = {"costs": "revenue less cogs, shipping_cost and payment_fee", "none": "not known",
            "rate": f"revenue x {percent(shop.margin.rate)}"}[rule]  # fmt: skip
    fmt = money if scorecard.core_unit(core) == "money" else count
    basis = metrics.money_basis(periods)
    limits = chart.reason or (
        f"mean of {count(chart.weeks)} weeks x share of the weekday, +/- 3 x median moving range "
        "/ 0.954"
    )
    rows = [
        ("Core metric", f"{scorecard.core_label(core)}: sum / days", "[core_metric] name"),
        ("Target a day", "none" if is_missing(target) else fmt(target), "[core_metric] target"),
        ("Contribution margin", cost, "[margin] rule"),
        ("Value is counted in", basis, "margin where the cost of 80% of revenue is known"),
        ("A refund counts on", "the day of its sale", "no setting"),
        ("Limits of a day", limits, "parameter baseline_weeks"),
        ("Limits of a month", "mean of 12 months +/- 2.66 x mean moving range", "no setting"),
        ("History from", str(study.history_starts_at), "history_starts_at"),
        ("Orders known by", str(study.end), "--month"),
        ("Fewest customers shown", count(shop.privacy.min_cell), "[privacy] min_cell"),
        ("Currency", study.currency, "currency"),
        ("Time zone", shop.time_zone, "time_zone"),
    ]
    return pd.DataFrame(rows, columns=["assumption", "value", "set by"])
