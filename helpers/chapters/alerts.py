"""Alerts: rules with bounds from shop.toml, what was found, and the next action of each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.chapters import scorecard
from helpers.contract import goals
from helpers.show import by_unit, is_missing, label, percent
from helpers.study import Study

ALERT, FINE, OFF, UNKNOWN = "alert", "fine", "off", "not known"


@dataclass(frozen=True)
class Found:
    """What a rule looks at: its value, what it is in words, and why there is none."""

    value: float
    text: str
    unknown: str = ""


def check(
    study: Study,
    *,
    periods: pd.DataFrame,
    figures: pd.DataFrame,
    consent: pd.DataFrame,
    days: pd.DataFrame,
    target: float,
) -> pd.DataFrame:
    """Hold the month against every rule of [alerts].

    One row per rule: rule, bound, value, state (alert, fine, off, not known), text (what was
    found) and action (what to do next if it speaks). ``days`` are those of the core metric's
    chart, ``figures`` those of all notebooks, ``consent`` the summary `consent_coverage`.
    """
    months = scorecard.by_period(study, periods, "month", 13).set_index("start")
    found = {
        "core_below_target": _core(study, periods, days, target),
        "refund_rate": _refunds(months),
        "margin_coverage": _coverage(study, months),
        "new_customers_drop": _new_customers(months),
        "set_aside": _set_aside(figures),
        "forecast_bias": _bias(figures),
        "consent_share": _consent(study, consent),
    }
    rows = []
    for rule in goals.RULES:
        each, bound = found[rule], getattr(study.shop.alerts, rule)
        state = FINE
        if rule in study.shop.alerts.off:
            state = OFF
        elif is_missing(each.value):
            state = UNKNOWN
        elif each.value < bound if rule in _BELOW else each.value > bound:
            state = ALERT
        rows.append((rule, bound, each.value, state, each.text or each.unknown, ACTIONS[rule]))
    return pd.DataFrame(rows, columns=["rule", "bound", "value", "state", "text", "action"])


# These speak when the value is too low, the others when it is too high.
_BELOW = ("margin_coverage", "consent_share")
ACTIONS = {
    "core_below_target": "see in 02 which of orders, order value and margin fell, and on which "
    "days in the chart",
    "refund_rate": "look for the products and channels that were sent back, before more is sold",
    "margin_coverage": "have the missing costs of goods filled in; until then margin and LTV rest "
    "on part of the sales",
    "new_customers_drop": "compare spend and cost per new customer by channel in 02, then the "
    "landing pages and stock of the channel that fell",
    "set_aside": "open the rules table of 01 and mend the export that the largest fault comes from",
    "forecast_bias": "do not plan with the forecast of 04 as it is; see there which customers it "
    "misjudges, and whether the season explains it",
    "consent_share": "ask for consent where customers order, and send to those who gave it only",
}
_TITLES = {
    "core_below_target": "Core metric below target",
    "refund_rate": "Refund rate",
    "margin_coverage": "Margin coverage",
    "new_customers_drop": "New customers against last year",
    "set_aside": "Set aside as faulty",
    "forecast_bias": "Forecast on held-out months",
    "consent_share": "Share with consent",
}


def _core(study: Study, periods: pd.DataFrame, days: pd.DataFrame, target: float) -> Found:
    name = scorecard.core_name(study, periods)
    text = by_unit(scorecard.core_unit(name), study.currency)
    mean, aimed = days["value"].mean(), days["target"].mean()
    if is_missing(target) or not target > 0:
        return Found(np.nan, "", "no target above zero is set for this metric")
    return Found(
        1 - mean / aimed,
        f"{scorecard.core_label(name)} was {text(mean)} against a target of {text(aimed)}",
    )


def _refunds(months: pd.DataFrame) -> Found:
    """Take the higher of this month's rate and that of the month before, which is more settled."""
    last = months["refund_rate"].tail(2).dropna()
    if last.empty:
        return Found(np.nan, "", "no sales in these months")
    month = last.idxmax()
    return Found(last.max(), f"{percent(last.max())} of the sales of {month:%B %Y} were given back")


def _coverage(study: Study, months: pd.DataFrame) -> Found:
    value = months["margin_coverage"].iloc[-1]
    if study.shop.margin.rule == "none" or is_missing(value):
        return Found(np.nan, "", "no margin rule, or no revenue")
    if not months["margin_coverage"].gt(0).any():
        return Found(np.nan, "", "no order has a cost, so the shop is judged by revenue")
    return Found(value, f"the cost is known for {percent(value)} of the month's revenue")


