"""What the pictures and tables of value show, in words; see `helpers.chapters.findings`."""

import numpy as np
import pandas as pd

from helpers.chapters.change_tables import Moved
from helpers.chapters.findings import nothing, together
from helpers.measures.withheld import HELD
from helpers.show import Finding, count, label, percent, ratio
from helpers.written import Formatter, alike, month_name


def family(long: pd.DataFrame, money: Formatter) -> Finding:
    """Revenue, margin and margin after service by age."""
    known = long.dropna(subset="per_customer")
    if known.empty:
        return nothing("No cohort is old enough, or large enough, to say what a customer earned.")
    age = int(known["horizon"].max())
    last = known[known["horizon"] == age].set_index("measure")["per_customer"]
    missing = long[long["per_customer"].isna() & (long["cohorts"] > 0)]
    why = " ".join(dict.fromkeys(missing["reason"]))
    first, end = (known[known["horizon"] == age].iloc[place] for place in (0, -1))
    *each, low, high = alike(money, [*last, end["low"], end["high"]])
    parts = ", ".join(
        f"{amount} {_of(name)}" for name, amount in zip(last.index, each, strict=True)
    )
    band = f"The 95% interval {_of(end['measure'])} is {low} to {high}."
    title = f"By day {age} a customer has brought {each[0]} of {last.index[0]}"
    if len(last) > 1:
        title = (
            f"Of {each[0]} a customer paid by day {age}, {each[-1]} is "
            f"{end['measure'] if end['measure'] == 'margin' else 'left after service'}"
        )
    return Finding(
        title,
        f"Lines of cumulative value per customer by age in days; at {age} days {parts}.",
        f"{count(first['customers'])} customers of {count(first['cohorts'])} cohorts have "
        f"reached {age} days, and brought {parts} each. "
        f"{band if pd.notna(end['low']) else ''} {why}".strip(),
    )


def _of(measure: str) -> str:
    return "of margin after service" if measure == "after service" else f"of {measure}"


def three_steps(table: pd.DataFrame, cohort: object, value: str, money: Formatter) -> Finding:
    """One cohort followed month by month."""
    known = table.dropna(subset="per_customer")
    if known.empty:
        why = table["reason"].iloc[0] if len(table) else "No cohort has a whole month."
        return nothing(f"No cohort can be followed. {why}")
    last = known.iloc[-1]
    each, low, high = together(money, last, "per_customer", "low", "high")
    return Finding(
        f"Customers of {month_name(cohort)} have brought {each} each",
        f"Line with band of cumulative {value} per customer of one cohort by month, up to "
        f"{each} in month {int(last['age'])}.",
        f"{money(last['amount'])} of {value} so far / {count(last['customers'])} customers who "
        f"joined in {month_name(cohort)} = {each} (95% interval {low} to {high}).",
    )


def drivers(row: pd.Series, outside: float, basis: str, money: Formatter) -> str:
    """Say what serving customers costs per order and per active month, and what it leaves out."""
    if not row["contacts"] > 0:
        stands = "so margin stands for value"
        if basis != "margin":
            stands = "and too little is known of margin, so revenue stands for value"
        return (
            f"No cost to serve is recorded, {stands}. A table service_costs (customer_id, at, "
            "amount) turns this on."
        )
    each = [row["amount"] / row[name] if row[name] > 0 else np.nan
            for name in ("orders", "active_months")]  # fmt: skip
    per_order, per_month = alike(money, each)
    rest = f" {money(outside)} belongs to nobody with an order by then, and is in no value here."
    return (
        f"Serving customers cost {money(row['amount'])} in {count(row['contacts'])} entries: "
        f"{per_order} per order, {per_month} per customer and month with an order. "
        "Each entry is charged to its own customer on its day; shipping and payment fees are in "
        f"the margin already.{rest if round(outside, 2) else ''}"
    )


