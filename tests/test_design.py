"""The shape of the code: who may import whom, and who may read order rows."""

import ast
import re
import tempfile
from pathlib import Path

import pytest

from helpers.contract.shop import ROOT

HELPERS = ROOT / "helpers"
FILES = {
    ".".join(path.relative_to(HELPERS).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(HELPERS.rglob("*.py"))
    if path != HELPERS / "__init__.py"
}
MODULES = sorted(FILES)
# In the order data flows; a module imports only from modules above it.
FLOW = [
    "errors",
    "files",
    "written", "written_tables",
    "contract.tables", "contract.conversions", "contract.settings", "contract.goals",
    "contract.shop",
    "engines", "engines.duckdb", "engines.spark", "engines.postgres", "engines.faults",
    "sources.headers", "sources.readers", "sources.workbooks", "sources.typed",
    "cleaning.rules", "cleaning.marks", "cleaning.refunds", "cleaning.facts", "cleaning.tally",
    "cleaning.loading",
    "persons.keys", "persons.words", "persons.scrub",
    "cleaning.quarantine", "cleaning.clean_tables", "cleaning.store",
    "records",
    "notes",
    "figures.style", "figures.axes", "figures.marks", "figures.waterfall", "figures.run_chart",
    "figures.layers", "figures.panels", "figures.triangle", "figures",
    "show",
    "sliders",
    "study",
    "catalog.entry", "catalog.sales", "catalog.customers", "catalog.value", "catalog.acquisition",
    "catalog.campaigns", "catalog.contact", "catalog.month", "catalog.thresholds", "catalog",
    "measures.metrics", "measures.withheld",
    "summaries.arithmetic", "summaries.days", "summaries.expressions", "summaries.ages", "summaries.consent", "summaries.reconciliation",
    "summaries.freshness", "summaries.moments", "summaries.winning", "summaries.responses",
    "summaries.contracts", "summaries.value_expressions", "summaries.experiments", "summaries.experiment_moments",
    "summaries.experiment_trails", "summaries.experiment_samples", "summaries.cohort_expressions",
    "summaries.behaviour", "summaries.resampling", "summaries.prediction", "summaries.listed",
    "summaries",
    "measures.repurchase", "measures.ltv", "measures.economics", "measures.cohorts",
    "measures.run_in", "measures.cac", "measures.behaviour", "measures.affinity",
    "measures.surveys", "measures.activation", "measures.funnels", "measures.lifetimes",
    "measures.mixture", "measures.decomposition",
    "models.likelihood", "models.states", "models.purchase", "models.beta_geometric",
    "models.decay", "models.pareto_nbd", "models.btyd", "models.season", "models.segments",
    "models.gamma_gamma", "models.terms", "models.forecast", "models.portfolio", "models.chances",
    "models.futures", "models.calendar", "models.boosting", "models.rules", "models.backtest",
    "models.newcomers", "models.ledger", "models.drift", "models.customer_summary", "models.sbg", "models.chain_ladder",
    "models.curves", "models.prediction", "models.projection",
    "experiments.effects", "experiments.cuped", "experiments.ratios", "experiments.decomposition",
    "experiments.multiplicity", "experiments.guardrails", "experiments.trust",
    "experiments.power", "experiments.design", "experiments.factorial", "experiments.looks",
    "experiments.readout", "experiments.pooling", "experiments.decisions", "experiments.scores",
    "experiments.targeting", "experiments.observational", "experiments.lifetimes",
    "chapters.reconciliation_tables", "chapters.ltv_tables", "chapters.value_tables",
    "chapters.segment_tables", "chapters.what_if", "chapters.change_tables",
    "chapters.cohort_tables", "chapters.payback_tables", "chapters.trait_tables",
    "chapters.projection_tables", "chapters.naive", "chapters.intake", "chapters.backtest_tables",
    "chapters.outlooks", "chapters.forecast_tables", "chapters.forecast_uses", "chapters.ledgers",
    "chapters.forecast_sentences",
    "chapters.scorecard", "chapters.run_chart", "chapters.twelve", "chapters.restated",
    "chapters.alerts", "chapters.in_short", "chapters.trial_costs", "chapters.spending", "chapters.trials", "chapters.trial_checks",
    "chapters.trial_readouts", "chapters.trial_values", "chapters.trial_cards",
    "chapters.all_trials",
    "chapters.trial_designs", "chapters.trial_targets", "chapters.uplift_tables",
    "chapters.uplift_clv",
    "chapters.beliefs", "chapters.cautions", "chapters.findings", "chapters.value_findings",
    "chapters.formula_findings", "chapters.intake_findings", "chapters.findings_winning",
    "chapters.findings_forecast", "chapters.forecast_levers", "chapters.findings_responses",
    "chapters.onboarding", "chapters.findings_cohorts", "chapters.findings_waits",
    "chapters.findings_behaviour", "chapters.findings_projection", "chapters.staying",
    "course.answers", "course.values", "course.first", "course.intake", "course.cohorts",
    "course.forecasts", "course.campaigns", "course.months", "course.truths", "course.checks",
]  # fmt: skip
PACKAGES = {name.split(".")[0] for name in FLOW if "." in name}
# What reads order rows: files to clean tables.
READING = (
    "engines.duckdb",
    "engines.spark",
    "cleaning.clean_tables",
    "cleaning.loading",
    "cleaning.quarantine",
    "sources.readers",
    "sources.typed",
)
# What reads the key table and the shop's own files: pseudonyms, erasure, lists of customers.
PRIVATE = ("persons.keys", "privacy.redaction.tables", "privacy.lists")
# What runs and publishes notebooks, makes shops, or works on a shop's own files: no module of the
# flow may know it.
RUNNING = set(MODULES) - set(FLOW)


def imported(module: str, *, late: bool = True) -> set[str]:
    """Modules of helpers that a module imports; without ``late``, only those at its top."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if late else tree.body:
        if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers")):
            continue
        base = node.module.removeprefix("helpers").removeprefix(".")
        for alias in node.names:
            inside = f"{base}.{alias.name}".removeprefix(".")
            found.add(inside if inside in FILES else base)
    return found - {""}


@pytest.mark.parametrize("module", FLOW)
def test_imports_point_up_the_flow(module):
    above = set(FLOW[: FLOW.index(module)])
    wrong = imported(module, late=False) - above
    assert not wrong, f"{module} imports {wrong}, which stand below it"
    assert not imported(module) & RUNNING, "analysis knows nothing of runs"


def test_every_module_has_its_place():
    known = {*FLOW, *PACKAGES, "__main__", "workbench", "summary_forecast"}
    apart = {
        name
        for name in MODULES
        if name.split(".")[0]
        in ("newshop", "privacy", "publishing", "runs", "simulate", "training")
    }
    assert known | apart == set(MODULES)


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if m not in (*READING, "summaries", "study", *PRIVATE)],
)
def test_only_cleaning_and_summaries_read_order_rows(module):
    text = FILES[module].read_text(encoding="utf-8")
    assert not re.search(r"\b(study|self)\.table\(", text), (
        "clean tables are read by summaries alone"
    )
    assert "read_parquet" not in text or module.startswith("simulate")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_explained(module):
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module says what it is for"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module}.{node.name} has no docstring"


def test_nothing_names_a_place_of_its_making():
    for path in [*HELPERS.rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb"), ROOT / "README.md"]:
        text = path.read_text(encoding="utf-8")
        places = (str(ROOT), str(Path.home()) + "/", tempfile.gettempdir() + "/")
        assert not any(place in text for place in places), path
