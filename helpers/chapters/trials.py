"""The shop's experiments as one object each: how it was declared, its arms, and its design."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from helpers import summaries
from helpers.chapters.trial_costs import cost_each, numbers_by_name
from helpers.experiments import effects
from helpers.show import is_missing
from helpers.study import Study

# What each kind of campaign is read by, as declared for it: days, and what to mind.
KINDS = {
    "onboarding": (60, "New customers: what they did before says nothing, so nothing is adjusted."),
    "retention": (180, "Read over half a year: an order more in a month may be one less later."),
    "upsell": (60, "Sent 7 to 14 days after a qualifying order, read at 60 days."),
    "cross_sell": (30, "Read at 30 days, with the order value and the margin of the bundle."),
    "email_flow": (60, "Four steps at most, two to four messages a cycle, one or two reminders."),
    "webinar": (30, "Read by invitation: those who attend differ from those who do not."),
    "winback": (60, "Customers who had left: most of them would not have come by themselves."),
    "loyalty": (180, "Members chose to join, so compare those who were invited by chance."),
    "holdout": (180, "The hold-out goes without every campaign: the sum of all of them is read."),
}


@dataclass(frozen=True)
class Trial:
    """One experiment: its declaration, moments by arm, segment and window, and facts of its arms.

    ``about`` is the row of the table experiments; ``moments`` and ``facts`` are its rows of
    ``experiment_moments`` and ``experiment_arms``.
    """

    experiment: str
    about: pd.Series
    moments: pd.DataFrame
    facts: pd.DataFrame

    @property
    def window(self) -> int:
        """Days after the assignment that the experiment declared."""
        return int(self.about["window_days"])

    @property
    def control(self) -> str:
        """The arm that goes without."""
        return str(self.about["control_arm"])

    @property
    def randomized(self) -> bool:
        """Whether customers were put into arms by chance."""
        return bool(self.about["randomized"])

    @property
    def name(self) -> str:
        """The experiment's name in words, else its id."""
        name = self.about["name"]
        return name if isinstance(name, str) and name.strip() else self.experiment

    @property
    def treated(self) -> list[str]:
        """The arms that get something, by name."""
        return sorted(set(self.facts["arm"]) - {self.control})

    @property
    def windows(self) -> list[int]:
        """The windows that are over for every customer, in days."""
        sizes = self.moments.groupby("window_days")[["assigned", "n"]].sum()
        return sizes.index[sizes["assigned"] == sizes["n"]].tolist()

    @property
    def complete(self) -> bool:
        """Whether the declared window is over for every customer."""
        return self.window in self.windows

    def arms(self, window: int | None = None, *, where: Mapping | None = None) -> dict:
        """Give the moments of each arm in a window (the declared one), of one segment if asked."""
        rows = self.moments[self.moments["window_days"] == (window or self.window)]
        for column, value in (where or {}).items():
            rows = rows[rows[column] == value]
        return effects.arms_of(rows)

    def cost_each(self, arm: str) -> float:
        """Give what treating one customer of an arm costs; a cost that is not stated is none."""
        return cost_each(self.about, arm, self.control)

    def fixed_cost(self, arm: str) -> float:
        """Give the arm's part of the fixed cost, by customers of all treated arms."""
        fixed, sizes = self.about["fixed_cost"], self.facts.set_index("arm")["customers"]
        everyone = float(sizes.drop(self.control, errors="ignore").sum())
        return 0.0 if is_missing(fixed) or not everyone else float(fixed * sizes[arm] / everyone)

    @property
    def planned_shares(self) -> dict[str, float] | None:
        """The planned share of each arm, where it is declared."""
        return numbers_by_name(
            self.about["planned_shares"], "experiments.planned_shares", "control=1;mail=9"
        )

    @property
    def kind(self) -> str:
        """What is tried, as declared (a key of KINDS), or an empty string."""
        found = self.about.get("kind")
        word = (
            found.strip().lower().replace("-", "_").replace(" ", "_")
            if isinstance(found, str)
            else ""
        )
        return word if word in KINDS else ""

    @property
    def cells(self) -> dict[tuple[int, int], str] | None:
        """The arms of a two by two test by the levels of its factors, or None if it is none."""
        levels = {
            row.arm: numbers_by_name(row.factors, "assignments.factors", "offer=1;reminder=0")
            for row in self.facts.itertuples()
        }
        if any(found is None for found in levels.values()) or len(levels) != 4:
            return None
        names = {tuple(sorted(found)) for found in levels.values()}
        if len(names) != 1 or len(next(iter(names))) != 2:
            return None
        cells = {tuple(int(found[f]) for f in self.factors): arm for arm, found in levels.items()}
        return cells if set(cells) == {(0, 0), (1, 0), (0, 1), (1, 1)} else None

    @property
    def factors(self) -> list[str]:
        """The names of the factors, by name; empty where none are written."""
        found = [
            numbers_by_name(text, "assignments.factors", "offer=1;reminder=0")
            for text in self.facts["factors"]
        ]
        return sorted({name for each in found if each for name in each})

    @property
    def design(self) -> str:
        """The design in words."""
        if not self.randomized:
            return "not drawn"
        if self.cells:
            return "two by two"
        return {0: "no treated arm", 1: "two arms"}.get(
            len(self.treated), f"{len(self.treated) + 1} arms"
        )


def load_trials(study: Study) -> dict[str, Trial]:
    """Load every declared experiment with assignments, the one that ended last first.

    An experiment with an arm below the shop's smallest group is left out: its figures would be
    those of persons. So is one without a row in the table experiments.
    """
    moments = summaries.load(study, "experiment_moments")
    facts = summaries.load(study, "experiment_arms")
    declared = summaries.load(study, "experiment_list")
    few = facts["customers"] < study.shop.privacy.min_cell
    shown = set(facts["experiment_id"]) - set(facts.loc[few, "experiment_id"])
    declared = declared[declared["experiment_id"].isin(shown)].drop_duplicates("experiment_id")
    order = declared.sort_values(["ended_date", "experiment_id"], ascending=[False, True])
    return {
        row["experiment_id"]: Trial(
            row["experiment_id"],
            row,
            _of(moments, row["experiment_id"]),
            _of(facts, row["experiment_id"]),
        )
        for _, row in order.iterrows()
    }


def _of(frame: pd.DataFrame, experiment: str) -> pd.DataFrame:
    return frame[frame["experiment_id"] == experiment].reset_index(drop=True)
