"""What the pictures of the first notebook say of days without orders."""

import pandas as pd
import pytest

from helpers.chapters import intake_findings


def days(orders):
    start = pd.date_range("2026-01-01", periods=len(orders))
    return pd.DataFrame({"start": start, "orders": orders})


@pytest.mark.parametrize(
    ("orders", "ending"),
    [
        ([400] * 89 + [0], "1 of the last 90 days had no order: check the export"),
        ([3] * 86 + [0] * 4, "4 of the last 90 days had no order, as chance would give"),
        ([3] * 70 + [0] * 20, "20 of the last 90 days had no order: check the export"),
        ([400] * 90, "Every one of the last 90 days has orders"),
    ],
)
def test_a_day_without_orders_is_chance_only_where_orders_are_few(orders, ending):
    assert intake_findings.quiet(days(orders)).title == ending
