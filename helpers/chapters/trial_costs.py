"""What experiments cost, as declared: one cost for every treated customer, or one for each arm."""

from collections.abc import Mapping

import pandas as pd

from helpers import summaries
from helpers.errors import DataError
from helpers.show import is_missing, label
from helpers.study import Study


def numbers_by_name(text: object, column: str, example: str) -> dict[str, float] | None:
    """Read numbers by name written as ``control=1;mail=9``; missing where none are written."""
    if not isinstance(text, str) or not text.strip():
        return None
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    try:
        return {name.strip(): float(number) for name, _, number in parts}
    except ValueError:
        raise DataError(f"{column} is '{label(text)}'; it must be as {example}.") from None


def is_declared(about: Mapping) -> bool:
    """Say whether an experiment states any cost."""
    stated = ("arm_costs", "cost_per_customer", "fixed_cost")
    return not all(is_missing(about.get(name)) for name in stated)


def cost_each(about: Mapping, arm: str, control: str) -> float:
    """Give what treating one customer of an arm costs; a cost that is not stated is none."""
    costs = numbers_by_name(about.get("arm_costs"), "experiments.arm_costs", "offer=0.90;mail=0.10")
    if costs is not None and arm in costs:
        return costs[arm]
    each = about["cost_per_customer"]
    return 0.0 if is_missing(each) or arm == control else float(each)


def by_month(study: Study) -> pd.DataFrame:
    """Give months by experiment and arm: customers put in it, and what they and the test cost.

    ``cost`` is the arm's cost x customers of that month; the fixed cost stands in the month in
    which the test began, in a row without an arm. Experiments that state no cost are left out.
    """
    rows = summaries.load(study, "experiment_costs")
    each = [
        0.0 if is_missing(row["arm"]) else cost_each(row, row["arm"], row["control"])
        for row in rows.to_dict("records")
    ]
    cost = rows["customers"] * pd.Series(each, index=rows.index, dtype=float)
    return rows.assign(cost=cost + rows["fixed_cost"].fillna(0))[
        ["start", "experiment_id", "arm", "customers", "cost"]
    ]
