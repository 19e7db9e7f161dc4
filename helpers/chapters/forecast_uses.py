"""What a forecast is used for: where value lies, whom to write to; and what it takes badly."""

from itertools import product

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters.outlooks import Outlook, scored_customers
from helpers.engines.faults import told
from helpers.show import count, percent
from helpers.study import Study
from helpers.summaries import prediction

# --- where the value lies ------------------------------------------------------------------------


def thirds(study: Study, view: Outlook, states: pd.DataFrame) -> pd.DataFrame:
    """Give value by thirds of recency, frequency and spend, and of customers without a repeat.

    One row per cell: recency, frequency, money (0 without a repeat, 1 lowest third, 3 highest),
    customers, value, per_customer. Value is the residual, all that is still to come, or that of the
    horizon without a discount rate. Cells of fewer customers than may be shown join one row
    "others".
    """
    columns = ["recency", "frequency", "money", "customers", "value", "per_customer"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    kind = "residual" if view.terms.discount_rate else "value"
    cells = summaries.value_thirds(study, scored_customers(study, view, states), kind)
    cells = cells.rename(columns={"n": "customers", "total": "value"})
    small = cells["customers"] < study.shop.privacy.min_cell
    return cells[~small].assign(per_customer=lambda t: t["value"] / t["customers"])[columns]


def third_means(cells: pd.DataFrame) -> pd.DataFrame:
    """Give value per customer by third of each dimension, and of the zero cell: long."""
    rows = [("no repeat", "0", cells[cells["recency"] == 0])]
    rows += [
        (name, str(third), cells[cells[name] == third])
        for name, third in product(("recency", "frequency", "money"), (1, 2, 3))
    ]
    table = [
        (name, third, part["customers"].sum(), part["value"].sum())
        for name, third, part in rows
        if len(part)
    ]
    found = pd.DataFrame(table, columns=["by", "third", "customers", "value"])
    return found.assign(per_customer=found["value"] / found["customers"])


def third_bars(means: pd.DataFrame) -> pd.DataFrame:
    """Give value per customer by third of recency, frequency and spend, for a picture."""
    again = means[means["by"] != "no repeat"]
    names = {"1": "lower third", "2": "middle third", "3": "upper third"}
    return again.assign(third=again["third"].map(names))


def third_grid(cells: pd.DataFrame) -> pd.DataFrame:
    """Give value per customer by recency and frequency (rows) and spend (columns)."""
    again = cells[cells["recency"] > 0]
    if again.empty:
        return pd.DataFrame(columns=["recency", "frequency", "low", "middle", "high"])
    wide = again.pivot(index=["recency", "frequency"], columns="money", values="per_customer")
    wide = wide.reindex(columns=[1, 2, 3]).set_axis(["low", "middle", "high"], axis=1)
    return wide.reset_index()


def thirds_sentence(cells: pd.DataFrame, money) -> str:
    """Say what one-time buyers are worth together, and who is worth most."""
    if cells.empty:
        return "Without a forecast nobody has a value to compare."
    total, zero = cells["value"].sum(), cells[cells["recency"] == 0]
    parts = []
    if len(zero):
        one = zero.iloc[0]
        parts.append(
            f"{count(one['customers'])} customers without a repeat purchase are worth "
            f"{money(one['per_customer'])} each and {money(one['value'])} together, "
            f"{percent(one['value'] / total)} of all."
        )
    again = cells[cells["recency"] > 0]
    if len(again):
        best = again.loc[again["per_customer"].idxmax()]
        parts.append(
            f"The most valuable cell holds {count(best['customers'])} customers at "
            f"{money(best['per_customer'])} each; all customers together are worth {money(total)}, "
            f"{money(total / cells['customers'].sum())} each."
        )
    return " ".join(parts)


# --- whom to write to ----------------------------------------------------------------------------


def candidates(study: Study, view: Outlook, states: pd.DataFrame) -> pd.DataFrame:
    """Count who stands on each list, and how many of them consented: no customer is in it.

    One row per list: list, customers, consented (missing where no consents are recorded), value in
    the horizon; counts below what may be shown are missing.
    """
    columns = ["list", "customers", "consented", "value", "p_alive"]
    if view.models is None:
        return pd.DataFrame(columns=columns)
    scored = scored_customers(study, view, states)
    granted = summaries.consenting(study)
    least, rows = study.shop.privacy.min_cell, []
    for name in prediction.LISTS:
        chosen = prediction.candidates(
            scored, summaries.loyalty_members(study), name, str(study.end)
        )
        allowed = chosen.semi_join(granted, "customer_id") if granted is not None else None
        with told(study.shop):
            found = study.con.execute(
                chosen.aggregate(
                    n=chosen.count(), value=chosen.value.sum(), p=chosen.p_alive.mean()
                )
            ).iloc[0]
            may = np.nan if allowed is None else int(study.con.execute(allowed.count()))
        shown = found["n"] >= least
        rows.append(
            {
                "list": name,
                "customers": int(found["n"]) if shown else np.nan,
                "consented": may if shown and may >= least else np.nan,
                "value": found["value"] if shown else np.nan,
                "p_alive": found["p"] if shown else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=columns)


def lists_sentence(study: Study, table: pd.DataFrame) -> str:
    """Say how many stand on each list, and how to write one."""
    if table.empty:
        return "Without a forecast there is nobody to list."
    said = []
    words = {
        "wake-up": "are falling silent against their own rhythm",
        "loyalty": "buy often and are surely active",
        "next-order": "are expected to order within 30 days",
    }
    if study.has("customers", "loyalty_member"):
        words["loyalty"] = "buy often, are surely active and are in no loyalty program yet"
    for row in table.itertuples():
        number = "too few to say how many" if np.isnan(row.customers) else count(row.customers)
        said.append(f"{number} {words[row.list]}")
    text = "; ".join(said)
    return (
        f"{text[:1].upper()}{text[1:]}. `python -m helpers list --forecast wake-up --purpose "
        "email_marketing` writes a list with the shop's own ids into the shop's folder, of those "
        "who consented only."
    )


# --- what is odd about the data ------------------------------------------------------------------


def cautions(
    study: Study, states: pd.DataFrame, spend: pd.DataFrame, scope: pd.DataFrame
) -> list[str]:
    """Say what about these customers a purchase model takes badly; empty if nothing does.

    Customers known from refunds only, purchase days without money, resellers, everyone bought once
    or on one day, a history that begins after the shop did, a last day that is not over.
    """
    said, customers = [], int(states["n"].sum())
    returned = int(scope["customers"].iloc[0]) - customers
    if returned:
        said.append(
            f"{count(returned)} customers have no purchase left after refunds: not modelled."
        )
    if not customers:
        return [*said, "Nobody has bought anything yet."]
    days = int((states["frequency"] * states["n"]).sum())
    paid = int((spend["frequency"] * spend["n"]).sum())
    if days > paid:
        said.append(
            f"{count(days - paid)} repeat purchase days brought nothing after refunds: they "
            "count as purchases, and not as spend."
        )
    heavy = int(states.loc[states["frequency"] > 300, "n"].sum())
    if heavy:
        said.append(
            f"{count(heavy)} customers with more than 300 repeat purchase days look like "
            "resellers: they are in the forecast and may carry much of it."
        )
    if not days:
        said.append("Everyone has bought on one day only: there is no rhythm to learn from.")
    first = pd.to_datetime(states["first_day"])
    if first.nunique() == 1:
        said.append(f"Everyone first bought on {first.iloc[0]:%d %B %Y}: cohorts cannot differ.")
    opening = states.loc[first == first.min(), "n"].sum() / customers
    if first.nunique() > 60 and opening > 10 / first.nunique():
        said.append(
            f"{percent(opening)} of customers first bought on the first day of the history: older "
            "customers are taken for new ones there, so set history_starts_at, and opened_at."
        )
    if not study.history_is_whole:
        said.append(
            "The history does not reach back to the shop's opening, as far as is known: some first "
            "purchases are later ones in truth, which makes newcomers look loyal."
        )
    return said


def cautions_text(said: list[str]) -> str:
    """Write the cautions as one text."""
    return " ".join(said) if said else "Nothing about these customers speaks against the model."