def segments(rows: pd.DataFrame, what: str, basis: str, money: Formatter) -> Finding:
    """Value by the values of one dimension."""
    known = rows[~rows["value"].astype(str).str.startswith(HELD)] if len(rows) else rows
    known = known.dropna(subset="per_customer") if len(rows) else rows
    if len(known) < 2:
        return nothing(f"Fewer than two segments by {what} can be compared: {_turn_on(what)}")
    high = known.loc[known["per_customer"].idxmax()]
    low = known.loc[known["per_customer"].idxmin()]
    apart = high["low"] > low["high"]
    names = [label(each["value"], 24) for each in (high, low)]
    ends = ("per_customer", "low", "high")
    texts = alike(money, [each[name] for each in (high, low) for name in ends])
    title = f"By {what}: {high['value']} is worth more than {low['value']}"
    if not apart or len(title) > 90:
        title = f"Segments by {what} {'differ' if apart else 'are not clearly apart'}"
    member = (
        " Members chose to join, and good customers join more easily: the difference is not what "
        "the program did." if what == "loyalty program" else ""
    )  # fmt: skip
    return Finding(
        title[:90],
        f"Points with intervals of {basis} per customer by {what}: {high['value']} "
        f"{texts[0]}, {low['value']} {texts[3]}.",
        f"{names[0]}: {texts[0]} ({texts[1]} to {texts[2]}, {count(high['customers'])} "
        f"customers); {names[1]}: {texts[3]} ({texts[4]} to {texts[5]}, "
        f"{count(low['customers'])}). The best and the worst of {count(len(known))} differ by "
        f"chance, too.{member}",
    )


def _turn_on(what: str) -> str:
    return (
        f"the shop's files tell no {what}, or too few customers of it. data/README.md names the "
        "column."
    )


def steps(found: Moved, money: Formatter) -> Finding:
    """What moved value between two periods."""
    if found.reason:
        return nothing(f"What moved value cannot be told. {found.reason}")
    first, last = found.steps.iloc[0], found.steps.iloc[-1]
    moves = found.steps.iloc[1:-1]
    change = last["amount"] - first["amount"]
    ends = f"from {money(first['amount'])} to {money(last['amount'])}"
    if moves.empty:
        return nothing(f"Nothing moved between {first['step']} and {last['step']}.")
    top = moves.loc[moves["amount"].abs().idxmax()]
    word = "up" if change > 0 else "down"
    return Finding(
        f"{money(abs(change))} {word}; {top['step'].lower()} moved it most"[:90],
        f"Waterfall {ends} of {first['step']} and {last['step']}; largest step {top['step']} "
        f"{money(top['amount'])}.",
        f"{label(first['step'])} to {label(last['step'])}: {ends}. The largest step is "
        f"{top['step'].lower()} with {money(top['amount'])}. The steps add up to the cent.",
    )


def concentration(table: pd.DataFrame) -> Finding:
    """What the top customers bring."""
    known = table.dropna(subset="share_of_revenue")
    known = known[known["scope"] == "all customers"]
    if known.empty:
        return nothing("There are too few customers to show what the top ones bring.")
    near = known.loc[(known["top"] - 0.2).abs().idxmin()]
    rest = table[(table["scope"] != "all customers") & np.isclose(table["top"], near["top"])]
    without = ""
    if len(rest) and pd.notna(rest["share_of_revenue"].iloc[0]):
        without = f" Without companies it is {percent(rest['share_of_revenue'].iloc[0])}."
    elif rest.empty:
        without = " Companies cannot be told apart, or too few of them bought."
    return Finding(
        f"The top {percent(near['top'], 0)} of customers bring "
        f"{percent(near['share_of_revenue'])} of revenue",
        f"Line of the share of revenue by the share of customers, largest first: "
        f"{percent(near['share_of_revenue'])} from the top {percent(near['top'], 0)}.",
        f"The top {percent(near['top'], 0)} ({count(near['customers'])} customers) brought "
        f"{percent(near['share_of_revenue'])} of all revenue so far.{without} Old customers have "
        "had more time, so part of this is age.",
    )


