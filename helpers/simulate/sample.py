"""The sample shop: coffee and tea on the web, five channels, six categories, eight tests."""

from datetime import date

from helpers.simulate.config import (
    Arm,
    Category,
    Channel,
    Experiment,
    Promotion,
    ShopConfig,
)

_CHANNELS = (
    Channel("organic", 0.30, 1.15),
    Channel("search", 0.27, 1.0, cost=26.0),
    Channel("social", 0.20, 0.72, cost=34.0),
    Channel("email_referral", 0.13, 1.35),
    Channel("affiliate", 0.10, 0.85, cost=18.0, spend_days=7),
)
# Partners have equal shares, so a second line drawn from the partner keeps each category's share.
_CATEGORIES = (
    Category("coffee", 0.22, 0.52, "brewing"),
    Category("brewing", 0.22, 0.58, "coffee"),
    Category("tea", 0.16, 0.44, "teaware"),
    Category("teaware", 0.16, 0.50, "tea"),
    Category("sweets", 0.12, 0.60, "gifts"),
    Category("gifts", 0.12, 0.42, "sweets"),
)
_COUNTRIES = (("NL", 0.60, 3.95), ("BE", 0.20, 4.95), ("DE", 0.14, 5.45), ("FR", 0.06, 6.25))
_PROMOTIONS = tuple(
    promotion
    for year in (2024, 2025, 2026)
    for promotion in (
        Promotion(f"SUMMER{year}", date(year, 7, 1), date(year, 7, 7), 0.10),
        Promotion(f"BLACK{year}", date(year, 11, 24), date(year, 11, 30), 0.15),
    )
)
_EXPERIMENTS = (
    Experiment(
        "onboarding",
        "Onboarding of new customers",
        "A call in the first days brings more second orders than tips by e-mail, or nothing.",
        "new",
        date(2025, 2, 1),
        60,
        (
            Arm("control", sends=False),
            Arm("tips", 1.15, cost=0.4),
            Arm("call", 2.1, cost=0.4, service_cost=5.6),
        ),
        last_entry=date(2025, 8, 31),
        fixed_cost=600.0,
        decision="extend",
    ),
    Experiment(
        "subject_line",
        "Subject line with the first name",
        "A subject line with the first name brings more orders in 30 days.",
        "recent",
        date(2025, 9, 15),
        30,
        (Arm("control"), Arm("first_name", 1.04)),
        share=0.55,
        decision="no difference seen",
    ),
    Experiment(
        "offer_reminder",
        "Offer and reminder, two by two",
        "A gift with the next order and a reminder each bring more orders in 45 days.",
        "recent",
        date(2025, 11, 3),
        45,
        (
            Arm("none", factors="offer=0;reminder=0", sends=False),
            Arm("offer", 1.8, cost=0.9, factors="offer=1;reminder=0"),
            Arm("reminder", 1.12, cost=0.1, factors="offer=0;reminder=1"),
            Arm("both", 1.8 * 1.12, cost=1.0, factors="offer=1;reminder=1"),
        ),
        fixed_cost=300.0,
        decision="ship the offer",
    ),
    Experiment(
        "loyalty_mail",
        "Loyalty letter (not randomized)",
        "Customers who get the loyalty letter buy more in 60 days.",
        "recent",
        date(2026, 1, 5),
        60,
        (Arm("not_mailed", sends=False), Arm("mailed", 1.08, cost=0.7)),
        recency_days=2000,
        share=0.6,
        randomized=False,
        decision="ship",
    ),
    Experiment(
        "winback",
        "Win-back of lapsed customers",
        "A personal voucher brings customers back who have not bought for half a year.",
        "lapsed",
        date(2026, 3, 9),
        60,
        (Arm("control", sends=False), Arm("voucher", 3.2, cost=0.85)),
        recency_days=180,
        fixed_cost=250.0,
        decision="ship",
    ),
    Experiment(
        "spring_news",
        "Spring newsletter",
        "The spring newsletter brings more orders in 30 days.",
        "recent",
        date(2026, 3, 16),
        30,
        (Arm("control", sends=False), Arm("newsletter", 1.0, cost=0.05)),
        recency_days=180,
        share=0.6,
    ),
    Experiment(
        "flash_sale",
        "Flash sale of two weeks",
        "15% off for two weeks brings more orders in 60 days.",
        "recent",
        date(2026, 5, 1),
        60,
        (
            Arm("control", sends=False),
            Arm("flash", 2.3, cost=0.05, discount=0.15, pull_days=14),
        ),
        share=0.85,
        fixed_cost=150.0,
    ),
    Experiment(
        "cross_sell",
        "Cross-sell after a recent order",
        "A hint at the matching category brings another order in 45 days.",
        "recent",
        date(2026, 6, 8),
        45,
        (Arm("control", sends=False), Arm("hint", 1.3, cost=0.05)),
        recency_days=120,
    ),
)

SAMPLE_SEED = 20260630

SAMPLE = ShopConfig(
    channels=_CHANNELS,
    categories=_CATEGORIES,
    countries=_COUNTRIES,
    promotions=_PROMOTIONS,
    experiments=_EXPERIMENTS,
    replicates=100_000,
)
"""The shop that the repository carries in ``data/sample``."""
