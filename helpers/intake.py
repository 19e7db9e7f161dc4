"""What came in and what became of it, as small frames that people can read."""

import pandas as pd

from helpers import summaries
from helpers.cleaning import rules
from helpers.conversions import minor_digits
from helpers.show import count, label, percent
from helpers.study import Study
from helpers.tables import TABLES

FLAGS = {
    "duplicate_line": "An exact copy of another line, kept",
    "zero_revenue": "A sale line that brought nothing",
    "refund_without_date": "A refund without a date of its own, known from the day of its row",
    "refund_without_sale": "A refund of an order not in the files, booked on its own day",
    "unreadable_value": "An optional value that could not be read, taken as missing",
}
# What a part of the workbook needs: question, tables with columns that answer it, where it stands.
_NEEDS = (
    ("Contribution margin", (("orders", "cogs"),), "02, 03, 04, 06"),
    ("Value by channel", (("customers", "acquisition_channel"), ("orders", "channel")), "02, 03"),
    ("Cost of winning a customer", (("marketing_spend", "cost"),), "02"),
    ("Cost of serving a customer", (("service_costs", "amount"),), "04"),
    ("Effect of campaigns", (("experiments", "experiment_id"),), "05"),
)


def sources(study: Study) -> pd.DataFrame:
    """List the tables that came in: files, rows, rows kept and rows set aside."""
    found = study.info.tables
    rows = [
        (
            name,
            ", ".join(found[name]["files"][:3]) + (" ..." if len(found[name]["files"]) > 3 else ""),
            found[name]["rows"],
            found[name]["kept"],
            found[name]["rows"] - found[name]["kept"],
        )
        for name in TABLES
        if name in found
    ]
    return pd.DataFrame(rows, columns=["table", "files", "rows", "kept", "set_aside"])


def set_aside(study: Study) -> pd.DataFrame:
    """List why rows of any table were set aside: rows, orders, customers, and money at stake.

    Money covers order lines whose amount could be read, in currency units.
    """
    scale = 10 ** minor_digits(study.currency)
    rows = []
    for name, found in study.info.tables.items():
        sentences = {rule.id: rule.sentence for rule in rules(name, study.shop)}
        for item in found["set_aside"]:
            reason = sentences.get(item["reason"], item["reason"])
            row = (name, reason, item["rows"], item["orders"], item["customers"])
            rows.append((*row, item["money"] / scale))
    columns = ["table", "reason", "rows", "orders", "customers", "revenue"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["table", "rows"], ascending=[True, False], ignore_index=True)


def waterfall(study: Study) -> pd.DataFrame:
    """Follow order lines from the files to this month: every row and every cent, step by step.

    Steps add up: files, less each reason to set a line aside, less what came after the month,
    gives what this month sees. Columns: step, rows, revenue (currency units), kind (total, less).
    """
    orders, scale = study.info.tables["orders"], 10 ** minor_digits(study.currency)
    seen, later = (summaries.load(study, name).iloc[0] for name in ("scope", "later_scope"))
    aside = set_aside(study)
    aside = aside[aside["table"] == "orders"]
    steps = [("In the files", orders["rows"], orders["money"] / scale, "total")]
    steps += [
        (f"Less: {row.reason}", -row.rows, 0 - row.revenue, "less") for row in aside.itertuples()
    ]
    steps += [
        ("Clean", orders["kept"], orders["money_kept"] / scale, "total"),
        (f"Less: known only after {study.end}", -later["rows"], -later["revenue"], "less"),
        ("Seen by this month", seen["rows"], seen["revenue"], "total"),
    ]
    return pd.DataFrame(steps, columns=["step", "rows", "revenue", "kind"])


def balance(study: Study) -> pd.DataFrame:
    """Check that nothing was lost: differences that should be zero, in rows and in money."""
    steps = waterfall(study)
    totals = steps.index[steps["kind"] == "total"]
    names = ["In the files less what was set aside less clean", "Clean less later less seen"]
    checks = []
    for name, start, stop in zip(names, totals[:-1], totals[1:], strict=True):
        gap = (
            steps.loc[start : stop - 1, ["rows", "revenue"]].sum()
            - steps.loc[stop, ["rows", "revenue"]]
        )
        checks.append((name, int(gap["rows"]), round(float(gap["revenue"]), 2) + 0.0))
    days = summaries.load(study, "periods")
    for grain in ("day", "month"):
        rows = days[(days["grain"] == grain) & (days["dimension"] == "all")]
        gap = steps["revenue"].iloc[-1] - rows["revenue"].sum()
        checks.append((f"Seen less the sum of all {grain}s", None, round(float(gap), 2) + 0.0))
    return pd.DataFrame(checks, columns=["check", "rows", "revenue"])


