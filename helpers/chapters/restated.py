"""Why a month's figures are no longer those that were published, taken apart to the cent.

The record of a published month keeps its sums as they were then. Held against the same month as it
is known now: what came in late, what was given back since, and what the files or the code now say
otherwise about days that were already known.
"""

import json
from functools import partial

import numpy as np
import pandas as pd

from helpers import records, summaries
from helpers.contract.conversions import minor_digits
from helpers.persons import keys as persons
from helpers.study import Study

MEASURES = ("revenue", "margin", "refunds", "orders")
STEPS = {
    "published": "As published",
    "late": "Late: rows known only since",
    "refunds": "Refunds booked since",
    "restated": "Restated: the files now say otherwise",
    "definitions": "Definitions: code or settings changed",
    "rest": "Rest: cannot be told apart",
    "now": "As known now",
}


def facts(study: Study, known: pd.DataFrame) -> dict[str, object]:
    """Give what a later month needs of this one: its sums, and digests of what they came from.

    ``known`` is the summary `known_months`. ``files`` stands for the content of the files
    and who is forgotten, ``definitions`` for the code and the settings.
    """
    settings = {**study.shop.settings(), "core_metric": ""}
    meant = [summaries.code_digest(), json.dumps(settings, sort_keys=True, default=str)]
    return {
        "sums": dict(zip(MEASURES, _sums(study, known, study.month), strict=True)),
        "files": _short([study.info.contents, persons.state(study.shop)]),
        "definitions": _short(meant),
    }


def _short(value: object) -> str:
    return records.digest(value)[:16]


def _sums(study: Study, known: pd.DataFrame, month: str, *, until: str = "") -> list[float]:
    """Add up a month, of all that is known or of what was known by the end of ``until``."""
    rows = known[known["start"] == pd.Timestamp(f"{month}-01")]
    if until:
        rows = rows[rows["known"] <= pd.Timestamp(f"{until}-01")]
    digits = minor_digits(study.currency)
    return [round(float(rows[name].sum()), digits if name != "orders" else 0) for name in MEASURES]


def bridge(study: Study, known: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Lead from the month before as it was published to the same month as it is known now.

    One row per step of ``STEPS`` (step, revenue, margin, refunds, orders), which add up to the
    minor unit; the second value is the reason where there is no table. Refunds booked since are
    known by their day, late rows by ``known_at``. What is left is a difference on rows that were
    known then: restated where only the files changed since, definitions where only code or
    settings did, and rest where both did, because then the two cannot be told apart.
    """
    month = records.shift_month(study.month, -1)
    if f"{month}-01" < f"{study.history_starts_at:%Y-%m-01}":
        return _empty(), f"The history does not reach back to {month}."
    found = records.published_records(study.shop.name, month).get("06_monthly_scorecard", {})
    then = found.get("extra", {}).get("month_facts")
    if not found:
        return _empty(), (
            f"{month} was not published, so there is nothing to compare with. Once every month is "
            "published in turn, the change since stands here."
        )
    if not then or set(then.get("sums", {})) != set(MEASURES):
        return _empty(), f"{month} was published before these sums were kept; publish it again."
    if found.get("currency", study.currency) != study.currency:
        return _empty(), (
            f"{month} was published in {found['currency']} and the shop now counts in "
            f"{study.currency}, so the amounts cannot be compared."
        )
    return _steps(study, known, month, then), ""


def _steps(study: Study, known: pd.DataFrame, month: str, then: dict) -> pd.DataFrame:
    units = np.array([10 ** minor_digits(study.currency)] * 3 + [1])

    def whole(values: list) -> np.ndarray:
        return np.round(np.array(values, dtype=float) * units).astype("int64")

    since = known[known["known"] > pd.Timestamp(f"{month}-01")]
    published = whole([then["sums"][name] for name in MEASURES])
    now = whole(_sums(study, known, month))
    late = whole(_sums(study, since[~since["is_refund"]], month))
    refunds = whole(_sums(study, since[since["is_refund"]], month))
    left = now - published - late - refunds
    today = facts(study, known)
    changed = [then.get(key) != today[key] for key in ("files", "definitions")]
    place = {(True, False): "restated", (False, True): "definitions"}.get(tuple(changed), "rest")
    none = np.zeros(4, dtype="int64")
    steps = {"published": published, "late": late, "refunds": refunds, "restated": none,
             "definitions": none, "rest": none, "now": now} | {place: left}  # fmt: skip
    rows = [(STEPS[name], *(steps[name] / units)) for name in STEPS]
    return pd.DataFrame(rows, columns=["step", *MEASURES])


def formats(study: Study) -> dict[str, object]:
    """Say how the bridge is written: money to the minor unit, since it adds up to that."""
    exact = partial(study.money, digits=minor_digits(study.currency))
    return dict.fromkeys(MEASURES[:3], exact)


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=["step", *MEASURES])


def sentence(study: Study, table: pd.DataFrame, reason: str) -> str:
    """Say by how much last month's revenue moved since it was published, and mostly why."""
    if reason:
        return reason
    month = records.shift_month(study.month, -1)
    rows = table.set_index("step")
    published, now = rows.loc[STEPS["published"]], rows.loc[STEPS["now"]]
    steps = rows.drop(index=[STEPS["published"], STEPS["now"]])
    if not steps.to_numpy(dtype=float).any():
        return f"{month} stands as it was published, to the cent."
    digits = minor_digits(study.currency)
    change, money = now["revenue"] - published["revenue"], study.money
    name = steps["revenue"].abs().idxmax()
    if not steps["revenue"].any():
        return f"The revenue of {month} stands as published; margin, refunds or orders moved."
    text = (
        f"The revenue of {month} was published as {money(published['revenue'])} and is now "
        f"{money(now['revenue'])}: {_signed(change, money, digits)}. Most of it: {name[0].lower()}"
        f"{name[1:]} ({_signed(steps.loc[name, 'revenue'], money, digits)})."
    )
    if steps.loc[STEPS["rest"]].any():
        text += (
            " Files and code both changed since, so the rest cannot be divided between them: run "
            "the earlier month again with today's code to see which it was."
        )
    return text


def _signed(amount: float, money, digits: int) -> str:
    text = money(amount, digits)
    return text if text.startswith("-") else f"+{text}"
