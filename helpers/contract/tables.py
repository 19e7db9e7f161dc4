"""The contract: the canonical tables, and what every column means.

The data dictionary in ``data/README.md`` is printed from this module, so the two cannot disagree.
"""

from dataclasses import dataclass

TYPES = {
    "text": "text, surrounding blanks removed",
    "integer": "whole number",
    "number": "number",
    "money": "amount in the shop's currency (held in the engine as whole minor units)",
    "timestamp": "date and time",
    "date": "calendar day in the shop's time zone",
    "boolean": "true or false",
}
# Columns that hold a person of the shop, by the shop's own id: in clean tables, a pseudonym.
PERSON_COLUMNS = ("customer_id", "referred_by")


@dataclass(frozen=True)
class Column:
    """One canonical column: its name, type, unit and meaning."""

    name: str
    type: str
    meaning: str
    unit: str = ""
    required: bool = False


@dataclass(frozen=True)
class Table:
    """One canonical table: what a row is, its columns, and the column that dates a row."""

    name: str
    row: str
    columns: tuple[Column, ...]
    dated_by: str = ""

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns without which the table cannot be used."""
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column:
        """Return the column called ``name``; KeyError if the contract has none."""
        return {column.name: column for column in self.columns}[name]


def _table(name: str, row: str, *columns: Column, dated_by: str = "") -> Table:
    known_at = Column("known_at", "timestamp", "when the row became known to the shop")
    return Table(name, row, (*columns, known_at), dated_by)


def _key(name: str, kind: str, meaning: str, unit: str = "") -> Column:
    return Column(name, kind, meaning, unit, required=True)


_CUSTOMER = _key("customer_id", "text", "the customer, in the shop's own ids")

_ALL = (
    _table(
        "orders",
        "a line of an order: a sale, or a refund in a row of its own",
        _key("order_id", "text", "the order; its lines share it"),
        _CUSTOMER,
        _key("ordered_at", "timestamp", "when the order was placed (for a refund: when booked)"),
        _key(
            "revenue",
            "money",
            "line total net of discount, without tax and shipping; negative for a refund",
            "currency",
        ),
        Column("line_id", "text", "the line within its order"),
        Column("quantity", "number", "units sold, negative when returned", "units"),
        Column("unit_price", "money", "price of one unit before discount", "currency"),
        Column("discount", "money", "discount on the line, as a positive amount", "currency"),
        Column("cogs", "money", "cost of the goods; missing means not known, not zero", "currency"),
        Column("shipping_cost", "money", "what shipping cost the shop", "currency"),
        Column("payment_fee", "money", "what the payment cost the shop", "currency"),
        Column("tax", "money", "tax on the line, not part of revenue", "currency"),
        Column("shipping_charged", "money", "shipping the customer paid, no revenue", "currency"),
        Column("product_id", "text", "the product"),
        Column("category", "text", "the product's category"),
        Column("channel", "text", "where the order came from"),
        Column("cart_flow", "text", "the checkout flow that was used"),
        Column("coupon", "text", "the coupon code that was used"),
        Column("country", "text", "country of delivery"),
        Column("currency", "text", "ISO 4217 code; without this column, the shop's currency"),
        Column("status", "text", "the order's status in the shop"),
        Column("is_refund", "boolean", "true for a refund; missing: revenue below zero decides"),
        Column("refund_of", "text", "the order that is refunded; missing: the row's own order"),
        Column("refunded_at", "timestamp", "when the money went back; missing: `ordered_at`"),
        Column("is_guest", "boolean", "true for an order without an account"),
        Column("person", "text", "a name or address: only counted per id, and never kept"),
        dated_by="ordered_at",
    ),
    _table(
        "customers",
        "a customer",
        _CUSTOMER,
        Column("signed_up_at", "timestamp", "when the account was made"),
        Column("acquisition_channel", "text", "the channel that first brought the customer"),
        Column("country", "text", "country of residence"),
        Column("age_band", "text", "age band, such as 25-34"),
        Column("gender", "text", "gender, as the customer gave it"),
        Column("customer_class", "text", "b2c or b2b"),
        Column("loyalty_member", "boolean", "member of the loyalty program"),
        Column("referred_by", "text", "the customer who referred this one"),
        dated_by="signed_up_at",
    ),
    _table(
        "consents",
        "a change of consent",
        _CUSTOMER,
        _key("purpose", "text", "what the consent is for, such as email_marketing"),
        _key("state", "text", "granted or withdrawn"),
        _key("at", "timestamp", "when the change took effect"),
        Column("source", "text", "where the consent was given"),
        dated_by="at",
    ),
    _table(
        "marketing_spend",
        "the cost of a channel over a day or a period; a period is spread over its days",
        _key("channel", "text", "the channel"),
        _key("starts_at", "date", "first day of the period"),
        Column("ends_at", "date", "last day of the period; missing: one day"),
        _key("cost", "money", "what was spent", "currency"),
        Column("clicks", "integer", "clicks bought", "clicks"),
        Column("leads", "integer", "leads won", "leads"),
        Column("impressions", "integer", "times shown", "impressions"),
        dated_by="starts_at",
    ),
    _table(
        "service_costs",
        "a cost of serving a customer",
        _CUSTOMER,
        _key("at", "timestamp", "when the cost arose"),
        _key("amount", "money", "what it cost", "currency"),
        Column("kind", "text", "kind of cost, such as support_ticket or handling"),
        dated_by="at",
    ),
    _table(
        "carts",
        "a checkout that was started",
        _key("cart_id", "text", "the cart"),
        Column("customer_id", "text", "the customer, where known"),
        _key("started_at", "timestamp", "when the checkout was started"),
        Column("cart_flow", "text", "the checkout flow"),
        Column("recovered_order_id", "text", "the order that came of it, if one did"),
        dated_by="started_at",
    ),
    _table(
        "touchpoints",
        "something sent to a customer or done with one",
        _CUSTOMER,
        Column("campaign_id", "text", "the campaign or flow"),
        Column("step", "integer", "step within the flow", "ordinal"),
        _key("kind", "text", "email, push, in_app, call or webinar"),
        _key("sent_at", "timestamp", "when it was sent"),
        Column("delivered", "boolean", "it arrived"),
        Column("opened", "boolean", "it was opened (inflated by mail privacy proxies)"),
        Column("clicked", "boolean", "a link was followed"),
        Column("unsubscribed", "boolean", "the customer unsubscribed"),
        Column("attended", "boolean", "the customer attended (webinars)"),
        dated_by="sent_at",
    ),
    _table(
        "campaigns",
        "a campaign as the tool that sent it reports it",
        _key("campaign_id", "text", "the campaign"),
        Column("name", "text", "its name"),
        Column("channel", "text", "email, sms or push"),
        _key("sent_at", "timestamp", "when it was sent"),
        Column("recipients", "integer", "customers it was sent to", "customers"),
        Column("delivered", "integer", "messages that arrived", "messages"),
        Column("opened", "integer", "customers who opened it (inflated by proxies)", "customers"),
        Column("clicked", "integer", "customers who followed a link", "customers"),
        Column("unsubscribed", "integer", "customers who unsubscribed", "customers"),
        Column("orders", "integer", "orders the tool counts as its own", "orders"),
        Column("revenue", "money", "revenue the tool attributes, not incremental", "currency"),
        dated_by="sent_at",
    ),
    _table(
        "assignments",
        "a customer put in an arm of an experiment",
        _key("experiment_id", "text", "the experiment"),
        _CUSTOMER,
        _key("arm", "text", "the arm"),
        Column("factors", "text", "levels of the factors, such as offer=1;reminder=0"),
        _key("assigned_at", "timestamp", "when the customer was assigned"),
        dated_by="assigned_at",
    ),
    _table(
        "experiments",
        "a test: what is believed, how it is measured, what was decided",
        _key("experiment_id", "text", "the experiment"),
        Column("name", "text", "its name in words"),
        Column("hypothesis", "text", "what is believed, in a sentence"),
        Column(
            "kind",
            "text",
            "what is tried: onboarding, retention, upsell, cross_sell, email_flow, webinar, "
            "winback, loyalty or holdout",
        ),
        Column("metric", "text", "the metric declared beforehand"),
        Column("window_days", "integer", "days after assignment that count", "days"),
        Column("planned_size", "integer", "customers planned in all arms", "customers"),
        Column("planned_shares", "text", "planned share of each arm, such as control=1;mail=9"),
        Column("control_arm", "text", "name of the arm that gets nothing; missing: control"),
        Column("randomized", "boolean", "arms were drawn by chance; missing: true"),
        Column("cost_per_customer", "money", "cost of treating one customer", "currency"),
        Column("arm_costs", "text", "the same where arms differ, such as offer=0.90;reminder=0.10"),
        Column(
            "guardrails", "text", "harm that is bearable, such as unsubscribed=0.005;refunds=0.5"
        ),
        Column("rule", "text", "what will be done at which result, declared beforehand"),
        Column("fixed_cost", "money", "cost of the campaign as a whole", "currency"),
        Column("started_at", "timestamp", "when assignment started"),
        Column("ended_at", "timestamp", "when the last window closed"),
        Column("decision", "text", "what was decided"),
        dated_by="started_at",
    ),
    _table(
        "surveys",
        "an answer to a survey",
        _CUSTOMER,
        _key("kind", "text", "nps, csat or score"),
        _key("score", "number", "the answer: 0 to 10 for nps, 1 to 5 for csat", "points"),
        _key("answered_at", "timestamp", "when it was given"),
        dated_by="answered_at",
    ),
    _table(
        "activations",
        "a first-value event of a customer",
        _CUSTOMER,
        _key("step", "integer", "1 for the first value, 2 for the second", "ordinal"),
        _key("at", "timestamp", "when it happened"),
        dated_by="at",
    ),
    _table(
        "payments",
        "what billing says about an order",
        _key("payment_id", "text", "the payment"),
        Column("order_id", "text", "the order it belongs to"),
        _key("paid_at", "timestamp", "when it was booked"),
        _key("amount", "money", "the amount, negative for a refund", "currency"),
        Column("currency", "text", "ISO 4217 code; without this column, the shop's currency"),
        Column("status", "text", "status at the payment provider"),
        Column("kind", "text", "payment or refund"),
        dated_by="paid_at",
    ),
    _table(
        "budget",
        "what was planned for a channel in a month",
        _key("channel", "text", "the channel"),
        _key("month", "date", "first day of the month"),
        _key("planned", "money", "planned spend", "currency"),
        dated_by="month",
    ),
    _table(
        "subscriptions",
        "a contract of a customer",
        _key("subscription_id", "text", "the contract"),
        _CUSTOMER,
        _key("started_at", "timestamp", "when it started"),
        Column("ended_at", "timestamp", "when it ended; missing while it runs"),
        Column("plan", "text", "the plan"),
        Column("price", "money", "price of one period", "currency"),
        dated_by="started_at",
    ),
    _table(
        "leads",
        "a lead",
        _key("lead_id", "text", "the lead"),
        Column("channel", "text", "the channel that brought it"),
        Column("product", "text", "the product of interest"),
        _key("at", "timestamp", "when it came in"),
        Column("cost", "money", "what it cost", "currency"),
        Column("customer_id", "text", "the customer it became, once converted"),
        dated_by="at",
    ),
    _table(
        "promotions",
        "a promotion of the shop",
        _key("promotion_id", "text", "the promotion"),
        _key("starts_at", "date", "first day"),
        _key("ends_at", "date", "last day"),
        Column("kind", "text", "kind of promotion"),
        Column("discount", "number", "share taken off the price", "share"),
        dated_by="starts_at",
    ),
    _table(
        "fx_rates",
        "a currency on a day",
        _key("currency", "text", "ISO 4217 code of the foreign currency"),
        _key("day", "date", "the day"),
        _key("rate", "number", "shop currency for one unit of the foreign currency", "rate"),
        dated_by="day",
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}


def dictionary() -> str:
    """Return the data dictionary: one Markdown section per canonical table."""
    parts = []
    for table in TABLES.values():
        need = "required" if table.name == "orders" else "optional"
        parts += [
            f"### `{table.name}` ({need})",
            "",
            f"One row is {table.row}.",
            "",
            "| column | type | unit | needed | meaning |",
            "|---|---|---|---|---|",
        ]
        parts += [
            f"| `{c.name}` | {c.type} | {c.unit or '-'} | {'yes' if c.required else '-'} "
            f"| {c.meaning} |"
            for c in table.columns
        ]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"
