"""What the usual shortcuts would have said about this very shop, beside the honest figure."""

from dataclasses import dataclass

import pandas as pd

from helpers import summaries
from helpers.chapters import cohort_tables
from helpers.contract.conversions import minor_digits
from helpers.measures import cohorts
from helpers.show import by_unit, count, month_name, percent
from helpers.study import Study
from helpers.written import alike

AGES = (3, 6, 12)
# Below this relative difference a choice costs this shop nothing worth a line.
LEAST_ERROR = 0.0005


@dataclass(frozen=True)
class Counted:
    """What other parts of cleaning counted; None where the shop has no such thing to count.

    Rows and money (currency units) that would be counted twice where files overlap, and money of
    lines that were left out because they are no products (postage, fees, vouchers sold).
    """

    overlap_rows: int | None = None
    overlap_money: float | None = None
    not_products_money: float | None = None


@dataclass(frozen=True)
class Choices:
    """What each naive choice costs: a table, and why the others do not apply to this shop.

    ``table`` has one row per choice: choice, naive, correct, error (naive / correct - 1), unit
    (percent or money), sentence. ``left_out`` has choice and reason.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame


@dataclass(frozen=True)
class _Row:
    choice: str
    naive: float = float("nan")
    correct: float = float("nan")
    unit: str = "money"
    sentence: str = ""
    reason: str = ""


def choices(study: Study, counted: Counted | None = None) -> Choices:
    """Put figures of naive choices beside the honest ones, all from this shop's own data."""
    ages = summaries.load(study, "cohort_ages")
    moments = summaries.load(study, "customer_moments").iloc[0]
    months = summaries.load(study, "periods")
    months = months[(months["grain"] == "month") & (months["dimension"] == "all")]
    frame = cohort_tables.frame_of(study)
    year = _year(ages, frame)
    rows = [
        *_retention(ages, frame),
        *_revenue(year, moments),
        *_averages(moments),
        _churn(months, moments, year),
        *_refunds(months, summaries.load(study, "cash_months")),
        *_aside(study),
        *_doubles(study, counted or Counted(), months),
        _utc(summaries.load(study, "utc_months").iloc[0], study.shop.time_zone),
    ]
    return _sorted_out(rows)


def _sorted_out(rows: list[_Row]) -> Choices:
    """Keep the rows that matter here; say of the others why not."""
    shown, left = [], []
    for row in rows:
        error = row.naive / row.correct - 1 if row.correct else float("nan")
        reason = row.reason
        if not reason and not (pd.notna(error) and pd.notna(row.naive)):
            reason = "It cannot be worked out from these files."
        if not reason and abs(error) < LEAST_ERROR:
            reason = "Here both ways give the same figure."
        if reason:
            left.append((row.choice, reason))
        else:
            shown.append((row.choice, row.naive, row.correct, error, row.unit, row.sentence))
    columns = ["choice", "naive", "correct", "error", "unit", "sentence"]
    return Choices(
        pd.DataFrame(shown, columns=columns), pd.DataFrame(left, columns=["choice", "reason"])
    )


def _retention(ages: pd.DataFrame, frame: dict) -> list[_Row]:
    """Retention with the future as zero, by age; and with a first cohort of older customers."""
    rows, kept = [], None
    triangle = cohorts.triangle(ages, measure="retention", **frame)
    seen = [age for age in triangle.pooled.index if 0 < age <= max(AGES)]
    seen = [age for age in seen if triangle.pooled.loc[age, "customers"] > 0]
    for age in sorted({*(age for age in AGES if age in seen), *seen[-1:]}):
        counted = cohort_tables.shortcuts(ages, age, **frame)["retention"]
        honest, first, zeros = counted.iloc[[0, 2, 4]]
        name = f"Retention in month {age}, future as zero"
        young = bool((triangle.states[age] == "immature").any())
        rows.append(
            _Row(
                name,
                zeros,
                honest,
                "percent",
                "A mean over all cohorts takes months not yet lived through for zero.",
                "" if young else "Every cohort has lived through it.",
            )
        )
        kept = (age, first, honest)
    name = "Retention, first cohort kept"
    truncated = (triangle.states == "left_truncated").to_numpy().any()
    if not rows:
        return [_Row("Retention, future as zero", reason="No cohort is old enough.")]
    age, first, honest = kept
    rows.append(
        _Row(
            name,
            first,
            honest,
            "percent",
            f"Loyal customers from before the files only look new (month {age}).",
            "" if truncated else "History starts when the shop opened: the first cohort is whole.",
        )
    )
    return rows


