"""What became of what was sent, and of checkouts: e-mails, webinars, touches, carts, referrals.

Frames of summaries in, frames out. Every share names what it is a share of.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.measures.metrics import (
    Estimate,
    design_effect,
    mean_interval,
    ratio_interval,
    wilson,
)
from helpers.measures.withheld import withhold
from helpers.summaries.responses import FLAGS

# Opening says little (mail programs open by themselves), a click is meant, attending costs time.
WEIGHTS = {"opened": 0.2, "clicked": 0.5, "attended": 0.3}
_MAILS = ["sent", "arrived", "delivered_known", "opened", "clicked", "unsubscribed"]
_MAILS += ["opened_known", "clicked_known", "unsubscribed_known", "ripe", "buyers", "revenue"]
_MAILS += ["revenue_squares", "revenue_cubes"]
# Products do not add up over rows that share customers, so what is withheld has none.
_ALIKE = ["revenue_revenue", "revenue_ripe", "ripe_ripe", "arrived_arrived"]
_ALIKE += [f"{a}_{b}" for a in FLAGS for b in (a, "arrived")]
_FUNNEL = ["mail", "sent", "of", "delivered", "opened", "clicked", "clicked_low", "clicked_high"]
_FUNNEL += ["unsubscribed", "unsubscribed_low", "unsubscribed_high"]
_FUNNEL += ["revenue_each", "revenue_low", "revenue_high", "ripe"]


def mail_funnel(mails: pd.DataFrame, *, least: int = 10) -> pd.DataFrame:
    """Follow e-mails by campaign and step: delivered, opened, clicked, unsubscribed, revenue.

    One row each, most messages first: mail (campaign, and step where it has several), sent, of
    (what the shares are of: delivered messages, or sent ones where delivery is not recorded),
    delivered (share of sent), opened, clicked, unsubscribed (shares of delivered; missing where
    not recorded; clicked and unsubscribed with Wilson's ..._low, ..._high), revenue_each (last
    touch within 14 days / messages that old, with revenue_low, revenue_high), ripe. Opens are
    inflated by mail programs: for diagnosis only. Rows of few customers stand together. Intervals
    are those of customers drawn, who may have had a step's mail more than once.
    """
    if mails.empty:
        return pd.DataFrame(columns=_FUNNEL)
    named = mails.assign(
        campaign=mails["campaign_id"].fillna("not named"), step=mails["step"].fillna(0)
    )
    counts = ["customers", *_MAILS, *_ALIKE]
    sums = named.groupby(["campaign", "step"])[counts].sum().reset_index()
    sums = sums.assign(mail=_names(sums))
    sums = sums.sort_values(["sent", "mail"], ascending=[False, True], ignore_index=True)
    sums = sums[["mail", *counts]]
    table = withhold(sums, persons="customers", sums=_MAILS, key="mail", least=least)
    return _shares(table.astype(dict.fromkeys(counts, "float64")))


def _names(rows: pd.DataFrame) -> pd.Series:
    several = rows.groupby("campaign")["step"].transform("size") > 1
    steps = rows["campaign"] + ", step " + rows["step"].astype(int).astype(str)
    return rows["campaign"].where(~several, steps)


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    known = table["delivered_known"] == table["sent"]
    found = {
        "mail": table["mail"], "sent": table["sent"],
        "of": np.where(known, "delivered", "sent"),
        "delivered": (table["arrived"] / table["sent"]).where(known),
    }  # fmt: skip
    for name in FLAGS:
        below = table["arrived"].where(table[f"{name}_known"] > 0)
        # An answer of a message that did not arrive belongs to a faulty export, not to a share.
        design = design_effect(table, name, "arrived")
        share = wilson(np.minimum(table[name], below), below.fillna(0), design=design)
        found[name] = share.value
        if name != "opened":
            found |= {f"{name}_low": share.low, f"{name}_high": share.high}
    money = mean_interval(
        table["revenue"], table["revenue_squares"], table["ripe"], cubes=table["revenue_cubes"]
    )
    names = ("revenue", "ripe", "revenue_revenue", "ripe_ripe", "revenue_ripe", "customers")
    drawn = ratio_interval(*(table[name] for name in names))
    wider = np.where(table["ripe_ripe"].isna(), np.nan, np.fmax(drawn.se / money.se, 1))
    low, high = (money.value + (end - money.value) * wider for end in (money.low, money.high))
    found |= {"revenue_each": money.value, "revenue_low": low, "revenue_high": high}
    return pd.DataFrame(found | {"ripe": table["ripe"]})


def webinar_funnel(webinars: pd.DataFrame, *, least: int = 10) -> pd.DataFrame:
    """Follow webinars: invited, attended, and orders in the 30 days after by who attended.

    One row per webinar: webinar, invited, attendance (attended / invited; low, high), bought
    (buyers / attended whose 30 days are over; bought_low, bought_high) and bought_absent (the same
    of those invited who stayed away): the two differ by who comes, so it is no effect.
    """
    columns = ["invited", "attended", "ripe_attended", "ripe_absent"]
    columns += ["bought_attended", "bought_absent"]
    rows = webinars.assign(webinar=webinars["campaign_id"].fillna("not named"))
    rows = rows[["webinar", *columns]].sort_values("webinar", ignore_index=True)
    rows = withhold(rows, persons="invited", sums=columns[1:], key="webinar", least=least)
    seen = wilson(rows["attended"], rows["invited"].astype(float).fillna(0))
    shares = {}
    for name, who in (("bought", "attended"), ("bought_absent", "absent")):
        below = rows[f"ripe_{who}"].astype(float)
        share = wilson(rows[f"bought_{who}"], below.where(below >= least, 0))
        shares[name] = share.value
        shares |= {f"{name}_low": share.low, f"{name}_high": share.high}
    return rows[["webinar", "invited"]].assign(
        attendance=seen.value, low=seen.low, high=seen.high, **shares
    )


def touches_of(touch_months: pd.DataFrame, month: str, *, least: int = 10) -> pd.DataFrame:
    """Count customers of the month by the touches they had: touches, customers, share.

    Only customers with a touch; numbers of touches that few had stand together.
    """
    rows = touch_months[pd.to_datetime(touch_months["start"]) == pd.Timestamp(f"{month}-01")]
    rows = rows.sort_values("touches")[["touches", "customers"]]
    everyone = rows["customers"].sum()
    rows = rows.assign(touches=rows["touches"].astype(int).astype(str))
    table = withhold(rows, persons="customers", sums=[], key="touches", least=least)
    return table.assign(share=table["customers"] / everyone).reset_index(drop=True)


def touches_each(touch_months: pd.DataFrame, *, least: int = 10) -> pd.DataFrame:
    """Give touches per customer with a touch by month: start, customers, touches, each.

    ``each`` is missing in months with fewer than ``least`` customers.
    """
    rows = touch_months.assign(total=touch_months["touches"] * touch_months["customers"])
    sums = rows.groupby("start")[["customers", "total"]].sum().reset_index()
    sums = sums.rename(columns={"total": "touches"})
    customers = sums["customers"].where(sums["customers"] >= max(least, 1))
    return sums.assign(each=sums["touches"] / customers)


def tired(fatigue: pd.DataFrame, *, least: int = 10) -> pd.DataFrame:
    """Give the unsubscribe rate by touches in the 30 days up to a message.

    unsubscribed / messages with Wilson's interval for customers drawn, who have several messages:
    touches (8 is 8 or more), messages, unsubscribed, rate, low, high. Rows of few customers stand
    together, without an interval.
    """
    sums = ["messages", "unsubscribed"]
    rows = fatigue.sort_values("touches")
    rows = rows.assign(touches=rows["touches"].astype(int).astype(str))
    rows = withhold(rows, persons="customers", sums=sums, key="touches", least=least)
    design = design_effect(rows, "unsubscribed", "messages")
    share = wilson(rows["unsubscribed"], rows["messages"].astype(float).fillna(0), design=design)
    table = rows[["touches", *sums]]
    table = table.assign(rate=share.value, low=share.low, high=share.high)
    return table.reset_index(drop=True)


def engaged(
    engagement: pd.DataFrame,
    dimension: str = "channel",
    *,
    weights: dict[str, float] | None = None,
    least: int = 10,
) -> pd.DataFrame:
    """Score how segments (channels, or value tiers) take part in what they are sent.

    score = weighted mean of z over the signals that at least two segments have: share opened and
    clicked of e-mails that arrived, share attended of webinars and calls; z = (share - share of all
    segments together) / standard deviation between segments. Weights (``WEIGHTS``) of missing
    signals are spread over the others; visits to the shop are in no table of the contract. One row
    per segment: value, customers, opened, clicked, attended, score, low, high (customers are drawn,
    each with all signals; the spread between segments counts as known). Never of one customer;
    segments of few are left out.
    """
    weights = WEIGHTS if weights is None else weights
    rows = engagement[engagement["dimension"] == dimension]
    rows = rows[rows["customers"] >= max(least, 1)].sort_values("value", ignore_index=True)
    table, score, used, parts = rows[["value", "customers"]].copy(), 0.0, 0.0, []
    below = {"opened": ("arrived", "opened_known"), "clicked": ("arrived", "clicked_known")}
    below["attended"] = ("asked", "asked")
    for name, weight in weights.items():
        base, known = (rows[column].astype(float) for column in below[name])
        base = base.where((known > 0) & (base >= least))
        share = (rows[name] / base).clip(upper=1)
        table[name] = share
        spread = share.std()
        if share.notna().all() and len(share) > 1 and spread > 0:
            pooled = rows[name].sum() / base.sum()
            score = score + weight * (share - pooled) / spread
            used += weight
            # What one customer adds to the score: so much x (signals - share x messages).
            each = weight / spread / base
            parts += [(each, name), (-each * share, below[name][0])]
    if not used:
        return table.assign(score=np.nan, low=np.nan, high=np.nan)
    variance = sum(a * b * _product(rows, x, y) for a, x in parts for b, y in parts)
    groups = rows["customers"]
    se = np.sqrt(variance.clip(lower=0) * groups / (groups - 1).clip(lower=1)) / used
    half = stats.t.ppf(0.975, (groups - 1).clip(lower=1)) * se
    table = table.assign(score=score / used, low=score / used - half, high=score / used + half)
    return table.sort_values(["score", "value"], ascending=[False, True], ignore_index=True)


def _product(rows: pd.DataFrame, one: str, other: str) -> pd.Series:
    """Give the sum over customers of one x other, under whichever of both names it stands."""
    name = f"{one}_{other}"
    return rows[name if name in rows else f"{other}_{one}"].astype(float)


_CART_SHARES = [f"{a}{b}" for a in ("abandonment", "recovery") for b in ("", "_low", "_high")]
_CART_SHARES += ["without_order"]
_CARTS = ["started", "abandoned", "ripe", "without_order", "recovered"]
_PRODUCTS = ["abandoned_abandoned", "abandoned_started", "started_started"]
_PRODUCTS += ["recovered_recovered", "recovered_ripe", "ripe_ripe"]


def checkouts_by(
    checkouts: pd.DataFrame, by: str = "cart_flow", *, least: int = 10
) -> pd.DataFrame:
    """Give abandonment and recovery of checkouts by ``cart_flow``, or by month (``start``).

    abandonment = checkouts without an order within an hour / checkouts started; recovery = those
    ordered within 30 days / abandoned that are 30 days old or more; without_order = checkouts
    without any order so far / started. Shares with Wilson's intervals for customers drawn, who may
    have several checkouts. Small flows stand together, without an interval; in months of few
    customers shares are missing, as is recovery of months that are too young.
    """
    if checkouts.empty:
        return pd.DataFrame(columns=[by, *_CARTS[:3], "recovered", *_CART_SHARES])
    counts = [*_CARTS, *_PRODUCTS]
    sums = checkouts[checkouts["dimension"] == by].sort_values(by, ignore_index=True)
    sums = sums[[by, "customers", *counts]].astype(dict.fromkeys(counts, "float64"))
    if by == "start":
        few = sums["customers"] < least
        table = sums.assign(**{name: sums[name].mask(few) for name in counts})
    else:
        table = withhold(sums, persons="customers", sums=_CARTS, key=by, least=least)
    alike = design_effect(table, "abandoned", "started")
    left = wilson(table["abandoned"], table["started"].fillna(0), design=alike)
    alike = design_effect(table, "recovered", "ripe")
    back = wilson(table["recovered"], table["ripe"].fillna(0), design=alike)
    lost = wilson(table["without_order"], table["started"].fillna(0))
    return table[[by, "started", "abandoned", "ripe", "recovered"]].assign(
        abandonment=left.value, abandonment_low=left.low, abandonment_high=left.high,
        recovery=back.value, recovery_low=back.low, recovery_high=back.high,
        without_order=lost.value,
    )  # fmt: skip


def referral_share(
    referrals: pd.DataFrame, month: str, *, months: int = 12, least: int = 10
) -> dict[str, Estimate]:
    """Give the share of new customers who were referred, and who are loyalty members.

    Of new customers of the last ``months`` who have a row in customers (for members: whose
    membership is recorded). A table without any referral at all says nothing: missing, as are
    shares of fewer than ``least`` customers.
    """
    last = pd.Timestamp(f"{month}-01")
    start = pd.to_datetime(referrals["start"])
    rows = referrals[(start <= last) & (start > last - pd.DateOffset(months=months))]
    found = {}
    for name, below in (("referred", "on_file"), ("members", "stated")):
        n, k = int(rows[below].sum()), int(rows[name].sum())
        if not n or not referrals[name].sum():
            column = "referred_by" if name == "referred" else "loyalty_member"
            reason = f"Not recorded: a column {column} of customers would say."
            found[name] = Estimate(np.nan, np.nan, np.nan, n, reason)
            continue
        if n < least:
            found[name] = Estimate(np.nan, np.nan, np.nan, n, "Too few new customers.")
            continue
        share = wilson(k, n)
        found[name] = Estimate(float(share.value), float(share.low), float(share.high), n)
    return found
