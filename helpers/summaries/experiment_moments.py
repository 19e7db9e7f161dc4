"""Experiments in sums: moments of what followed the assignment of each arm, for every window.

All columns are sums over customers, so segments and arms pool by adding rows. A customer without
money in a window adds to the number and to the covariate alone: those are counted once for all
windows, and only the customers with money are summed up window by window.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import exact, whole
from helpers.summaries.experiments import CELL, MONEY, STEPS, WINDOWS, cells

DECLARED = "declared"
# Stands for the length of the window that an experiment declared.
OF_ITS_OWN = 0
# Extreme customers are capped at these shares of customers with any money, all arms together.
QUANTILES = (0.01, 0.99)
CUTS = tuple(f"{name}_{side}" for name in ("revenue", "margin") for side in ("low", "high"))
_CAPPED = ("experiment_id", "window_days")
# What was pulled forward is missing later: the part of a window after these days stands apart.
EARLY_DAYS = 14
# Metrics with a spread of their own, and shares, whose squares are their sums.
AMOUNTS = ("orders", "revenue", "refunds", "margin", "service", "revenue_capped", "margin_capped")
AMOUNTS += ("late_orders", "late_margin")
SHARES = (*STEPS, "converted")
COVARIATES = ("pre", "pre_squares", "missing")
EXTREMES = ("cap_low", "cap_high", "margin_least", "margin_most")


def experiment_sums(
    spends: ir.Table, *, as_of: str, windows: tuple[int, ...] = WINDOWS
) -> ir.Table:
    """One row per window that is over and customer with money in it, without who it is.

    Sums of the window's money (``late_``: after its first days), and what was known before. The
    number of the cell stands for experiment, arm, channel and tier (`experiments.cells`).
    """
    each = (_sums_by_customer(_within(spends, days, as_of)) for days in (*windows, OF_ITS_OWN))
    return ibis.union(*each, distinct=False)


def experiment_caps(people: ir.Table, sums: ir.Table) -> ir.Table:
    """Experiment x window: where revenue and margin of a customer are cut, in ``CUTS``.

    At the 1st and 99th percentile of the experiment's customers with any money, all arms together,
    never across zero.
    """
    some = sums.filter((sums.revenue != 0) | (sums.margin != 0))
    some = some.select("cell", "window_days", "revenue", "margin")
    some = some.join(cells(people).select("cell", "experiment_id"), "cell")
    caps = some.group_by("experiment_id", "window_days").aggregate(
        **{
            f"{name}_{side}": some[name].quantile(share).round().cast("int64")
            for name in ("revenue", "margin")
            for side, share in zip(("low", "high"), QUANTILES, strict=True)
        }
    )
    zero = ibis.literal(0, "int64")
    outer = {"low": ibis.least, "high": ibis.greatest}
    return caps.mutate(**{cut: outer[cut.split("_")[1]](zero, caps[cut]) for cut in CUTS})


def experiment_moments(
    people: ir.Table,
    sums: ir.Table,
    caps: ir.Table,
    *,
    as_of: str,
    windows: tuple[int, ...] = WINDOWS,
) -> ir.Table:
    """Experiment x arm x channel x tier x window: customers, and sums of what followed.

    ``assigned`` counts all customers, ``n`` and every sum those whose window is over by ``as_of``.
    Shares (delivered to converted) are sums of 0 and 1; amounts come with ``_squares``; all with
    the cross-product with the covariate ``pre`` and with ``missing`` (1 for a customer without an
    order before the start, whose ``pre`` is 0). ``revenue_orders`` and
    ``margin_orders`` serve ratios. Capped amounts are cut at the caps (`experiment_caps`);
    ``cap_low`` and ``cap_high`` are those of margin, ``margin_least`` and ``margin_most`` the
    extremes.
    """
    keys = [*CELL, "window_days"]
    found = _customers(_each_window(_counted(people), windows, as_of))
    steps = _steps(_each_window(_messages(people), windows, as_of))
    of_cells = cells(people)
    money = _money(_cut(sums, caps, of_cells)).join(of_cells, "cell").drop("cell")
    for part in (steps, money):
        found = found.left_join(part, keys).drop(*(f"{key}_right" for key in keys))
    found = found.left_join(caps, _CAPPED).drop(*(f"{key}_right" for key in _CAPPED))
    apart = (*keys, DECLARED, *EXTREMES, *CUTS)
    zeros = {name: found[name].fill_null(0) for name in found.columns if name not in apart}
    found = found.mutate(**zeros)
    return found.mutate(**_extremes(found)).drop("active", *CUTS)


def _counted(people: ir.Table) -> ir.Table:
    """Count customers, and sum the covariates, by cell and day of assignment."""
    rows = people.mutate(missing=(~people.known).cast("int64"))
    return rows.group_by(*CELL, "assigned", "declared").aggregate(
        customers=rows.count(), **covariate_sums(rows)
    )


def _messages(people: ir.Table) -> ir.Table:
    """Count customers by what they first did with a message, and how long after the assignment."""
    keys = [*CELL, "assigned", "declared"]
    parts = []
    for step in STEPS:
        rows = people.mutate(age=people[f"{step}_age"].cast("int64"))
        rows = rows.filter(rows.age.notnull())
        found = rows.group_by(*keys, "age").aggregate(
            customers=rows.count(), pre=rows.pre.sum(),
            missing=rows.count(where=~rows.known),
        )  # fmt: skip
        parts.append(found.mutate(step=ibis.literal(step)))
    return ibis.union(*parts, distinct=False)


def _each_window(rows: ir.Table, windows: tuple[int, ...], as_of: str) -> ir.Table:
    """Give every row once for each window: few rows, so all windows in one go."""
    return _within(rows, ibis.array([*windows, OF_ITS_OWN]).unnest(), as_of)


def _within(rows: ir.Table, length: int | ir.IntegerColumn, as_of: str) -> ir.Table:
    """Give rows the window's length in days (or their own), and whether it was over by then."""
    rows = rows.mutate(length=length)
    own = rows.length == OF_ITS_OWN
    # A fixed window that is the declared one stands once, as declared.
    rows = rows.mutate(
        window_days=ibis.ifelse(own, rows.declared, rows.length).cast("int64"), own=own
    ).filter(own | (rows.length != rows.declared))
    until = (ibis.date(as_of) + ibis.interval(days=1)).cast("date")
    end = (rows.assigned + rows.window_days.as_interval("D")).cast("date")
    return rows.mutate(over=end <= until, declared=rows.own).drop("own", "length")