def season(index: pd.DataFrame, years: pd.DataFrame, fmt) -> Finding:
    """Calendar months against the level around them."""
    if index.empty:
        return nothing(
            "A calendar month needs a year around it: history is shorter than thirteen months. "
            + _year_on_year(years)
        )
    best, worst = index.loc[index["index"].idxmax()], index.loc[index["index"].idxmin()]
    most = int(index["years"].max())
    single = " Each was seen once: a season and a single event look alike." if most == 1 else ""
    return Finding(
        f"{best['name']} stands {percent(best['index'] - 1)} above the year around it",
        f"Bars of revenue by calendar month over the mean of the year around it: highest "
        f"{best['name']} {fmt(best['index'])}, lowest {worst['name']} {fmt(worst['index'])}.",
        f"{best['name']} brings {fmt(best['index'])} times the level of the year around it, "
        f"{worst['name']} {fmt(worst['index'])}; from at most {count(most)} "
        f"year{'s' * (most > 1)} a month.{single} {_year_on_year(years)}".strip(),
    )


def _year_on_year(years: pd.DataFrame) -> str:
    known = years.dropna(subset="change")
    if known.empty:
        return "No whole month has one a year before it."
    now = known.iloc[-1]
    sale = f", with a promotion ({now['promotions']})" if now["promotions"] else ""
    return (
        f"{month_name(now['month'])} was {percent(abs(now['change']))} "
        f"{'above' if now['change'] >= 0 else 'below'} the year before{sale}."
    )


def new_or_returning(table: pd.DataFrame) -> str:
    """Say how far three definitions of returning customers are apart in one month."""
    known = table.dropna(subset="new_share")
    if known.empty:
        return "No month has a customer."
    now = known.iloc[-1]
    year = (
        f"{percent(now['returning_year_share'])} had ordered in the twelve months before"
        if pd.notna(now["returning_year_share"])
        else "history is too short to look twelve months back"
    )
    return (
        f"Of the customers of {month_name(now['month'])} {percent(now['returning_ever_share'])} "
        f"had ordered in an earlier month, and {year}; of all customers so far "
        f"{percent(now['repeaters_share'])} have ordered more than once. The first counts who was "
        "ever there, the second forgets them after a year, the third counts people, not visits, "
        "and rises with the age of the shop."
    )


def other_tools(table: pd.DataFrame, money: Formatter) -> str:
    """Say how far the same customers' value differs by the way it is counted."""
    known = table.iloc[[0, 1, 2]].dropna(subset="gross")
    if known.empty:
        return "No cohort has lived through twelve months, so the ways cannot be compared."
    high, low = known.loc[known["gross"].idxmax()], known.loc[known["gross"].idxmin()]
    if len(known) == 1 or high["gross"] == low["gross"]:
        return f"All ways that apply give {money(high['gross'])} before refunds."
    return (
        f"Before refunds, '{high['what']}' gives {money(high['gross'])} and '{low['what']}' "
        f"{money(low['gross'])}: the same customers, {ratio(high['gross'] / low['gross'])} times "
        "as much. Compare two tools only after you know the age, the cohorts and the refunds."
    )


def two_groups(table: pd.DataFrame, money: Formatter) -> Finding:
    """Two made-up groups with the same revenue and another value."""
    worth = table.pivot(index="group", columns="measure", values="value")
    first, last = worth.iloc[0], worth.iloc[-1]
    return Finding(
        "The same revenue per customer, and a third more value after service"
        if first["revenue"] == last["revenue"] and first["after service"] > last["after service"]
        else "Revenue and value after service part ways",
        f"Bars by measure for two groups: revenue {money(first['revenue'])} each, after service "
        f"{money(first['after service'])} and {money(last['after service'])}.",
        f"Both bring {money(first['revenue'])} of revenue. Group A leaves "
        f"{money(first['after service'])} after service, group B {money(last['after service'])}: "
        "a budget by revenue would pay as much for either.",
    )


def customer_list(moments: pd.Series, money: Formatter, *, min_cell: int = 10) -> str:
    """Say how many customers the list of values holds, and what the one in the middle brought."""
    number = moments["customers"]
    if number < min_cell:
        return "There are too few customers to say anything of the one in the middle."
    middle, mean = alike(money, [moments["median_revenue"], moments["revenue"] / number])
    return (
        f"The list holds {count(number)} customers. The one in the middle has brought "
        f"{middle} of revenue, the mean is {mean}: a few large customers pull a mean up. It stays "
        "in the shop's folder, for its owner alone, and consent plays no part in it, so it is not "
        "a list of whom to write to."
    )