def _year(ages: pd.DataFrame, frame: dict) -> dict[str, float]:
    """Give revenue per customer over 12 months (0 to 11), without and with the first cohort."""
    found = {}
    whole = {**frame, "opened_at": frame["history_starts_at"]}
    for name, options in {"honest": frame, "kept": whole}.items():
        triangle = cohorts.triangle(ages, measure="revenue", cumulative=True, **options)
        found[name] = cohort_tables.pooled_at(triangle, 11).value
        found[f"{name}_states"] = (triangle.states == "left_truncated").to_numpy().any()
    return found


def _revenue(year: dict[str, float], moments: pd.Series) -> list[_Row]:
    """Revenue per customer over 12 months, with the first cohort, and over whatever was lived."""
    honest, kept = year["honest"], year["kept"]
    blended = moments["revenue"] / moments["customers"]
    young = "No cohort has lived through 12 months." if pd.isna(honest) else ""
    whole = "" if year["honest_states"] else "No first cohort had to be left out."
    return [
        _Row(
            "12-month value, first cohort kept", kept, honest, "money",
            "Its customers have been customers for longer than it looks.",
            young or whole,
        ),
        _Row(
            "Revenue / customers as lifetime value", blended, honest, "money",
            "It mixes ages; the second figure is what 12 months brought.",
            young,
        ),
    ]  # fmt: skip


def _averages(moments: pd.Series) -> list[_Row]:
    """Mean of means against sum over sum, and mean against median."""
    number = moments["customers"]
    return [
        _Row(
            "Order value as a mean of customers' means",
            moments["aov_total"] / number, moments["revenue"] / moments["orders"], "money",
            "A customer with one order weighs there as much as one with fifty.",
        ),
        _Row(
            "The mean customer taken for typical",
            moments["revenue"] / number, moments["median_revenue"], "money",
            "Half of the customers brought less than the second figure.",
        ),
    ]  # fmt: skip


def _churn(months: pd.DataFrame, moments: pd.Series, year: dict[str, float]) -> _Row:
    """ARPU / churn, where anybody who skips a month counts as lost, against 12 observed months."""
    name = "Lifetime value from month-to-month churn"
    if not moments["active_months"]:
        return _Row(name, reason="Only one month has orders.")
    churn = 1 - moments["followed_months"] / moments["active_months"]
    arpu = months["revenue"].sum() / months["customers"].sum()
    if not churn > 0:
        return _Row(name, reason="Every buyer came back the next month.")
    young = "No cohort has lived through 12 months." if pd.isna(year["honest"]) else ""
    return _Row(
        name, arpu / churn, year["honest"], "money",
        f"It takes {percent(churn)} of a month's buyers for lost; 12 months bring the second.",
        young,
    )  # fmt: skip


def _refunds(months: pd.DataFrame, cash: pd.DataFrame) -> list[_Row]:
    """Refunds not taken off, and taken off in the month in which the money went back."""
    gross, net = (months["revenue"] + months["refunds"]).sum(), months["revenue"].sum()
    none = "" if months["refunds"].sum() > 0 else "No refund is recorded."
    rows = [
        _Row(
            "Revenue before refunds", gross, net, "money",
            "Money that went back was never earned.", none,
        )
    ]  # fmt: skip
    name = "Refunds in the month of paying out"
    both = cash.set_index("start").join(months.set_index("start")[["revenue"]], how="inner")
    both = both[both["revenue"] > 0]
    if none or both.empty:
        return [*rows, _Row(name, reason=none or "No month has revenue.")]
    booked = both["sales"] - both["refunds"]
    moved = booked / both["revenue"] - 1
    worst = moved.abs().idxmax()
    rows.append(
        _Row(
            name,
            booked[worst],
            both.loc[worst, "revenue"],
            "money",
            f"It moves months by {percent(moved.min())} to {percent(moved.max())}, "
            f"{month_name(worst)} most; the total stays.",
        )
    )
    return rows


