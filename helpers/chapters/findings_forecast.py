"""What the pictures of the predictive CLV notebook show, in words (see "
"`helpers.chapters.findings`)."""

import pandas as pd

from helpers.chapters.findings import Finding, nothing
from helpers.models.backtest import BackTest
from helpers.models.calendar import SeasonCheck
from helpers.models.drift import Drift
from helpers.show import count, label, percent, ratio
from helpers.written import Formatter, month_name


def clv_tiers(table: pd.DataFrame, money: Formatter, reason: str) -> Finding:
    """The forecast of value by tier of customers, or the reason why there is none."""
    if table.empty:
        return nothing(f"There is no forecast for these customers. {reason}")
    top, last = table.iloc[0], table.iloc[-1]
    return Finding(
        f"The {top['tier']} of customers are expected to bring {percent(top['share'])} of value",
        f"Points with intervals of expected value per customer by tier: {top['tier']} "
        f"{money(top['per_customer'])}, {last['tier']} {money(last['per_customer'])}.",
        f"A customer of the {top['tier']} is expected to bring {money(top['per_customer'])} "
        f"(90% interval of the tier's mean {money(top['low'])} to {money(top['high'])}), one of "
        f"the {last['tier']} {money(last['per_customer'])}.",
    )


def holdout(check: BackTest, money: Formatter) -> Finding:
    """The model used against what customers did, by tenths of customers, on the newest origin."""
    if check.reason:
        return nothing(f"No check against history is possible. {check.reason}")
    rows = check.scores[check.scores["measure"] == "money"]
    rows = rows[rows["origin"] == rows["origin"].max()].set_index("rule")
    used = rows.loc[check.choice.used]
    top = check.deciles.iloc[0]
    return Finding(
        f"{check.choice.used} said {money(used['forecast'])}, and {money(used['actual'])} came",
        "Bars beside each other of money per customer by tenth of customers, ranked by forecast: "
        f"the top tenth was forecast {money(top['forecast'] / top['customers'])} and brought "
        f"{money(top['actual'] / top['customers'])} each.",
        f"From {used['origin']:%d %B %Y} to {used['end']:%d %B %Y} the {count(used['customers'])} "
        f"customers known by then brought {money(used['actual'])}; {check.choice.used} said "
        f"{money(used['forecast'])}, off by {percent(used['bias'], 1)}. Tenth by tenth, the "
        "errors add "
        f"up to {percent(used['decile_error'], 1)} of the total; its ranking reaches a Gini of "
        f"{ratio(used['gini'])}, where 1 is the true order.",
    )


def holdout_bins(check: BackTest) -> Finding:
    """Orders held out, by how often customers had bought before."""
    if check.reason:
        return nothing("Without a check there is nothing to compare.")
    table, used = check.bins, check.choice.used
    off = (table[used] - table["actual"]).abs()
    worst, first, last = (
        table.loc[(off * table["customers"]).idxmax()],
        table.iloc[0],
        table.iloc[-1],
    )
    return Finding(
        f"Who had {last['frequency']} repeat purchase days ordered {ratio(last['actual'])} times "
        f"later, who had none {ratio(first['actual'])}",
        "Bars beside each other of held-out orders per customer by earlier repeat purchases: "
        f"actual, {used} and {check.choice.naive}, from {ratio(table['actual'].min())} to "
        f"{ratio(table['actual'].max())}.",
        f"Most orders were missed among customers with {worst['frequency']} repeat purchase days: "
        f"{ratio(worst['actual'])} each, where {used} said {ratio(worst[used])} and "
        f"{check.choice.naive} {ratio(worst[check.choice.naive])}.",
    )


def season(found: SeasonCheck) -> Finding:
    """Held-out months with and without the season."""
    if found.months is None:
        return nothing(f"No season is used. {found.reason}")
    less = 1 - found.seasonal_error / found.plain_error if found.plain_error else 0.0
    by = f" by {percent(less)}" if less > 0 else ""
    used = "it is used" if found.helps else "it is not used"
    return Finding(
        f"Knowing the season {'lowers' if by else 'does not lower'} the error of a quarter's "
        f"orders{by}",
        "Lines of orders by month of the customers known at the cut-off: actual, forecast "
        f"without and with season; summed errors by quarter {count(found.plain_error)} and "
        f"{count(found.seasonal_error)}.",
        f"After {found.cutoff:%d %B %Y}, errors by quarter add up to {count(found.plain_error)} "
        f"orders without season and {count(found.seasonal_error)} with it, of "
        f"{count(found.months['actual'].sum())} orders: {used}.",
    )


def forecast_months(months: pd.DataFrame, money: Formatter) -> Finding:
    """Revenue month by month, customers of today and to come."""
    if months.empty:
        return nothing("Without a forecast there is nothing to show month by month.")
    best, least = months.loc[months["revenue"].idxmax()], months.loc[months["revenue"].idxmin()]
    net = months["net"].sum(min_count=1)
    kept = f", of which {money(net)} is left as margin after service" if pd.notna(net) else ""
    return Finding(
        f"{month_name(best['start'])} is expected to be the best month, with "
        f"{money(best['revenue'])}",
        "Lines of expected revenue by month, of customers of today, of those to come, and of both "
        f"with a band: both most {money(best['revenue'])} in {month_name(best['start'])}, least "
        f"{money(least['revenue'])} in {month_name(least['start'])}.",
        f"{month_name(best['start'])}: {money(best['revenue'])} (90% interval "
        f"{money(best['revenue_low'])} to {money(best['revenue_high'])}). Over these months "
        f"revenue adds up to {money(months['revenue'].sum())}{kept}.",
    )


