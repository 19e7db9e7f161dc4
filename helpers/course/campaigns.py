"""Tasks of the exercise on campaign uplift."""

from helpers.chapters.trials import Trial, load_trials
from helpers.course.answers import Mistake, Task, Tasks
from helpers.experiments import effects
from helpers.study import Study


def _read(trial: Trial, arm: str, name: str = "margin", window: int | None = None):
    arms = trial.arms(window)
    return effects.difference(arms[trial.control], arms[arm], name)


def effect(study: Study) -> Task:
    """Margin per assigned customer of the win-back voucher, over control."""
    trial = load_trials(study)["winback"]
    arms = trial.arms()
    control, voucher = arms["control"], arms["voucher"]
    return Task(
        _read(trial, "voucher").value,
        "money",
        (
            Mistake(_read(trial, "voucher", "revenue").value, "This is revenue. A voucher that "
                    "sells at a loss would look good by it."),
            Mistake(voucher["margin"] / voucher["converted"]
                    - control["margin"] / control["converted"], "This is per buyer. Buyers were "
                    "not drawn by chance: divide by all who were assigned."),
            Mistake(voucher["margin"] / voucher["orders"] - control["margin"] / control["orders"],
                    "This is per order. Who orders was not drawn by chance: divide by all who "
                    "were assigned."),
            Mistake(voucher["margin"] - control["margin"], "These are sums of arms of different "
                    "size. Per customer first."),
            Mistake(-_read(trial, "voucher").value, "Voucher less control, not the other way "
                    "round."),
            Mistake(voucher["margin"] / voucher["n"], "This is what customers with the voucher "
                    "brought. Some of it would have come without."),
        ),
        "In each arm divide margin by n; then take one from the other.",
        "Only what comes on top of control was brought about by the voucher.",
    )  # fmt: skip


def net_gain(study: Study) -> Task:
    """The same less what the voucher cost, its part of the fixed cost included."""
    trial = load_trials(study)["winback"]
    plain, each = _read(trial, "voucher").value, trial.cost_each("voucher")
    fixed = trial.fixed_cost("voucher") / trial.arms()["voucher"]["n"]
    everyone, voucher = sum(arm["n"] for arm in trial.arms().values()), trial.arms()["voucher"]
    return Task(
        plain - each - fixed,
        "money",
        (
            Mistake(plain - each, "The fixed cost is missing: spread it over the customers who got "
                    "the voucher."),
            Mistake(plain - fixed, "The cost of each voucher is missing."),
            Mistake(plain - each - fixed * trial.arms()["voucher"]["n"], "The whole fixed cost is "
                    "taken off one customer."),
            Mistake(plain - each - trial.fixed_cost("voucher") / everyone, "Control got no voucher "
                    "and carries none of its cost."),
            Mistake(plain, "No cost is taken off yet."),
            Mistake(voucher["margin"] / voucher["n"] - each - fixed, "This starts from all that "
                    "customers with the voucher brought. Start from what it added."),
            Mistake(plain - each * voucher["converted"] / voucher["n"] - fixed, "The cost of a "
                    "voucher here is that of each one handed out, used or not."),
        ),
        "`trial.cost_each(arm)` is per customer, `trial.fixed_cost(arm)` for the whole arm.",
        "A campaign earned its cost if this is above zero, not if it sold something.",
    )  # fmt: skip


def lowest(study: Study) -> Task:
    """The lower end of the interval of that effect."""
    found = _read(load_trials(study)["winback"], "voucher")
    return Task(
        found.low,
        "money",
        (
            Mistake(found.high, "This is the upper end."),
            Mistake(found.se, "This is the standard error."),
            Mistake(found.value - found.se, "One standard error covers two times in three. For 95% "
                    "it takes about two."),
            Mistake(found.value, "This is the effect itself."),
        ),
        "`effects.difference(control, treated, \"margin\")` holds value, low and high.",
        "If even the lower end is above the cost, little is left to doubt.",
        close=0.021,
    )  # fmt: skip


def flash(study: Study) -> Task:
    """The flash sale at the end of its declared window."""
    trial = load_trials(study)["flash_sale"]
    early = _read(trial, "flash", window=14)
    return Task(
        _read(trial, "flash").value,
        "money",
        (
            Mistake(early.value, "This was read when the sale ended. Orders that were only brought "
                    "forward are missing later: read the window that was declared."),
            Mistake(_read(trial, "flash", window=30).value, "This is an earlier window than the "
                    "one declared."),
            Mistake(_read(trial, "flash", "revenue").value, "This is revenue. The discount comes "
                    "out of margin."),
            Mistake(_read(trial, "flash", "revenue", 14).value, "This is revenue, and read when "
                    "the sale ended."),
        ),
        "`trial.arms()` without a number gives the declared window; take the value of the "
        "difference in margin, before any cost.",
        "A sale that moves orders to an earlier day shows a gain that later weeks take back.",
    )  # fmt: skip


def loyalty(study: Study) -> Task:
    """Whether the loyalty letter's difference may be read as an effect."""
    return Task(
        "yes" if load_trials(study)["loyalty_mail"].randomized else "no",
        "word",
        (
            Mistake("yes", "Who got the letter? Look at `randomized`, and at what the customers "
                    "had brought before."),
            Mistake("perhaps", "One thing decides: were the customers drawn by chance?"),
        ),
        "Were the customers who got the letter drawn by chance?",
        "Good customers were written to, and good customers buy. The interval is narrow and still "
        "beside the point: it holds chance, not the choice.",
        words="yes, no",
    )  # fmt: skip


TASKS: Tasks = {
    "effect": effect,
    "net_gain": net_gain,
    "lowest": lowest,
    "flash": flash,
    "loyalty": loyalty,
}
