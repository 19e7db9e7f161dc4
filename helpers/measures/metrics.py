"""The arithmetic on summaries that every notebook shares.

A measure is a numerator over a denominator of ``periods``; ratios are sum over sum. What each
measure means is said in `helpers.catalog`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from helpers import catalog
from helpers.catalog import Measure
from helpers.errors import DataError, UsageError, nearest

DAYS_PER_MONTH = 365.25 / 12
RARE = 5


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, how many it rests on, and the reason where there is none."""

    value: float
    low: float
    high: float
    n: int
    reason: str = ""


class Interval(NamedTuple):
    """A mean (or share) with its standard error and interval, one entry per row."""

    value: np.ndarray
    se: np.ndarray
    low: np.ndarray
    high: np.ndarray


def wilson(successes: object, n: object, *, design: object = 1.0, level: float = 0.95) -> Interval:
    """Between which shares does the true share lie?

    Wilson's score interval (1927) of successes / n; missing where n is 0. With a `design_effect`
    as if n were so many times fewer; the interval is missing where that is.

    >>> [round(float(x), 4) for x in wilson(10, 100)[2:]]
    [0.0552, 0.1744]
    """
    k, n = (np.asarray(x, dtype=float) for x in (successes, n))
    n = np.where(n > 0, n, np.nan)
    z2, p = ndtri((1 + level) / 2) ** 2, k / n
    of = np.where(np.isfinite(design), n / design, np.nan)
    center = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = np.sqrt(z2 * (p * (1 - p) / of + z2 / (4 * of**2))) / (1 + z2 / of)
    # At the ends the formula is exact on paper and off by a rounding error in floating numbers.
    low, high = np.where(k == 0, 0 * of, center - half), np.where(k == n, of / of, center + half)
    return Interval(p, np.sqrt(p * (1 - p) / of), low, high)