def model_fit(table: pd.DataFrame) -> Finding:
    """Customers by repeat purchase days, counted and expected."""
    if table.empty:
        return nothing("Without a model there is nothing to hold against the counts.")
    wide = table.pivot(index="repeat_days", columns="what", values="customers")
    zero = wide.loc["0"]
    gap = (wide["model"] - wide["customers"]).abs().sum() / 2 / wide["customers"].sum()
    return Finding(
        f"The model puts {percent(gap, 1)} of customers in the wrong frequency",
        f"Bars beside each other by repeat purchase days: customers counted and as the model "
        f"expects; without a repeat {count(zero['customers'])} and {count(zero['model'])}.",
        f"{count(zero['customers'])} customers never bought again, the model expects "
        f"{count(zero['model'])}; over all frequencies {percent(gap, 1)} of customers are "
        "misplaced.",
    )


def drift(found: Drift) -> Finding:
    """Cohorts compared by what a new customer is expected to buy in a year."""
    if found.reason:
        return nothing(f"Cohorts cannot be compared. {found.reason}")
    table = found.cohorts.iloc[:-1]
    apart = table[table["apart"]]
    everyone = found.cohorts.iloc[-1]
    newest = table.iloc[-1]
    title = (
        "Cohorts differ: fit them apart, or look for what changed"
        if found.advice == "split"
        else "One model is enough for all cohorts"
    )
    odd = ", ".join(apart["cohort"])
    return Finding(
        title,
        "Points with intervals of repeat purchases that a new customer is expected to make in a "
        "year, "
        f"by cohort: all {ratio(everyone['expected'])}, {newest['cohort']} "
        f"{ratio(newest['expected'])}.",
        f"A new customer is expected to buy {ratio(everyone['expected'])} times again in a year, "
        "one "
        f"of the newest cohorts ({newest['cohort']}) {ratio(newest['expected'])} (95% interval "
        f"{ratio(newest['low'])} to {ratio(newest['high'])}). "
        + (f"Apart from the rest: {odd}. " if odd else "No cohort stands clearly apart. ")
        + _criterion(found),
    )


def _channels_title(table: pd.DataFrame, apart: str) -> str:
    """Name the best channel only where it stands apart, and from the next one, too."""
    best = table.iloc[0]
    if best["apart"] and len(table) > 1 and best["low"] > table["high"].iloc[1]:
        return f"Customers won by {best['cohort']} buy again most often"
    if apart:
        return "Channels win customers who buy again unlike one another"
    return "One model is enough for the customers of all channels"


def channels(found: Drift) -> Finding:
    """Channels compared by what a new customer of each is expected to buy in a year."""
    if found.reason:
        return nothing(f"Channels cannot be compared. {found.reason}")
    table, everyone = found.cohorts.iloc[:-1], found.cohorts.iloc[-1]
    best, least = table.iloc[0], table.iloc[-1]
    apart = ", ".join(table.loc[table["apart"], "cohort"])
    consequence = (
        f"Apart from all: {apart}. The forecast has one model, so it says too little for new "
        "customers of those above all and too much for those below, until their own purchases "
        "tell them apart."
        if apart
        else "No channel stands clearly apart."
    )
    return Finding(
        _channels_title(table, apart),
        "Points with intervals of repeat purchases that a new customer is expected to make in a "
        f"year, by channel: {best['cohort']} {ratio(best['expected'])}, {least['cohort']} "
        f"{ratio(least['expected'])}, all {ratio(everyone['expected'])}.",
        f"A new customer won by {best['cohort']} is expected to buy {ratio(best['expected'])} "
        f"times again in a year (95% interval {ratio(best['low'])} to {ratio(best['high'])}), one "
        f"won by {least['cohort']} {ratio(least['expected'])} ({ratio(least['low'])} to "
        f"{ratio(least['high'])}). {consequence} {_criterion(found)}",
    )


def _criterion(found: Drift) -> str:
    """Say which Akaike's criterion prefers: a model of each, or one, or neither clearly."""
    size = count(abs(found.gain), 1)
    if found.advice == "split":
        return f"By Akaike's criterion, a model of each is better by {size}: split."
    if found.gain > 0:
        return f"By Akaike's criterion, a model of each is better by {size}, too little to split."
    return f"By Akaike's criterion, a model of each is worse by {size}: keep one model."


def thirds(table: pd.DataFrame, money: Formatter) -> Finding:
    """Value per customer by third of recency, frequency and spend."""
    again = table[table["by"] != "no repeat"]
    if again.empty:
        return nothing("Without a forecast nobody has a value to compare.")
    spans = again.groupby("by")["per_customer"].agg(lambda v: v.iloc[-1] / v.iloc[0])
    most = spans.idxmax()
    top = again[(again["by"] == most) & (again["third"] == "3")].iloc[0]
    low = again[(again["by"] == most) & (again["third"] == "1")].iloc[0]
    return Finding(
        f"{label(most).capitalize()} sets customers apart most",
        "Bars beside each other of value per customer by third of recency, frequency and spend; by "
        f"{most} from {money(low['per_customer'])} to {money(top['per_customer'])}.",
        f"By {most}, the upper third is worth {money(top['per_customer'])} a customer and the "
        "lower "
        f"third {money(low['per_customer'])}.",
    )
