"""Tasks of the exercise on data cleaning."""

from helpers import summaries
from helpers.chapters import intake
from helpers.course.answers import Mistake, Task, Tasks
from helpers.measures import metrics
from helpers.study import Study


def taken_out(study: Study) -> Task:
    """Order lines that a rule took out: set aside, or left out as copies."""
    steps = intake.waterfall(study).set_index("step")["rows"]
    rules = intake.found(study)
    orders = rules[(rules["table"] == "orders") & rules["action"].isin(["set aside", "left out"])]
    number, faulty = orders["rows"].sum(), orders.loc[orders["action"] == "set aside", "rows"].sum()
    return Task(
        float(number),
        "count",
        (
            Mistake(float(faulty), "Exact copies were taken out, too: a rule that is not about a "
                    "fault of the line itself."),
            Mistake(float(steps.iloc[0] - steps.iloc[-1]), "Lines that became known only after "
                    "the month are in it. They are in order, and the next month sees them."),
            Mistake(float(steps["Clean"]), "This is what was kept."),
            Mistake(float(len(orders)), "This is the number of rules. How many lines?"),
        ),
        "Add up the column `rows` of the rules that took lines of the table orders out.",
        "Lines in = lines kept + lines taken out, each with its reason, and a few more that the "
        "month could not know yet.",
    )  # fmt: skip


def share_out(study: Study) -> Task:
    """Money of the lines taken out, over the money in the files."""
    steps = intake.waterfall(study).set_index("step")["revenue"]
    gone = steps.iloc[0] - steps["Clean"]
    return Task(
        gone / steps.iloc[0],
        "percent",
        (
            Mistake((steps.iloc[0] - steps.iloc[-1]) / steps.iloc[0], "What was known only after "
                    "the month is in it. That was not taken out by a rule."),
            Mistake(steps["Clean"] / steps.iloc[0], "This is the share that was kept."),
            Mistake(-gone / steps.iloc[0], "The size is right; a share of what came in is above "
                    "zero."),
            Mistake(gone, "This is an amount. Which share of the money in the files is it?"),
        ),
        "From the first total to the total `Clean`, over the first total.",
        "Next to nothing: the other notebooks may rely on these files. Had it been a tenth of the "
        "money, no figure of theirs would be worth reading.",
        close=5.1e-5,
    )  # fmt: skip


def _states(study: Study):
    coverage = summaries.load(study, "consent_coverage")
    return coverage.pivot_table(
        index="channel", columns="state", values="customers", aggfunc="sum", fill_value=0
    )


def consent_now(study: Study) -> Task:
    """Customers whose consent stands today, over all customers."""
    by_channel = _states(study)
    total = by_channel.sum()
    orders = summaries.load(study, "consent_coverage").groupby("state")["orders"].sum()
    return Task(
        total["granted"] / total.sum(),
        "percent",
        (
            Mistake(total["granted"] / (total["granted"] + total["withdrawn"]), "Customers who "
                    "never said anything are left out. They may not be written to either, so they "
                    "belong below the line."),
            Mistake(orders["granted"] / orders.sum(), "This is a share of orders. Those who buy "
                    "often count many times in it."),
            Mistake((total["granted"] + total["withdrawn"]) / total.sum(), "Some of these have "
                    "withdrawn their consent since."),
            Mistake((by_channel["granted"] / by_channel.sum(axis=1)).mean(), "This is the mean of "
                    "the channels' shares. Divide sum by sum."),
        ),
        "Sum the customers whose state is `granted`, and divide by all customers of the table.",
        "A figure about those who may be written to holds for them alone. Whether they buy like "
        "the others is a question of its own.",
        close=1.35e-4,
    )  # fmt: skip


def consent_given(study: Study) -> Task:
    """Customers who had given consent at some time, withdrawn or not, over all."""
    total = _states(study).sum()
    return Task(
        (total["granted"] + total["withdrawn"]) / total.sum(),
        "percent",
        (
            Mistake(total["granted"] / total.sum(), "Those who have withdrawn had given it first."),
            Mistake(total["no record"] / total.sum(), "These never gave it."),
            Mistake(total["withdrawn"] / total.sum(), "These are only the ones who took it back."),
        ),
        "Who has withdrawn had given consent before.",
        "Consent is a history, not a column: the same customer may be in a list of March and not "
        "in that of June.",
    )  # fmt: skip


def refund_share(study: Study) -> Task:
    """Refunds over sales, both of the whole history."""
    periods = metrics.months_of(summaries.load(study, "periods"))
    refunds, net = periods["refunds"].sum(), periods["revenue"].sum()
    monthly = periods["refunds"] / (periods["revenue"] + periods["refunds"])
    return Task(
        refunds / (net + refunds),
        "percent",
        (
            Mistake(refunds / net, "Revenue is net of refunds here. Sales are revenue plus "
                    "refunds."),
            Mistake(monthly.mean(), "This is the mean of the months' shares. A quiet month counts "
                    "like a good one: divide sum by sum."),
            Mistake(refunds / (net - refunds), "Refunds are taken off twice."),
        ),
        "Sum both columns first; sales are `revenue` + `refunds`.",
        "A refund belongs to the sale it takes back, so the newest months still wait for some.",
        close=0.00055,
    )  # fmt: skip


TASKS: Tasks = {
    "taken_out": taken_out,
    "share_out": share_out,
    "consent_now": consent_now,
    "consent_given": consent_given,
    "refund_share": refund_share,
}