def _aside(study: Study) -> list[_Row]:
    """Revenue without what was set aside, against all that was in the files."""
    orders, scale = study.info.tables["orders"], 10 ** minor_digits(study.currency)
    faults = [item for item in orders["set_aside"] if item["action"] == "set aside"]
    lost, money = (sum(item[key] for item in faults) for key in ("rows", "money"))
    return [
        _Row(
            "Unusable lines dropped in silence",
            orders["money_kept"] / scale, (orders["money_kept"] + money) / scale, "money",
            f"{count(lost)} line{'s' * (lost != 1)}, {percent(lost / orders['rows'])} of all, "
            "and nobody would know.",
            "" if lost else "No line was set aside.",
        )
    ]  # fmt: skip


def _doubles(study: Study, counted: Counted, months: pd.DataFrame) -> list[_Row]:
    """Copies, overlapping files, and lines that are no products, counted as revenue."""
    net, scale = months["revenue"].sum(), 10 ** minor_digits(study.currency)
    aside = {each["reason"]: each for each in study.info.tables["orders"]["set_aside"]}
    copies = aside.get("duplicate_line", {"rows": 0, "money": 0, "customers": 0})
    few = copies["customers"] < study.shop.privacy.min_cell
    reason = "" if not few else "Too few customers to show."
    reason = reason if copies["rows"] else "No copy was left out."
    overlap, other = counted.overlap_money, counted.not_products_money
    return [
        _Row(
            "Exact copies counted as sales", net + copies["money"] / scale, net, "money",
            f"{count(copies['rows'])} lines stand in the files twice.",
            reason,
        ),
        _Row(
            "Overlapping files counted twice", net + (overlap or 0), net, "money",
            f"{count(counted.overlap_rows or 0)} lines stand in two files.",
            "" if overlap else "No overlap of files was found.",
        ),
        _Row(
            "Postage and fees counted as products", net + (other or 0), net, "money",
            "They are money, but nobody bought them as goods.",
            "" if other else "No line is marked as anything but a product.",
        ),
    ]  # fmt: skip


def _utc(moved: pd.Series, zone: str) -> _Row:
    """Sales that would stand in another month if days were cut by UTC."""
    return _Row(
        "Months cut by UTC, not the shop's clock",
        moved["revenue"] - moved["moved_revenue"], moved["revenue"], "money",
        f"{count(moved['moved_months'])} lines change months, {count(moved['moved_days'])} days; "
        f"the shop lives in {zone}.",
        _clock(moved),
    )  # fmt: skip


def _clock(moved: pd.Series) -> str:
    """Say why the clock makes no difference that could be told; empty if it does."""
    if not moved["moved_days"]:
        return "By either clock the days are the same."
    # Days without a time of day are midnights, all of which another clock would move.
    return "Orders have no time of day." if moved["moved_days"] > 0.5 * moved["rows"] else ""


def worst(found: Choices, most: int = 10) -> pd.DataFrame:
    """Pick the choices that are furthest off, the worst first, for a picture."""
    order = found.table["error"].abs().sort_values(ascending=False, kind="stable").index
    return found.table.loc[order[:most]].reset_index(drop=True)


def written(found: Choices, currency: str) -> pd.DataFrame:
    """Write the choices for readers: choice, naive, correct, off by (of the honest figure), why."""
    rows = [
        (
            row.choice,
            *alike(by_unit(row.unit, currency), [row.naive, row.correct]),
            f"{'+' if row.error > 0 else ''}{percent(row.error)}",
            row.sentence,
        )
        for row in found.table.itertuples()
    ]
    return pd.DataFrame(rows, columns=["choice", "naive", "correct", "off_by", "why"])


def sentence(found: Choices) -> str:
    """Say which choice would have misled most, as a share of the honest figure."""
    table = found.table
    if table.empty:
        return "None of the usual shortcuts would have changed a figure of this shop."
    first = worst(found).iloc[0]
    return (
        f"{count(len(table))} shortcuts would have changed a figure here, "
        f"{count((table['error'].abs() > 0.1).sum())} of them by more than a tenth. The worst is "
        f"'{first['choice']}': {percent(abs(first['error']))} "
        f"{'too high' if first['error'] > 0 else 'too low'}. {first['sentence']}"
    )