def _customers(rows: ir.Table) -> ir.Table:
    """Count customers of a window, and sum the covariates of those for whom it is over."""
    return rows.group_by(*CELL, "window_days", DECLARED).aggregate(
        assigned=rows.customers.sum(), n=rows.customers.sum(where=rows.over),
        **{column: rows[column].sum(where=rows.over) for column in COVARIATES},
    )  # fmt: skip


def _steps(rows: ir.Table) -> ir.Table:
    """Sum up what was done with messages within a window that is over."""
    sent = rows.filter(rows.over & (rows.age < rows.window_days))
    return sent.group_by(*CELL, "window_days").aggregate(
        **{
            f"{step}{suffix}": sent[column].sum(where=sent.step == step)
            for step in STEPS
            for suffix, column in (("", "customers"), ("_pre", "pre"), ("_missing", "missing"))
        }
    )


def _sums_by_customer(spends: ir.Table) -> ir.Table:
    """Sum the money of a window that is over by customer; who it is, is not needed any more."""
    inside = spends.filter(spends.over & (spends.age < spends.window_days))
    late = (inside.age >= EARLY_DAYS) & (inside.window_days > EARLY_DAYS)
    sums = {name: whole(inside[name]) for name in MONEY}
    sums |= {f"late_{name}": whole(inside[name], where=late) for name in ("orders", "margin")}
    # One value for all rows of a customer: cheaper to look up than to group by.
    same = {name: inside[name].max() for name in ("window_days", "pre", "missing")}
    each = inside.group_by("cell", "customer_id").aggregate(**same, **sums)
    return each.mutate(converted=(each.orders > 0).cast("int64")).drop("customer_id")


