"""Where money might work harder: next month's spend by channel, and what is kept for testing."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import trial_costs
from helpers.measures.cac import TEST_HIGH, TEST_LOW, share_for_tests
from helpers.measures.cohorts import left_truncated
from helpers.measures.economics import unit_economics
from helpers.measures.metrics import money_basis
from helpers.show import count, label, percent
from helpers.study import Study


def scenario(
    study: Study,
    acquisition: pd.DataFrame,
    cohort_ages: pd.DataFrame,
    periods: pd.DataFrame,
    *,
    horizon: int = 365,
) -> pd.DataFrame:
    """Divide the month's spend anew by what a channel's customers earn over their cost.

    One row per channel with spend this month: channel, spend, share, cac, ltv, ltv_low, ltv_high,
    surplus (ltv - cac), suggested_share (surplus where above zero / sum of these), suggested (the
    same money). Suggested columns are missing where a channel's value is not known; it keeps its
    spend. A channel with fewer new customers than may be shown is left out. LTV and cost are of
    the months whose customers have reached ``horizon`` days, not of this month alone.
    """
    columns = ["channel", "spend", "share", "cac", "ltv", "ltv_low", "ltv_high", "surplus",
               "suggested_share", "suggested"]  # fmt: skip
    truncated = left_truncated(
        cohort_ages["cohort"],
        history_starts_at=study.history_starts_at,
        opened_at=study.shop.opened_at,
    )
    value = money_basis(periods)
    options = {"as_of": study.end, "horizon": horizon, "value": value}
    options |= {"left_truncated": truncated, "min_cell": study.shop.privacy.min_cell}
    table = unit_economics(acquisition, cohort_ages, **options)
    if table.empty:
        return pd.DataFrame(columns=columns)
    month = acquisition[acquisition["start"] == pd.Timestamp(study.start)]
    spend = month.groupby("channel")["cost"].sum()
    enough = table[table["new_customers"] >= study.shop.privacy.min_cell]
    rows = enough.join(spend.rename("spend"), how="inner")
    rows = rows[rows["spend"] > 0].rename_axis("channel").reset_index()
    surplus = rows["ltv"] - rows["cac"]
    worth = surplus.clip(lower=0)
    movable = rows["spend"].where(surplus.notna()).sum()
    divided = worth / worth.sum() if worth.sum() > 0 else worth * np.nan
    suggested = (divided * movable).where(surplus.notna())
    total = rows["spend"].sum()
    rows = rows.assign(
        share=rows["spend"] / total, surplus=surplus, suggested=suggested,
        suggested_share=suggested / total,
    )  # fmt: skip
    return rows.sort_values("channel", ignore_index=True)[columns]


def sentence(study: Study, table: pd.DataFrame, horizon: int) -> str:
    """Say what the scenario would move, and why it is no more than a scenario."""
    if table.empty:
        return (
            "No spend of this month can be set against what its customers earn. A table "
            "marketing_spend (channel, starts_at, cost) turns this on."
        )
    if not table["suggested"].notna().any():
        return (
            f"No channel's customers have yet been followed for {count(horizon)} days and earned "
            "more than they cost, so no other division can be argued for."
        )
    move = table["suggested"] - table["spend"]
    up, down = table.loc[move.idxmax()], table.loc[move.idxmin()]
    if abs(move).max() < 0.5:
        return "Spend already lies as the surplus per customer would divide it."
    return (
        f"By surplus per customer, {study.money(move.max())} would go to {label(up['channel'])} "
        f"and {study.money(-move.min())} come from {label(down['channel'])}. Read it as a "
        "scenario: the next customer costs more than the average one did, and channels help each "
        "other. Move a little, as a test, and read the effect on the value of customers, not on "
        "their number."
    )


def tests_sentence(study: Study) -> str:
    """Say what share of the month's marketing money went into tests, against the usual guide."""
    plan, spend = (summaries.load(study, name) for name in ("planned_months", "spend_months"))
    share = share_for_tests(trial_costs.by_month(study), plan, spend, study.month)
    if share.reason:
        return f"What share of marketing goes into tests cannot be said: {share.reason}"
    low, high = (percent(each, 0) for each in (TEST_LOW, TEST_HIGH))
    if not share.cost:
        return (
            "No test took money this month, so nothing of its budget was spent on learning; "
            f"{low} to {high} is often set aside for it."
        )
    word = "within"
    if not TEST_LOW <= share.share <= TEST_HIGH:
        word = "below" if share.share < TEST_LOW else "above"
    return (
        f"Tests cost {study.money(share.cost)} this month, {percent(share.share)} of the "
        f"{share.of} of {study.money(share.base)}: {word} the {low} to {high} that is often set "
        "aside for them. What a test costs is what it declares, not what its offers gave away."
    )
