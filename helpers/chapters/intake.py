"""What came in and what became of it, as small frames that people can read."""

from dataclasses import replace

import pandas as pd

from helpers import summaries
from helpers.chapters import naive
from helpers.cleaning import rules
from helpers.contract.conversions import minor_digits
from helpers.contract.tables import TABLES
from helpers.measures.withheld import HELD, withhold
from helpers.records import earlier_months, published_records
from helpers.show import count, label, percent
from helpers.study import Study

# What a part of the workbook needs: question, tables with columns that answer it, where it stands.
_NEEDS = (
    ("Contribution margin", (("orders", "cogs"),), "02, 03, 04, 05, 06"),
    ("Value by channel", (("customers", "acquisition_channel"), ("orders", "channel")), "02, 03"),
    ("Cost of winning a customer", (("marketing_spend", "cost"),), "02, 03, 06"),
    ("Cost of serving a customer", (("service_costs", "amount"),), "02, 03, 04, 05"),
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
    return pd.DataFrame(rows, columns=["table", "files", "rows", "kept", "taken_out"])


def found(study: Study) -> pd.DataFrame:
    """List what the rules took out of any table: table, what, action, rows, and commonest values.

    ``value`` is what the rows said, letters as x and digits as 9 where it might show a person.
    """
    rows = []
    for name, table in study.info.tables.items():
        for item in table["set_aside"]:
            gone = item["reason"] == "customer_forgotten"
            told = (
                ["withheld: it would count persons"]
                if gone
                else [f"{each['value']} ({count(each['rows'])})" for each in item["examples"]]
            )
            what = rules.sentence(name, item["reason"], study.shop)
            number = None if gone else item["rows"]
            rows.append((name, what, item["action"], number, "; ".join(told)))
    table = pd.DataFrame(rows, columns=["table", "what", "action", "rows", "value"])
    return table.sort_values(
        ["rows", "table", "what"], ascending=[False, True, True], ignore_index=True
    )


def flags(study: Study) -> pd.DataFrame:
    """List what was kept although odd: what, order lines, and why it matters."""
    numbers = study.info.tables["orders"]["flags"]
    kept = [rule for rule in rules.every_rule(study.shop) if rule.action.startswith("kept")]
    rows = [(rule.sentence, numbers[rule.id], rule.why) for rule in kept if numbers.get(rule.id)]
    table = pd.DataFrame(rows, columns=["what", "rows", "why"])
    return table.sort_values(["rows", "what"], ascending=[False, True], ignore_index=True)


def waterfall(study: Study) -> pd.DataFrame:
    """Follow order lines from the files to this month: every row and every cent, step by step.

    Steps add up: files, less each reason to take a line out, less what came after the month, gives
    what this month sees. Columns: step, rows, orders (with a sale), customers, revenue (currency
    units), kind (total, less). An order or a customer is lost at the step that took the last row.
    Steps about fewer customers than may be shown stand together in one.
    """
    orders, scale = study.info.tables["orders"], 10 ** minor_digits(study.currency)
    taken = [
        {
            "rule": item["reason"],
            "step": rules.sentence("orders", item["reason"], study.shop),
            # Who was forgotten is not counted any more: one of them is as few as can be.
            "persons": item["customers"] or int(item["reason"] == "customer_forgotten"),
            "rows": item["rows"],
            "orders": item["lost_orders"],
            "customers": item["lost_customers"],
            "revenue": item["money"] / scale,
        }
        for item in orders["set_aside"]
    ]
    clean = {key: orders[source] for key, source in _CLEAN.items()}
    clean["revenue"] /= scale
    seen = summaries.load(study, "scope").iloc[0]
    came = {key: clean[key] + sum(step[key] for step in taken) for key in ("orders", "customers")}
    came |= {"rows": orders["rows"], "revenue": orders["money"] / scale}
    steps = _steps(taken, came, clean, study.shop.privacy.min_cell)
    later = {key: clean[key] - seen[key] for key in _CLEAN}
    steps.append({"step": f"Less: known only after {study.end}", "kind": "less"} | _minus(later))
    steps.append(
        {"step": "Seen by this month", "kind": "total"} | {key: seen[key] for key in _CLEAN}
    )
    table = pd.DataFrame(steps)[["step", *_CLEAN, "kind"]]
    counts = ["rows", "orders", "customers"]
    return table.astype(dict.fromkeys(counts, "Int64")).assign(
        revenue=table["revenue"].round(2) + 0.0
    )


_CLEAN = {"rows": "kept", "orders": "orders", "customers": "customers", "revenue": "money_kept"}
# Rules after which a total is of interest in itself, and what it is called.
_SUBTOTALS = {
    "order_in_later_file": "Each order once",
    "customer_id_missing": "Of known customers",
}


def _steps(taken: list[dict], came: dict, clean: dict, least: int) -> list[dict]:
    """Lay out the steps from the files to the clean lines, with totals where they can be shown."""
    amounts, steps = came, [{"step": "In the files", "kind": "total"} | came]
    for group, total in _groups(taken, least):
        for step in group:
            steps.append({"step": f"Less: {step['step']}", "kind": "less"} | _minus(step))
        amounts = {key: amounts[key] - sum(step[key] for step in group) for key in _CLEAN}
        if group and total:
            steps.append({"step": total, "kind": "total"} | amounts)
    return [*steps, {"step": "Clean", "kind": "total"} | clean]


def _groups(taken: list[dict], least: int) -> list[tuple[list[dict], str]]:
    """Divide the steps at the subtotals; where that would give a small step away, do not."""
    order = [*_SUBTOTALS, ""]
    names = [rule.id for rule in rules.rules_of_orders()]
    edges = [names.index(rule) if rule else len(names) for rule in order]
    parts: list[list[dict]] = [[] for _ in order]
    for step in taken:
        at = names.index(step["rule"])
        parts[next(n for n, edge in enumerate(edges) if at <= edge)].append(step)
    merged = [_withheld(part, least) for part in parts]
    if all(step["revenue"] == step["revenue"] for part in merged for step in part):
        return list(zip(merged, (*_SUBTOTALS.values(), ""), strict=True))
    together = _withheld(taken, least)
    if any(step["revenue"] != step["revenue"] for step in together):
        # Too few persons in all: the totals before and after give their sum away, and no more.
        together = [{"step": _few(len(taken))} | {key: _sum(taken, key) for key in _CLEAN}]
    return [(together, "")]


def _withheld(steps: list[dict], least: int) -> list[dict]:
    """Put the steps about too few customers together in one."""
    if not steps:
        return []
    found = withhold(
        pd.DataFrame(steps), persons="persons", sums=[*_CLEAN], key="step", least=least
    )
    number = len(steps) - len(found) + 1
    merged = found["step"].str.startswith(HELD)
    return found.assign(step=found["step"].mask(merged, _few(number))).to_dict("records")


def _few(number: int) -> str:
    return f"{number} reason{'s' if number > 1 else ''} about few customers each"


def _sum(steps: list[dict], key: str) -> float:
    return sum(step[key] for step in steps)


def _minus(step: dict) -> dict:
    return {key: -step[key] for key in _CLEAN}


def balance(study: Study) -> pd.DataFrame:
    """Check that nothing was lost: differences that should be zero, in rows and in money."""
    steps = waterfall(study)
    clean = steps.index[steps["step"] == "Clean"][0]
    spans = {
        "In the files less what was taken out less clean": (0, clean),
        "Clean less later less seen": (clean, len(steps) - 1),
    }
    checks = []
    for name, (first, last) in spans.items():
        part = steps.loc[first:last]
        less = part.loc[part["kind"] == "less", ["rows", "revenue"]].sum()
        gap = part[["rows", "revenue"]].iloc[0] + less - part[["rows", "revenue"]].iloc[-1]
        checks.append((name, int(gap["rows"]), round(float(gap["revenue"]), 2) + 0.0))
    days = summaries.load(study, "periods")
    for grain in ("day", "month"):
        rows = days[(days["grain"] == grain) & (days["dimension"] == "all")]
        gap = steps["revenue"].iloc[-1] - rows["revenue"].sum()
        checks.append((f"Seen less the sum of all {grain}s", None, round(float(gap), 2) + 0.0))
    return pd.DataFrame(checks, columns=["check", "rows", "revenue"])


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


def share_set_aside(study: Study) -> dict[str, float]:
    """Give the share of order lines, and of their money, that was set aside as faulty.

    Money in absolute amounts, as [quarantine] most_revenue counts it; what is left out because it
    is no sale of the shop (a test, a copy, a later period) is no fault.
    """
    orders = study.info.tables["orders"]
    faults = [item for item in orders["set_aside"] if item["action"] == "set aside"]
    money = sum(item["size"] for item in faults)
    return {
        "rows": sum(item["rows"] for item in faults) / orders["rows"],
        "revenue": money / orders["size"] if orders["size"] else float("nan"),
    }


def counted(study: Study) -> naive.Counted:
    """Give what overlapping files and lines without a product would add to revenue."""
    items = {item["reason"]: item for item in study.info.tables["orders"]["set_aside"]}
    scale = 10 ** minor_digits(study.currency)
    again = items.get("order_in_later_file")
    other = [
        item["money"]
        for rule, item in items.items()
        if rule.startswith("line_") and item["customers"] >= study.shop.privacy.min_cell
    ]
    least = study.shop.privacy.min_cell
    again = again if again and again["customers"] >= least else None
    return naive.Counted(
        overlap_rows=again["rows"] if again else None,
        overlap_money=again["money"] / scale if again else None,
        not_products_money=sum(other) / scale if other else None,
    )


def counts(study: Study) -> dict[str, int]:
    """Give the counts by which the next month's run says what changed in the files."""
    orders = study.info.tables["orders"]
    by_action = {"set aside": 0, "left out": 0}
    for item in orders["set_aside"]:
        by_action[item["action"]] += item["rows"]
    flagged = sum(orders["flags"].values())
    return {
        "rows": orders["rows"],
        "set_aside": by_action["set aside"],
        "left_out": by_action["left out"],
        "flagged": flagged,
    }


def changes(study: Study) -> pd.DataFrame:
    """Compare with the run of the month before: its files with today's, and its figures.

    Columns: what, before (as that run recorded it), now, change. The last two rows hold the same
    month, as published then and as the files of today tell it. Empty if there was no such run.
    """
    month = earlier_months(study.month)[0]
    record = published_records(str(study.shop.folder), month).get("01_data_cleaning")
    if record is None or "counts" not in record["extra"]:
        return pd.DataFrame(columns=["what", "before", "now", "change"])
    then, now = record["extra"]["counts"], counts(study)
    rows = [(words, then.get(key, 0), now[key]) for key, words in _COUNTED.items()]
    figures = {figure["name"]: figure["value"] for figure in record["figures"]}
    seen = summaries.load(replace(study, month=month), "scope").iloc[0]
    rows.append((f"Order lines seen by {month}", figures["rows_seen"], seen["rows"]))
    rows.append((f"Customers seen by {month}", figures["customers_seen"], seen["customers"]))
    table = pd.DataFrame(rows, columns=["what", "before", "now"])
    return table.assign(change=table["now"] - table["before"])


_COUNTED = {
    "rows": "Order lines in the files",
    "set_aside": "Order lines set aside as faulty",
    "left_out": "Order lines left out as no sale",
    "flagged": "Flags on lines that were kept",
}


def changes_sentence(study: Study, table: pd.DataFrame) -> str:
    """Say what is different from the run of the month before."""
    month = earlier_months(study.month)[0]
    if table.empty:
        return f"The report of {month} was not published with these counts; nothing to compare."
    rewritten = table["change"].iloc[-2:].ne(0).any()
    moved = table[table["change"] != 0]
    history = (
        f"The history up to {month} reads differently now than it did then: the export changed "
        "the past."
        if rewritten
        else f"The history up to {month} reads as it did then."
    )
    if moved.empty:
        return f"The files hold what they held in the run of {month}. {history}"
    first = moved.iloc[0]
    return (
        f"Since the run of {month}, {len(moved)} of {len(table)} counts changed, such as "
        f"{first['what'][0].lower()}{first['what'][1:]} from {count(first['before'])} to "
        f"{count(first['now'])}. {history}"
    )


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
    if (balance(study)["revenue"] != 0).any():
        return ["Totals do not tie out: see the differences in 01."]
    return []
