"""What the simulator really did: the true values that an exercise's estimates are held against.

They stand in ``truth.toml`` beside the files of a simulated shop. A real shop has none.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.course.answers import one_number
from helpers.errors import UsageError
from helpers.study import Study
from helpers.written import alike, by_unit, fixed


@dataclass(frozen=True)
class Truth:
    """A true value: what it is, where it stands in truth.toml, its unit, and what to mind.

    ``task`` names the task that opens it, where that is another than its own.
    """

    what: str
    find: Callable[[Mapping], float | str]
    unit: str
    mind: str = ""
    task: str = ""


def _effect(test: str, arm: str) -> Callable[[Mapping], float]:
    return lambda truth: truth["experiments"][test]["effects"][arm]["margin"]


def _net(truth: Mapping) -> float:
    test = truth["experiments"]["winback"]
    arm = test["arms"]["voucher"]
    return test["effects"]["voucher"]["margin_after_cost"] - test["fixed_cost"] / arm["assigned"]


def _pace(truth: Mapping, *, slowest: bool) -> str:
    pace = truth["purchases"]["alpha_days_by_channel"]
    paid = {name: pace[name] for name in truth["acquisition"]["media_cost"]}
    return max(paid, key=paid.get) if slowest else min(pace, key=pace.get)


def _june(truth: Mapping) -> float:
    months = truth["season"]["months"]
    return months[5] / (sum(months) / len(months))


TRUTHS: dict[str, Truth] = {
    "shop_value": Truth(
        "Margin per customer by day 365",
        lambda truth: truth["ltv"]["as_run"]["age_365"]["margin"],
        "money",
        "of all lines; some lines in the files lack their cost",
    ),
    "taken_out": Truth(
        "Faulty lines put into the orders",
        lambda truth: sum(
            f["rows"] for f in truth["facts"]["faults"].values() if f.get("kept") is False
        ),
        "count",
        "planted on purpose",
    ),
    "consent_given": Truth(
        "Customers who consent when they sign up",
        lambda truth: truth["consents"]["given_at_sign_up"],
        "percent",
        "the chance of each; yours is what was drawn",
    ),
    "refund_share": Truth(
        "Share of sales that is refunded",
        lambda truth: truth["refunds"]["share_of_revenue"],
        "percent",
        "with refunds that are still to come",
    ),
    "value_365": Truth(
        "Margin per customer by day 365",
        lambda truth: truth["ltv"]["as_run"]["age_365"]["margin"],
        "money",
        "of all lines; some lines in the files lack their cost",
    ),
    "weakest": Truth(
        "Paid channel whose customers buy at the slowest pace",
        lambda truth: _pace(truth, slowest=True),
        "word",
        "while they are active; your answer is value over cost, of which pace is one part",
    ),
    "orders_year": Truth(
        "Orders per customer by day 365",
        lambda truth: truth["ltv"]["as_run"]["age_365"]["orders"],
        "ratio",
        "the mean of very many customers like these",
    ),
    "most_loyal": Truth(
        "Channel whose customers buy at the fastest pace",
        lambda truth: _pace(truth, slowest=False),
        "word",
    ),
    "alive": Truth(
        "Customers still active", lambda truth: truth["next_12_months"]["alive"], "count",
        "those who had not left on the day; the simulator knows",
    ),
    "orders_ahead": Truth(
        "Orders of today's customers in the next year",
        lambda truth: truth["next_12_months"]["orders"],
        "count",
        "given each one's hidden pace; chance may still move it",
    ),
    "margin_ahead": Truth(
        "Their margin", lambda truth: truth["next_12_months"]["margin"], "money",
        "not discounted, before cost to serve; yours has last year's value of an order",
    ),
    "effect": Truth(
        "Margin that the voucher adds", _effect("winback", "voucher"), "money",
        "yours has an interval: does it hold this?",
    ),
    "net_gain": Truth("What is left after its cost", _net, "money"),
    "flash": Truth(
        "Margin that the flash sale adds", _effect("flash_sale", "flash"), "money",
        "it only moves orders to an earlier day, at a discount",
    ),
    "naive_loyalty": Truth(
        "Margin that the loyalty letter adds", _effect("loyalty_mail", "mailed"), "money",
        "the rest of the difference is who was chosen",
        task="loyalty",
    ),
    "season": Truth(
        "Season of buying in June",
        _june,
        "ratio",
        "of customers at hand; how many new ones come has a season of its own",
    ),
    "on_year": Truth(
        "Growth in a year: your revenue, the simulator's new customers",
        lambda truth: truth["acquisition"]["growth_per_year"],
        "percent",
        "revenue also grows with those who stay, and by luck",
    ),
}  # fmt: skip


def truth_of(study: Study) -> dict[str, Any]:
    """Read the truth of a simulated shop. Raises UsageError where there is none."""
    path = study.shop.folder / "truth.toml"
    if not path.is_file():
        raise UsageError(
            f"The shop '{study.shop.name}' has no truth.toml: only a simulated shop's true numbers "
            "are known. Use the shop 'sample'."
        )
    return tomllib.loads(path.read_text(encoding="utf-8"))


def beside_truth(study: Study, answers: Mapping[str, Any]) -> pd.DataFrame:
    """Set answers beside what the simulator did, one row each; an open answer keeps it closed.

    Columns: what, yours, simulator, difference (yours less the simulator's, in the same unit),
    mind. Raises UsageError for an answer whose truth is not known.
    """
    unknown = sorted(set(answers) - set(TRUTHS))
    if unknown:
        raise UsageError(
            f"The simulator has no true value for '{unknown[0]}'. Known: {', '.join(TRUTHS)}."
        )
    truth, rows = truth_of(study), []
    for name, given in answers.items():
        known = TRUTHS[name]
        if given is ...:
            rows.append((known.what, "open", "answer first", "", ""))
            continue
        value = known.find(truth)
        given = given if isinstance(given, str) else one_number(given)
        if known.unit == "word":
            rows.append((known.what, given, str(value), "", known.mind))
            continue
        write = by_unit(known.unit, study.currency)
        both = alike(write, [given, float(value)])
        apart = write(given - float(value))
        if known.unit == "percent":
            apart = f"{fixed(100 * (given - float(value)), 1)} points"
        rows.append((known.what, *both, apart, known.mind))
    return pd.DataFrame(rows, columns=["what", "yours", "simulator", "difference", "mind"])