def flags(study: Study) -> pd.DataFrame:
    """List what was kept although something is odd about it, with how many order lines."""
    found = study.info.tables["orders"]["flags"]
    rows = [(FLAGS[name], number) for name, number in found.items() if number]
    return pd.DataFrame(rows, columns=["what", "rows"]).sort_values(
        ["rows", "what"], ascending=[False, True], ignore_index=True
    )


def coverage(study: Study) -> pd.DataFrame:
    """Say which questions this shop's tables can answer, and what the others would take."""
    rows = []
    for question, needs, where in _NEEDS:
        known = [f"{table}.{column}" for table, column in needs if study.has(table, column)]
        by_rule = question == "Contribution margin" and study.shop.margin.rule == "rate"
        answer = "margin rate in shop.toml" if by_rule else ", ".join(known)
        missing = " or ".join(f"{table}.{column}" for table, column in needs)
        rows.append((question, "yes" if answer else "no", answer or f"needs {missing}", where))
    return pd.DataFrame(rows, columns=["question", "answered", "from", "notebooks"])


def quiet_days(study: Study, periods: pd.DataFrame) -> pd.DataFrame:
    """Give orders of every day of the last three months seen, zero where no order came in."""
    days = periods[(periods["grain"] == "day") & (periods["dimension"] == "all")]
    end = pd.Timestamp(study.end)
    span = pd.date_range(max(end - pd.Timedelta(days=89), days["start"].min()), end, name="start")
    return days.set_index("start")["orders"].reindex(span, fill_value=0).reset_index()


def newcomers(periods: pd.DataFrame, *, last: int = 13) -> pd.DataFrame:
    """Give customers with an order by month, new and returning: start, kind, customers."""
    months = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    months = months.sort_values("start").tail(last)
    returning = months["customers"] - months["new_customers"]
    parts = {"new": months["new_customers"], "returning": returning}
    return pd.concat(
        [months[["start"]].assign(kind=kind, customers=n) for kind, n in parts.items()],
        ignore_index=True,
    ).sort_values(["start", "kind"], ignore_index=True)


def share_set_aside(study: Study) -> dict[str, float]:
    """Give the share of order lines, and of their revenue, that was set aside.

    The revenue share is of absolute amounts set aside over revenue in the files.
    """
    orders = study.info.tables["orders"]
    money = sum(abs(item["money"]) for item in orders["set_aside"])
    return {
        "rows": (orders["rows"] - orders["kept"]) / orders["rows"],
        "revenue": money / orders["money"] if orders["money"] > 0 else float("nan"),
    }


def history_sentence(study: Study) -> str:
    """Say whether the history reaches back to the shop's opening."""
    start = f"{study.history_starts_at:%d %B %Y}"
    if study.history_is_whole:
        return (
            f"The history starts on {start}, when the shop opened: every first order is a first "
            "order."
        )
    opened = study.shop.opened_at
    known = f"the shop opened on {opened:%d %B %Y}" if opened else "shop.toml names no opened_at"
    return (
        f"The history starts on {start} and {known}: customers of the first month may be older "
        "than they look, and that cohort is marked and left out of averages."
    )


def margin_sentence(study: Study, periods: pd.DataFrame) -> str:
    """Say how contribution margin is known, and for what share of revenue."""
    rule = study.shop.margin
    months = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    share = months["margin_revenue"].sum() / months["revenue"].sum()
    if rule.rule == "rate":
        return f"Margin is {percent(rule.rate)} of revenue, a rate given in shop.toml."
    if rule.rule == "none" or not share > 0:
        return (
            "No cost of goods is known, so the notebooks count revenue instead of margin and say "
            "so. A column cogs, or a margin rate in shop.toml, would change that."
        )
    return (
        f"Margin is revenue less cost of goods, shipping and payment fees; the cost is known for "
        f"{percent(share, 1)} of revenue."
    )


def scope_sentence(study: Study, scope: pd.Series) -> str:
    """Say what the month sees: orders, customers, first and last day."""
    return (
        f"**{label(study.title)}**, month {study.month}: {count(scope['orders'])} orders of "
        f"{count(scope['customers'])} customers, from {scope['first_day']:%d %B %Y} to "
        f"{scope['last_day']:%d %B %Y}."
    )


def alerts(study: Study) -> list[str]:
    """List what about the data needs a look before any figure is read; empty if nothing does."""
    found, share = [], share_set_aside(study)["rows"]
    if share > 0.01:
        found.append(
            f"{percent(share)} of the order lines were set aside: see the reasons in 01 before "
            "trusting any total."
        )
    if (balance(study)["revenue"] != 0).any():
        found.append("Totals do not tie out: see the differences in 01.")
    return found