def _money(rows: ir.Table) -> ir.Table:
    """Sum money, its squares and products over the customers of a cell."""
    return rows.group_by("cell", "window_days").aggregate(
        active=rows.count(), margin_revenue=rows.margin_revenue.sum(),
        margin_least=rows.margin.min(), margin_most=rows.margin.max(),
        **outcome_sums(rows, ("converted", *AMOUNTS)),
    )  # fmt: skip


def _cut(sums: ir.Table, caps: ir.Table, of_cells: ir.Table) -> ir.Table:
    """Cut money at the caps of the customer's experiment, as ``revenue_capped`` and so on."""
    keys = ("cell", "window_days")
    edges = of_cells.select("cell", "experiment_id").join(caps, "experiment_id")
    joined = sums.left_join(edges, keys).drop(*(f"{key}_right" for key in keys), "experiment_id")
    cuts = {
        f"{name}_capped": ibis.greatest(
            joined[f"{name}_low"].fill_null(0),
            ibis.least(joined[name], joined[f"{name}_high"].fill_null(0)),
        )
        for name in ("revenue", "margin")
    }
    return joined.mutate(**cuts).drop(*CUTS)


def _extremes(found: ir.Table) -> dict[str, ir.Value]:
    """Give the cuts and extremes of margin; a customer without money has a margin of zero."""
    zero, missing = ibis.literal(0, "int64"), ibis.null("int64")
    idle = found.active < found.n
    least = ibis.ifelse(idle, ibis.least(zero, found.margin_least.fill_null(0)), found.margin_least)
    most = ibis.ifelse(idle, ibis.greatest(zero, found.margin_most.fill_null(0)), found.margin_most)
    values = {
        "cap_low": found.margin_low.fill_null(0), "cap_high": found.margin_high.fill_null(0),
        "margin_least": least, "margin_most": most,
    }  # fmt: skip
    return {name: ibis.ifelse(found.n > 0, value, missing) for name, value in values.items()}


def covariate_sums(rows: ir.Table) -> dict[str, ir.Scalar]:
    """Sum the covariate, its squares, and the customers who have none."""
    pre = exact(rows.pre)
    return {"pre": rows.pre.sum(), "pre_squares": (pre * pre).sum(), "missing": rows.missing.sum()}


def outcome_sums(rows: ir.Table, names: tuple[str, ...]) -> dict[str, ir.Scalar]:
    """Sum metrics, their squares and their products with the covariate and its absence."""
    pre, missing, found = exact(rows.pre), rows.missing == 1, {}
    for name in names:
        found[name] = rows[name].sum()
        found[f"{name}_missing"] = rows[name].sum(where=missing)
        if name in SHARES:
            found[f"{name}_pre"] = rows.pre.sum(where=rows[name] == 1)
            continue
        found[f"{name}_squares"] = (exact(rows[name]) * exact(rows[name])).sum()
        found[f"{name}_pre"] = (exact(rows[name]) * pre).sum()
    for name in ("revenue", "margin"):
        found[f"{name}_orders"] = (exact(rows[name]) * exact(rows.orders)).sum()
    return found


def money_power(column: str) -> int:
    """Say which power of an amount of money a column of these summaries is: 0, 1 or 2.

    >>> [money_power(name) for name in ("orders_pre", "margin_squares", "margin_missing", "n")]
    [1, 2, 1, 0]
    """
    if column in _MONEY:
        return 1
    if column.endswith("_squares"):
        return 2 * money_power(column.removesuffix("_squares"))
    for factor, power in (("pre", 1), ("total_spend", 1), ("missing", 0), ("orders", 0)):
        if column.endswith(f"_{factor}"):
            return money_power(column.removesuffix(f"_{factor}")) + power
    return 0


_MONEY = frozenset(
    {"revenue", "refunds", "margin", "margin_revenue", "revenue_capped", "margin_capped", "pre",
     "late_margin", "service", "total_spend", "cap_low", "cap_high", "margin_least", "margin_most",
     *CUTS}
)  # fmt: skip
