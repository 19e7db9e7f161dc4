"""What moves value: two periods compared, seasons, new and returning, concentration, what if."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from helpers.errors import UsageError, nearest
from helpers.measures import decomposition
from helpers.written import Formatter, alike, count, percent, ratio

GRAINS = {"month": 1, "quarter": 3, "year": 12}
# A promotion that runs longer is always on, and marks no month.
_LONGEST_PROMOTION = 92


@dataclass(frozen=True)
class Moved:
    """A change between two periods: steps for a picture, factors, or why there is none."""

    steps: pd.DataFrame
    factors: pd.DataFrame
    reason: str = ""


def months_from(start: object, end: object) -> int:
    """Count the months from one month to another."""
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    return (last.year - first.year) * 12 + last.month - first.month


def span_rows(spans: pd.DataFrame, grain: str, *, first_day: date, last_day: date) -> pd.DataFrame:
    """Pick the spans of one length, in order, and mark those that are whole.

    A span is whole if history holds its first and its last day. Raises UsageError for a grain
    that is not month, quarter or year (twelve months up to the month's end).
    """
    if grain not in GRAINS:
        raise UsageError(f"There is no grain '{grain}'.{nearest(grain, GRAINS)}")
    rows = spans[spans["grain"] == grain].sort_values("start", ignore_index=True)
    start = pd.to_datetime(rows["start"])
    end = start + pd.DateOffset(months=GRAINS[grain]) - pd.Timedelta(days=1)
    whole = (start >= pd.Timestamp(first_day)) & (end <= pd.Timestamp(last_day))
    return rows.assign(start=start, end=end, whole=whole)


def with_service(rows: pd.DataFrame, service: pd.DataFrame) -> pd.DataFrame:
    """Add what serving customers cost in each span, from its months; 0 in a span without a cost."""
    months = pd.to_datetime(service["start"])
    sums = [
        float(service.loc[(months >= start) & (months <= end), "amount"].sum())
        for start, end in zip(rows["start"], rows["end"], strict=True)
    ]
    return rows.assign(service=sums)


def moved(
    rows: pd.DataFrame, *, back: int = 1, basis: str = "margin", min_cell: int = 10, digits: int = 2
) -> Moved:
    """Explain the change of the last whole span against the one ``back`` spans before.

    ``rows`` are those of `span_rows` with `with_service`. No figure, and a reason, where there is
    no such span, or where one has fewer than ``min_cell`` customers.
    """
    whole = rows[rows["whole"]].reset_index(drop=True)
    none = pd.DataFrame(columns=["step", "amount", "kind"])
    empty = pd.DataFrame(columns=["factor", "before", "after", "change"])
    if len(whole) <= back:
        return Moved(none, empty, "History holds no earlier whole period to compare with.")
    pair = [whole.iloc[-1 - back], whole.iloc[-1]]
    if min(each["customers"] for each in pair) < min_cell:
        return Moved(none, empty, f"One of the periods has fewer than {min_cell} customers.")
    labels = tuple(_span_name(each) for each in pair)
    first, last = (each.to_dict() for each in pair)
    found = decomposition.steps(first, last, basis=basis, labels=labels, digits=digits)
    return Moved(found, decomposition.factor_table(first, last, basis=basis))


def written_factors(factors: pd.DataFrame, money: Formatter) -> pd.DataFrame:
    """Write each factor of a change in its own unit: people, orders, money, shares."""
    units = {"customers": count, "frequency": ratio, "basket": money}
    by_name = {decomposition.FACTORS[key]: fmt for key, fmt in units.items()}
    ends = [
        alike(by_name.get(row["factor"], percent), [row["before"], row["after"]])
        for _, row in factors.iterrows()
    ]
    change = alike(lambda share: percent(share, 1), factors["change"])
    # The factor is what is kept, not what goes back.
    names = factors["factor"].replace(decomposition.FACTORS["kept"], "Share kept after refunds")
    before, after = ([pair[place] for pair in ends] for place in (0, 1))
    return pd.DataFrame({"factor": names, "before": before, "after": after, "change": change})


def _span_name(row: pd.Series) -> str:
    if row["grain"] == "month":
        return f"{row['start']:%B %Y}"
    return f"{row['start']:%b %Y} to {row['end']:%b %Y}"


def quarters(rows: pd.DataFrame, *, most: int = 8, min_cell: int = 10) -> pd.DataFrame:
    """Give quarters: revenue, orders, customers, order value, margin rate, and if they are whole.

    Money and ratios of a quarter with fewer than ``min_cell`` customers are missing.
    """
    rows = rows.tail(most).reset_index(drop=True)
    few = rows["customers"] < min_cell
    ratios = {
        "aov": rows["revenue"] / rows["orders"].where(rows["orders"] > 0),
        "frequency": rows["orders"] / rows["customers"].where(rows["customers"] > 0),
        "margin_rate": rows["margin"] / rows["margin_revenue"].where(rows["margin_revenue"] > 0),
    }
    name = [f"{start.year} Q{start.quarter}{'' if whole else ' in part'}"
            for start, whole in zip(rows["start"], rows["whole"], strict=True)]  # fmt: skip
    table = pd.DataFrame({"quarter": name, **{c: rows[c] for c in ("revenue", "orders")}})
    table = table.assign(customers=rows["customers"], new_customers=rows["new_customers"], **ratios)
    money = ["revenue", *ratios]
    return table.assign(**{name: table[name].mask(few) for name in money})


def new_or_returning(rows: pd.DataFrame, *, most: int = 12, first_day: date) -> pd.DataFrame:
    """Count new and returning customers by three definitions that are all in use.

    ``new_share``: first order ever in the month / customers of the month (the rest returned).
    ``returning_year_share``: ordered in the month and in the twelve months before / customers of
    the month; missing while history does not reach back as far. ``repeaters_share``: customers
    with more than one order by the month's end / all customers by then, as shop systems show it;
    it is a stock that only the whole history can move. Rows: month, customers, new_customers, ...
    """
    ever, twice = rows["new_customers"].cumsum(), rows["second_orders"].cumsum()
    bought = rows["customers"].where(rows["customers"] > 0)
    reaches = rows["start"] - pd.DateOffset(months=12) >= pd.Timestamp(first_day)
    back = rows["returning_year"].where(reaches)
    table = pd.DataFrame({
        "month": rows["start"], "customers": rows["customers"],
        "new_customers": rows["new_customers"], "new_share": rows["new_customers"] / bought,
        "returning_ever_share": 1 - rows["new_customers"] / bought,
        "returning_year_share": back / bought,
        "repeaters_share": twice / ever.where(ever > 0),
    })  # fmt: skip
    return table.tail(most).reset_index(drop=True)


# -- seasons ---------------------------------------------------------------------------------


def calendar_index(rows: pd.DataFrame, value: str = "revenue") -> pd.DataFrame:
    """Show how calendar months stand against the level of the year around them.

    Of each whole month, ``value`` over its centered mean of twelve months (half of the outermost
    two); sum over sum where a calendar month was seen in several years. Rows: month (1 to 12),
    its name, in full and short, index, years. Growth does not look like a season this way. Empty
    with too short a history.
    """
    columns = ["month", "name", "short", "index", "years"]
    whole = rows[rows["whole"]].set_index("start")[value]
    # A month inside history that has no row brought nothing.
    span = pd.date_range(whole.index.min(), whole.index.max(), freq="MS") if len(whole) else []
    if len(span) < 13:
        return pd.DataFrame(columns=columns)
    amounts = whole.reindex(span, fill_value=0)
    weights = np.array([0.5, *[1.0] * 11, 0.5]) / 12
    level = amounts.rolling(13, center=True).apply(lambda part: float(part @ weights), raw=True)
    seen = pd.DataFrame({"amount": amounts, "level": level}).dropna()
    seen = seen[seen["level"] > 0]
    sums = seen.groupby(seen.index.month).agg(
        amount=("amount", "sum"), level=("level", "sum"), years=("amount", "size")
    )
    table = sums.rename_axis("month").reset_index()
    days = [date(2000, number, 1) for number in table["month"]]
    table["name"], table["short"] = [f"{day:%B}" for day in days], [f"{day:%b}" for day in days]
    return table.assign(index=table["amount"] / table["level"])[columns]


def year_on_year(
    rows: pd.DataFrame,
    promotions: pd.DataFrame,
    *,
    value: str = "revenue",
    most: int = 12,
    min_cell: int = 10,
) -> pd.DataFrame:
    """Set each month beside the same month a year before, with the promotions that ran in both.

    Rows: month, amount, year_before, change (missing where the month before was not whole or not
    above zero), promotions, promotions_before: the kinds that ran, those of more than a quarter
    left out since they mark no month. The money of a month with fewer than ``min_cell`` customers
    is missing.
    """
    kept = rows[rows["whole"]].set_index("start")
    whole = kept[value].where(kept["customers"] >= min_cell)
    last = whole.tail(most)
    before = whole.reindex(last.index - pd.DateOffset(years=1)).to_numpy(dtype=float)
    change = last.to_numpy(dtype=float) / np.where(before > 0, before, np.nan) - 1
    ran = [_ran(promotions, start) for start in last.index]
    ran_before = [_ran(promotions, start - pd.DateOffset(years=1)) for start in last.index]
    return pd.DataFrame({
        "month": last.index, "amount": last.to_numpy(dtype=float), "year_before": before,
        "change": change, "promotions": ran, "promotions_before": ran_before,
    })  # fmt: skip


def _ran(promotions: pd.DataFrame, month: pd.Timestamp) -> str:
    first, last = pd.to_datetime(promotions["starts_at"]), pd.to_datetime(promotions["ends_at"])
    end = month + pd.offsets.MonthEnd(0)
    inside = (first <= end) & (last >= month) & ((last - first).dt.days < _LONGEST_PROMOTION)
    kinds = promotions.loc[inside, "kind"].fillna(promotions.loc[inside, "promotion_id"])
    return ", ".join(sorted(set(kinds.astype(str))))


# -- who brings it, and what if --------------------------------------------------------------


def shares_of_revenue(concentration: pd.DataFrame, *, min_cell: int = 10) -> pd.DataFrame:
    """Show what share of revenue the top customers bring, with and without companies.

    Rows: scope, top (share of customers), customers, share_of_revenue (of the scope). Withheld
    (missing) where a step between two rows, or the companies between two scopes, holds fewer than
    ``min_cell`` customers; the second scope is left out where no customer class is known or no
    company bought.
    """
    rows = concentration.sort_values(["scope", "thousandths"], ignore_index=True)
    rows = rows.assign(top=rows["thousandths"] / 1000)
    size = rows.groupby("scope")["all_customers"].first()
    companies = size.get("all customers", 0) - size.get("without companies", 0)
    scopes = ["all customers", *(["without companies"] if companies >= min_cell else [])]
    parts = []
    for scope in scopes:
        part = rows[rows["scope"] == scope].reset_index(drop=True)
        shown, seen = [], 0
        for number in part["customers"]:
            # Everybody together is the total, which stands elsewhere.
            enough = number - seen >= min_cell
            shown.append(enough)
            seen = number if enough else seen
        rest = part["all_customers"] - part["customers"]
        shown = np.array(shown) & ((rest == 0) | (rest >= min_cell)).to_numpy()
        whole = part["all_revenue"].where(part["all_revenue"] > 0)
        parts.append(part.assign(share_of_revenue=(part["revenue"] / whole).where(shown)))
    table = pd.concat(parts, ignore_index=True)
    table = table[table["top"] < 1]
    return table[["scope", "top", "customers", "share_of_revenue"]].reset_index(drop=True)