def _new_customers(months: pd.DataFrame) -> Found:
    now = months.index[-1]
    before = now - pd.DateOffset(months=12)
    if before not in months.index or not months.loc[before, "complete"]:
        return Found(np.nan, "", f"the history does not hold the whole of {before:%B %Y}")
    then, new = months.loc[before, "new_customers"], months.loc[now, "new_customers"]
    if not then > 0:
        return Found(np.nan, "", f"{before:%B %Y} had no new customers")
    return Found(1 - new / then, f"{new:,.0f} new customers against {then:,.0f} in {before:%B %Y}")


def _set_aside(figures: pd.DataFrame) -> Found:
    """Take the larger of the shares of lines and of money: what cannot be read has no amount."""
    rows = {
        what: scorecard.figure(figures, "Data", name)
        for what, name in (("money", "revenue_set_aside"), ("order lines", "rows_set_aside"))
    }
    known = {
        what: row["value"]
        for what, row in rows.items()
        if row is not None and not is_missing(row["value"])
    }
    if not known:
        return Found(np.nan, "", "no record of 01 for this month")
    what = max(known, key=known.get)
    verb = "were" if what[-1] == "s" else "was"
    return Found(known[what], f"{percent(known[what])} of the {what} {verb} set aside")


def _bias(figures: pd.DataFrame) -> Found:
    row = scorecard.figure(figures, "Forecast", "holdout_bias")
    if row is None or is_missing(row["value"]):
        return Found(np.nan, "", "04 could not check its forecast, or has no record")
    way = "below" if row["value"] < 0 else "above"
    text = f"the forecast was {percent(abs(row['value']))} {way} what then happened"
    return Found(abs(row["value"]), text)


def _consent(study: Study, consent: pd.DataFrame) -> Found:
    """Take the purpose with the lowest share of customers who have consented."""
    if not study.has("consents") or consent.empty:
        return Found(np.nan, "", "no table consents")
    every = consent.groupby("purpose")["customers"].sum()
    every = every[every >= study.shop.privacy.min_cell]
    if every.empty:
        return Found(np.nan, "", "too few customers to show")
    granted = consent[consent["state"] == "granted"].groupby("purpose")["customers"].sum()
    share = granted.reindex(every.index, fill_value=0) / every
    name = share.idxmin()
    return Found(share.min(), f"{percent(share.min())} of customers consent to {name}")


def written(table: pd.DataFrame) -> pd.DataFrame:
    """Write the rules out, those that speak first: rule, state, found, bound, next action."""
    order = {ALERT: 0, FINE: 1, UNKNOWN: 2, OFF: 3}
    rows = table.assign(place=table["state"].map(order)).sort_values("place", kind="stable")
    side = rows["rule"].isin(_BELOW).map({True: "below ", False: "above "})
    acts = rows["action"].where(rows["state"] == ALERT, "")
    return pd.DataFrame({
        "rule": rows["rule"].map(_TITLES), "state": rows["state"],
        "found": rows["text"], "speaks": side + rows["bound"].map(percent), "next": acts,
    }).reset_index(drop=True)  # fmt: skip


def texts(table: pd.DataFrame) -> list[str]:
    """Give a sentence per alert, with its next action, for the month's first page."""
    speaking = table[table["state"] == ALERT]
    return [
        f"{_TITLES[row.rule]}: {row.text} (speaks {'below' if row.rule in _BELOW else 'above'} "
        f"{percent(row.bound)}). Next: {row.action}."
        for row in speaking.itertuples()
    ]


def speaking(table: pd.DataFrame) -> str:
    """Say how many of the rules that could be checked speak, and which."""
    found, checked = table[table["state"] == ALERT], int((table["state"] != UNKNOWN).sum())
    if not checked:
        return f"None of the {len(table)} rules could be checked."
    if checked < len(table):
        rules = f"the {checked} of {len(table)} rules that could be checked"
    else:
        rules = f"the {len(table)} rules"
    if found.empty:
        return f"None of {rules} speaks."
    names = ", ".join(_TITLES[rule].lower() for rule in found["rule"])
    return f"{len(found)} of {rules} speak{'s' * (len(found) == 1)}: {names}."


def unchecked(table: pd.DataFrame) -> list[str]:
    """Name the rules that could not be checked, each with why, for the month's first page."""
    mute = table[table["state"] == UNKNOWN]
    return [f"{_TITLES[row.rule].lower()}: {row.text}" for row in mute.itertuples()]


def sentence(table: pd.DataFrame) -> str:
    """Say how many rules speak, and which cannot."""
    mute = [label(text, 160) for text in unchecked(table)]
    return speaking(table) + (f" Not checked: {'; '.join(mute)}." if mute else "")
