"""Who will stay: retention carried on from orders or, where customers hold them, from contracts."""

import pandas as pd

from helpers import summaries
from helpers.chapters import findings_projection
from helpers.chapters.projection_tables import continued, horizons, projected
from helpers.errors import DataError
from helpers.measures.cohorts import Triangle
from helpers.models import sbg
from helpers.models.projection import HORIZON_MONTHS
from helpers.show import count, percent
from helpers.study import Study
from helpers.written import alike

NO_CONTRACTS = (
    "No contracts are recorded. A table subscriptions (subscription_id, customer_id, started_at, "
    "ended_at) turns this on."
)
DISCOUNT = 0.1  # a year, effective: what a renewal to come counts


def staying(study: Study, retention: Triangle) -> tuple[pd.DataFrame, str]:
    """Carry on how many of each cohort stay, and say what was found or why nothing was.

    A shop whose business_model is contractual tells it from its contracts (sBG); any other from
    orders. Rows: cohort, 12 months, 24 months, 36 months, in words; the newest first.
    """
    if study.shop.business_model == "contractual":
        return contract_cohorts(study)
    ahead, reason = projected(study, retention)
    found = findings_projection.continued(
        ahead, continued(ahead, retention, most=len(retention.sizes)), reason, "retention", percent
    )
    return horizons(ahead, percent), found.sentence


def contract_cohorts(study: Study) -> tuple[pd.DataFrame, str]:
    """Carry the contracts that began in each month on to three years, by renewals.

    Rows: cohort (month in which contracts began), contracts, then the share that outlives 12, 24
    and 36 periods in words; cohorts of fewer contracts than may be shown are left out.
    """
    columns = ["cohort", "contracts", *(f"{number} months" for number in HORIZON_MONTHS)]
    fit, rows, reason = _fitted(study)
    if fit is None:
        return pd.DataFrame(columns=columns), reason
    sizes = rows.groupby("cohort")["n"].sum()
    large = sizes[sizes >= study.shop.privacy.min_cell].index
    table = sbg.project_cohorts(fit, rows[rows["cohort"].isin(large)], periods=HORIZON_MONTHS)
    if table.empty:
        return pd.DataFrame(columns=columns), "No month has enough new contracts."
    lines: dict[pd.Timestamp, dict[str, object]] = {}
    for row in table.itertuples():
        value, low, high = alike(percent, (row.estimate, row.low, row.high))
        words = value if row.observed else f"{value} ({low} to {high})"
        line = lines.setdefault(row.cohort, {"cohort": row.cohort, "contracts": row.contracts})
        line[f"{row.period} months"] = words
    newest = table[table["period"] == HORIZON_MONTHS[0]].iloc[-1]
    return pd.DataFrame(lines.values(), columns=columns).iloc[::-1].reset_index(drop=True), (
        f"Of the {count(newest['contracts'])} contracts that began in {newest['cohort']:%Y-%m} "
        f"{percent(newest['estimate'])} are expected to outlive {HORIZON_MONTHS[0]} months (90% "
        f"interval {percent(newest['low'])} to {percent(newest['high'])}). The shop's business is "
        "contractual, so who stays is told from contracts and not from orders."
    )


def contracts(study: Study) -> tuple[pd.DataFrame, str]:
    """Carry today's contracts on by shifted-beta-geometric renewal, and say what was found.

    Rows: periods (months of 30.4 days from now), contracts (that run now), estimate, low, high,
    share. Empty, with the reason, where no contracts are recorded or too few to fit.
    """
    columns = ["periods", "contracts", "estimate", "low", "high", "share"]
    fit, rows, reason = _fitted(study)
    if fit is None:
        return pd.DataFrame(columns=columns), reason
    running = rows[~rows["event"]]
    table = sbg.project_contracts(fit, running["period"].to_numpy(), running["n"].to_numpy())
    first, later = (float(rate) for rate in sbg.retention_rate(fit, [1, 12]))
    to_come = float(sbg.residual_lifetime(fit, [1], discount_rate=DISCOUNT)[0])
    return table[columns], (
        f"Of contracts in their first period {percent(first)} are renewed, of those that have run "
        f"for a year {percent(later)}: the ones who leave easily have left. A year from now "
        f"{percent(table['share'].iloc[0])} of today's contracts are expected to run. A new "
        f"contract stands before {to_come:.1f} renewals, discounted at {percent(DISCOUNT, 0)} a "
        "year."
    )


def _fitted(study: Study) -> tuple[sbg.SBGFit | None, pd.DataFrame, str]:
    """Fit the renewals of a shop's contracts; without a fit, the reason for that."""
    if not study.has("subscriptions"):
        return None, pd.DataFrame(), NO_CONTRACTS
    rows = sbg.contract_periods(summaries.load(study, "contract_waits"))
    if rows.loc[~rows["event"], "n"].sum() < study.shop.privacy.min_cell:
        return None, rows, "Too few contracts run today to project them."
    try:
        return sbg.fit_sbg(*(rows[c].to_numpy() for c in ("period", "event", "n"))), rows, ""
    except DataError as error:
        return None, rows, f"Contracts are not projected. {error}"
