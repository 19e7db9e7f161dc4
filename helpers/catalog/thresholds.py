"""Rules of thumb: windows, cadences and bands that the workbook's questions name."""

from helpers.catalog.entry import Threshold

THRESHOLDS = (
    Threshold(
        "core_metric_days", "Days of the core metric",
        "The core metric is followed daily for this long, against a target for a named month.",
        values=(30,), unit="days", used_in="06", rule="T1",
    ),
    Threshold(
        "refresh_cadence", "Refresh",
        "The report is made anew this often, and people review the message flows as often.",
        values=(1,), unit="month", used_in="06", rule="T2",
    ),
    Threshold(
        "changes_per_test", "Changes in a test",
        "A test tries this many small changes at a time, and compares margin, not revenue.",
        values=(2,), unit="changes", used_in="05", rule="T3",
    ),
    Threshold(
        "ltv_over_cac", "LTV over CAC",
        "Above this ratio there is room to spend more; below it, spend is adjusted.", values=(1,),
        unit="to 1", used_in="02", rule="T4",
    ),
    Threshold(
        "season_comparison", "Same month of the year before",
        "A month is compared with the one this long ago, so that a season is no change.",
        values=(12,), unit="months", used_in="02", rule="T5",
    ),
    Threshold(
        "onboarding", "Onboarding",
        "New customers are followed closely for this long.", values=(14,), unit="days",
        used_in="03", rule="T6",
    ),
    Threshold(
        "first_value_day", "First value",
        "New customers should have reached first value by this day.", values=(3,), unit="days",
        used_in="03", rule="T6",
    ),
    Threshold(
        "second_value_day", "Second value",
        "New customers should have reached second value by this day.", values=(7,), unit="days",
        used_in="03", rule="T6",
    ),
    Threshold(
        "nudge_day", "Nudge",
        "Day after the first order of a first short message.", values=(2,), unit="days",
        used_in="05", rule="T7",
    ),
    Threshold(
        "check_in_day", "Check-in",
        "Day after the first order on which the shop asks how it goes.", values=(7,), unit="days",
        used_in="05", rule="T7",
    ),
    Threshold(
        "touch_path", "Path of touches",
        "Length of the path of touches after the first order.", values=(1,), unit="month",
        used_in="05", rule="T7",
    ),
    Threshold(
        "half_year", "Half a year",
        "Horizon of the quick estimate of value and of lifts that are said to last.", values=(6,),
        unit="months", used_in="02", rule="T8",
    ),
    Threshold(
        "input_cadence", "Quarterly inputs",
        "Margin rate, revenue per customer and churn are taken anew this often.", values=(3,),
        unit="months", used_in="06", rule="T9",
    ),
    Threshold(
        "email_flow_steps", "Steps of the first flow",
        "Welcome, tips, upsell, cross-sell.", values=(4,), unit="messages", used_in="05",
        rule="T10",
    ),
    Threshold(
        "email_flow_days", "Length of the first flow",
        "The first flow is over after this long.", values=(30,), unit="days", used_in="05",
        rule="T10",
    ),
    Threshold(
        "upsell_window", "Upsell window",
        "When an upsell is offered after a qualifying order.", values=(7, 14), unit="days",
        used_in="05", rule="T11",
    ),
    Threshold(
        "upsell_reading", "Reading of an upsell",
        "When the effect of an upsell is read.", values=(60,), unit="days", used_in="05",
        rule="T11",
    ),
    Threshold(
        "cross_sell_window", "Cross-sell window",
        "How long after a purchase a cross-sell is offered.", values=(30,), unit="days",
        used_in="05", rule="T12",
    ),
    Threshold(
        "message_cap", "Messages per cycle",
        "How many messages a customer gets in a cycle.", values=(2, 4), unit="messages",
        used_in="05", rule="T13",
    ),
    Threshold(
        "reminder_cap", "Reminders in the next cycle",
        "How many reminders may follow in the next cycle.", values=(1, 2), unit="messages",
        used_in="05", rule="T13",
    ),
    Threshold(
        "test_budget_band", "Budget for tests",
        "Share of the month's budget that goes into tests.", values=(8, 12), unit="percent",
        used_in="06", rule="T14",
    ),
    Threshold(
        "test_length", "Length of a test",
        "How long a test runs before a roll-out. Check it against the smallest effect it could "
        "see: for spend it is usually too short.",
        values=(14,), unit="days", used_in="05", rule="T15",
    ),
    Threshold(
        "first_reading", "First reading",
        "An effect is said to show within a few weeks. The rule names no number; results are read "
        "once the declared window is over.",
        values=(), unit="", used_in="05", rule="T16",
    ),
    Threshold(
        "forecast_cadence", "Forecast check",
        "A forecast is made anew and held against what came this often.", values=(1,), unit="month",
        used_in="04", rule="T17",
    ),
    Threshold(
        "upsell_band", "Lift claimed for an upsell",
        "Rise of the repeat rate said to be typical in the first 60 days. Nobody gives a source: "
        "a hypothesis to test, never a default.",
        values=(5, 15), unit="percent", used_in="05", rule="W8",
    ),
    Threshold(
        "cross_sell_band", "Lift claimed for a cross-sell",
        "Rise of the order value said to be usual. Nobody gives a source: a hypothesis to test, "
        "never a default.",
        values=(10, 25), unit="percent", used_in="05", rule="W9",
    ),
)  # fmt: skip