def design_effect(sums: pd.DataFrame, part: str, whole: str) -> np.ndarray:
    """Give how many times as much a share varies as if no customer came more than once; at least 1.

    Kish's design effect (Survey Sampling, 1965): the variance of part / whole when customers are
    drawn, sum (part - share x whole)^2 / (sum whole)^2, over that of as many single draws; for few
    customers as Korn and Graubard have it (Survey Methodology 24, 1998): x G / (G - 1), and with
    Student's t of G - 1. ``sums`` has both columns, customers (G), and the products of
    `arithmetic.with_products`. Rows with fewer than RARE of either kind say nothing of it and take
    that of all rows together; where none does, it is as if each customer always did the same. Rows
    without products, such as those withheld, have none, and so no interval.

    >>> sums = pd.DataFrame({"k": [6], "n": [20], "k_k": [12], "k_n": [24], "n_n": [80]})
    >>> design_effect(sums.assign(customers=5), "k", "n").round(2).tolist()
    [2.39]
    """
    names = (part, whole, f"{part}_{part}", f"{part}_{whole}", f"{whole}_{whole}", "customers")
    k, n, kk, kn, nn, customers = (sums[name].to_numpy(dtype=float) for name in names)
    n = np.where(n > 0, n, np.nan)
    share = k / n
    together = kk - 2 * share * kn + share**2 * nn
    alone = np.where(np.isnan(together), np.nan, np.maximum(n * share * (1 - share), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        every = np.nansum(together) / np.nansum(alone) if np.nansum(alone) > 0 else nn / n
        found = np.where(np.minimum(k, n - k) < RARE, every, together / alone)
        groups = np.minimum(customers, n)
        few = groups / (groups - 1) * (n - 1) / n
        few *= (_student(groups - 1) / _student(n - 1)) ** 2
        found = np.maximum(found * np.where(groups < n, few, 1.0), 1.0)
    return np.where(np.isnan(nn), np.nan, found)


def _student(dof: np.ndarray) -> np.ndarray:
    """Give how many standard errors a 95% interval reaches, by Student's t."""
    return stdtrit(np.maximum(dof, 1), 0.975)


def mean_interval(
    total: object,
    squares: object,
    n: object,
    *,
    cubes: object = None,
    one_step: bool = False,
    level: float = 0.95,
) -> Interval:
    """Between which amounts does the mean per customer lie?

    mean = total / n; variance = (squares - total^2 / n) / (n - 1). With the sum of ``cubes``,
    Student's t is corrected for skewness twice: by Hall's transformation (J. R. Statist. Soc. B 54,
    1992), and by counting fewer degrees of freedom than n - 1, as a long tail makes the variance
    itself uncertain (`_effective`). Spend has such a tail, and without both the interval of a
    hundred customers holds the truth in 9 samples of 10 and misses on the low side. In ``one_step``
    of a cohort's life most customers bring nothing: the variance then follows the mean, which
    Hall's transformation knows, and degrees of freedom are not counted off on top. Customers
    without activity count through n. The interval is missing with fewer than two customers, and
    where all have the same amount, for then the spread says nothing.
    """
    total, squares, n = (np.asarray(x, dtype=float) for x in (total, squares, n))
    n = np.where(n > 0, n, np.nan)
    mean = total / n
    spread = squares - total * mean
    # What is left of equal amounts after subtraction is rounding, not variance.
    spread = np.where((n > 1) & (spread > 1e-12 * np.abs(squares)), spread, np.nan)
    dof = np.maximum(n - 1, 1)
    se = np.sqrt(spread / dof / n)
    if cubes is None:
        up = down = stdtrit(dof, (1 + level) / 2)
    else:
        third = np.asarray(cubes, dtype=float) - 3 * mean * squares + 2 * n * mean**3
        # The sample's own skewness is too small; with two customers there is none.
        skew = third / n / (spread / n) ** 1.5 * np.sqrt(n * (n - 1)) / np.maximum(n - 2, 1)
        worth = dof if one_step else _effective(skew, dof)
        up, down = _unskewed(skew, n, stdtrit(worth, (1 + level) / 2))
    return Interval(mean, se, mean - down * se, mean + up * se)


def _effective(skew: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """Give the most degrees of freedom that the variance of a sample so skewed can be worth.

    (n - 1) x 2 / (2 + excess kurtosis), from Var(s^2) / sigma^4 = 2 / (n - 1) + kurtosis / n
    (O'Neill, The American Statistician 68, 2014), at the least kurtosis that goes with the
    skewness, its square less 2 (Pearson 1916), and never above n - 1.
    """
    return np.maximum(dof * 2 / np.maximum(2, skew**2), 1)


def ratio_interval(
    above: object,
    below: object,
    above_squares: object,
    below_squares: object,
    products: object,
    n: object,
    *,
    level: float = 0.95,
) -> Interval:
    """Between which values does a ratio of two sums over customers lie?

    ratio = above / below; variance = sum of (a - ratio x b)^2 / (n - 1) x n / below^2, the delta
    method for a ratio of means (Cochran, Sampling Techniques, 1977, section 6.4), from sums of
    squares and of products over n customers; Student's t with n - 1. Missing where the sum below
    is not above 0, the interval with fewer than two customers or where nothing varies.
    """
    arrays = (above, below, above_squares, below_squares, products, n)
    a, b, aa, bb, ab, n = (np.asarray(x, dtype=float) for x in arrays)
    b = np.where(b > 0, b, np.nan)
    ratio = a / b
    spread = aa - 2 * ratio * ab + ratio**2 * bb
    spread = np.where((n > 1) & (spread > 1e-12 * (np.abs(aa) + ratio**2 * bb)), spread, np.nan)
    dof = np.maximum(n - 1, 1)
    se = np.sqrt(spread / dof * n) / b
    half = stdtrit(dof, (1 + level) / 2) * se
    return Interval(ratio, se, ratio - half, ratio + half)


def _unskewed(skew: np.ndarray, n: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give how many standard errors an interval reaches up and down, by Hall's transformation."""
    slope = np.where(np.abs(skew) > 1e-9, skew, 1e-9) / np.sqrt(n)

    def reach(score: np.ndarray) -> np.ndarray:
        return 3 / slope * (np.cbrt(1 + slope * (score - slope / 6)) - 1)

    return -reach(-t), reach(t)


# The entries of the catalog that are computed from the summary ``periods``.
MEASURES: dict[str, Measure] = {
    name: each for name, each in catalog.CATALOG.items() if each.numerator_column
}
# The measures that are followed from month to month, in the order of a reader's questions.
MONTHLY = (
    "revenue", "orders", "customers", "new_customers", "aov", "purchase_frequency", "arpu",
    "margin", "margin_rate", "margin_coverage", "refund_rate", "margin_per_day",
    "new_customer_share",
)  # fmt: skip
# Distinct customers of a row may be those of another row, so they do not add up.
DISTINCT = ("customers", "known_customers")
_LETTERS = {"day": "D", "month": "M", "quarter": "Q"}


def _entry(name: str) -> Measure:
    found = catalog.entry(name)
    if not found.numerator_column:
        raise UsageError(
            f"'{found.name}' is not computed from periods; notebook {found.notebook} holds it. "
            f"Computed: {', '.join(MEASURES)}."
        )
    return found


def _days(periods: pd.DataFrame) -> pd.Series:
    """Return the days of each period; a column ``days`` (a period partly observed) goes first."""
    if "days" in periods:
        return periods["days"].astype(float)
    starts = zip(periods["start"], periods["grain"], strict=True)
    spans = [pd.Period(pd.Timestamp(s), freq=_LETTERS[g]) for s, g in starts]
    return pd.Series([(p.end_time - p.start_time).days + 1.0 for p in spans], index=periods.index)


def _column(periods: pd.DataFrame, name: str) -> pd.Series:
    if name == "days":
        return _days(periods)
    if name == "gross_revenue":
        return _column(periods, "revenue") + _column(periods, "refunds")
    if name not in periods:
        raise DataError(f"The summary has no column '{name}'; it has {', '.join(periods)}.")
    column = periods[name].astype(float)
    if name == "margin":
        # Margin that is not known is missing: no line with a cost, yet there was revenue.
        unknown = (_column(periods, "margin_revenue") == 0) & (_column(periods, "revenue") != 0)
        return column.mask(unknown)
    return column


def measure(periods: pd.DataFrame | pd.Series, name: str) -> pd.Series:
    """Look up a measure of the catalog for each period, or each segment of a period.

    numerator / denominator of that row. ``periods`` are rows of that summary (or one row);
    returns one float per row in the measure's unit; missing, never 0 or infinite, where the
    denominator is unknown, 0 or (refunds above sales) negative. Other names of a measure (APV for
    aov) are understood. Raises UsageError for a name that is not in the catalog, or not computed
    from periods.
    """
    entry = _entry(name)
    frame = periods.to_frame().T if isinstance(periods, pd.Series) else periods
    value = _column(frame, entry.numerator_column)
    if entry.denominator_column:
        below = _column(frame, entry.denominator_column)
        value = value / below.where(below > 0)
    return value.rename(name)


def total(periods: pd.DataFrame, name: str) -> float:
    """Look up a measure over several periods or segments together: sum over sum.

    Rows must share grain and dimension. Distinct customers do not add up over rows, so measures
    that count them raise UsageError: ask for them at the coarser grain. Missing where the
    denominator is not positive; rows with an unknown margin are left out above and below.
    """
    entry = _entry(name)
    if {entry.numerator_column, entry.denominator_column} & set(DISTINCT):
        raise UsageError(f"'{name}' counts distinct customers, which do not add up over rows.")
    if len(periods[["grain", "dimension"]].drop_duplicates()) > 1:
        raise UsageError("The rows mix grains or dimensions, so a sum would count orders twice.")
    above = _column(periods, entry.numerator_column)
    if not entry.denominator_column:
        return float(above.sum(min_count=1))
    below = _column(periods, entry.denominator_column).where(above.notna())
    return float(above.sum(min_count=1) / below.sum()) if below.sum() > 0 else np.nan


def month_over_month(
    periods: pd.DataFrame, month: str, *, names: Sequence[str] = MONTHLY
) -> pd.DataFrame:
    """Compare each measure of a month with the month before.

    Returns one row per measure: label, unit, value, previous, change (value - previous) and
    relative (change / previous, only where previous is above 0). A month inside the history
    without any order counts as 0; a month outside it is missing.
    """
    rows = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    rows = rows.assign(start=pd.to_datetime(rows["start"])).set_index("start")
    numbers = rows.select_dtypes("number")
    if len(rows):
        span = pd.date_range(rows.index.min(), rows.index.max(), freq="MS", name="start")
        known = numbers.reindex(columns=["known_customers"]).reindex(span).ffill()
        numbers = numbers.reindex(span, fill_value=0).assign(**known)
    now = pd.Timestamp(f"{month}-01")
    pair = numbers.reindex([now, now - pd.DateOffset(months=1)])
    pair = pair.rename_axis("start").reset_index().assign(grain="month")
    lines = []
    for name in names:
        entry, (value, previous) = _entry(name), measure(pair, name)
        change = value - previous
        relative = change / previous if previous > 0 else np.nan
        lines.append((name, entry.label, entry.unit, value, previous, change, relative))
    columns = ["name", "label", "unit", "value", "previous", "change", "relative"]
    return pd.DataFrame(lines, columns=columns).set_index("name")


def by_grain(
    periods: pd.DataFrame,
    names: Sequence[str] = MONTHLY,
    *,
    grain: str = "month",
    dimension: str = "all",
    as_of: object = None,
) -> pd.DataFrame:
    """Look up measures for every day, month or quarter, of the whole shop or of its segments.

    Customers are distinct within each row: a quarter is no sum of its months. One row per period
    and segment in order: start, value (the segment), days (of the period; up to ``as_of``, the last
    day seen, where given), complete (False for a period that is still going on then), and one
    column per measure. These are facts: small segments have to be withheld before they are shown
    (`helpers.measures.withheld`). Raises UsageError for a grain or dimension that the summary
    lacks.
    """
    for column, wanted in (("grain", grain), ("dimension", dimension)):
        known = list(dict.fromkeys(periods[column]))
        if len(known) and wanted not in known:
            raise UsageError(f"The summary has no {column} '{wanted}'.{nearest(wanted, known)}")
    rows = periods[(periods["grain"] == grain) & (periods["dimension"] == dimension)]
    rows = rows.sort_values(["start", "value"], ignore_index=True).drop(
        columns="days", errors="ignore"
    )
    whole = _days(rows)
    seen = whole
    if as_of is not None:
        lived = (pd.Timestamp(as_of) - pd.to_datetime(rows["start"])).dt.days + 1.0
        rows, whole, seen = (each[lived > 0] for each in (rows, whole, lived.clip(upper=whole)))
    rows = rows.assign(days=seen, complete=seen == whole)
    found = {name: measure(rows, name) for name in names}
    shown = rows[["start", "value", "days", "complete"]].assign(**found)
    return shown.reset_index(drop=True)


def months_of(periods: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows of whole months of the whole shop, in order."""
    rows = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    return rows.sort_values("start", ignore_index=True)


def last_months(periods: pd.DataFrame, month: str, number: int) -> pd.DataFrame:
    """Pick the last so many months of the whole shop, up to and including ``month``."""
    rows = months_of(periods)
    return rows[rows["start"] <= pd.Timestamp(f"{month}-01")].tail(number)


def monthly(periods: pd.DataFrame, month: str, number: int, *, min_cell: int = 10) -> pd.DataFrame:
    """Give the catalog's measures for the last so many months: start and a column each.

    In a month with fewer than ``min_cell`` customers only counts are given: its money is theirs.
    """
    table = by_grain(last_months(periods, month, number))[["start", *MONTHLY]]
    few = table["customers"] < min_cell
    money = [name for name in MONTHLY if MEASURES[name].unit != "count"]
    return table.assign(**{name: table[name].mask(few) for name in money})


def money_basis(periods: pd.DataFrame, *, least: float = 0.8) -> str:
    """Say what value is counted in: 'margin' if its cost is known for enough revenue, or 'revenue'.

    Below ``least`` of revenue with a known cost, margin would say more about bookkeeping than about
    customers.
    """
    rows = months_of(periods)
    revenue = rows["revenue"].sum()
    known = rows["margin_revenue"].sum() / revenue if revenue > 0 else 0.0
    return "margin" if known >= least else "revenue"
