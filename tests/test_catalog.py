"""The catalog: every measure defined once, in words that hold, and its glossary page."""

import ast
import operator
import re

import pytest

from helpers import catalog, summaries
from helpers.catalog.entry import UNITS
from helpers.contract.shop import ROOT
from helpers.contract.tables import TABLES
from helpers.errors import UsageError
from helpers.measures import metrics
from helpers.publishing import indexes
from helpers.study import open_study

ENTRIES = list(catalog.CATALOG.values())
REQUIREMENTS = range(1, 100)
# Asked of the workbook and no number: what answers each instead.
NOT_A_MEASURE = {
    2: "a log of what was believed and decided: the list of experiments",
    4: "costs and conversions recorded the same way from any export: the contract of tables",
    5: "one page a month: the scorecard",
    8: "a summary of each test in words: the experiment card",
    28: "mistakes to warn of: the pitfalls of the measures",
    40: "assumptions laid open: the lines under 'About this report'",
    41: "a light pipeline: the cleaning notebook",
    69: "uses of the values: the sections of the notebooks",
    73: "the kind of business: a setting of the shop",
    95: "sources brought together before a forecast: the tables and the cleaning notebook",
    99: "the whole on one page, words included: the scorecard and the glossary",
}
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def calculated(node) -> float:
    """Work out an arithmetic expression of plain numbers."""
    if isinstance(node, ast.BinOp):
        return _ARITHMETIC[type(node.op)](calculated(node.left), calculated(node.right))
    assert isinstance(node, ast.Constant), "an example holds numbers only"
    return float(node.value)


def test_every_requirement_has_a_measure_or_a_reason_for_none():
    measured = {number for each in ENTRIES for number in each.requirements}
    assert measured <= set(REQUIREMENTS)
    assert measured | set(NOT_A_MEASURE) == set(REQUIREMENTS)
    assert not measured & set(NOT_A_MEASURE)
    assert all(NOT_A_MEASURE.values())


def test_every_rule_of_thumb_is_there():
    rules = list(catalog.THRESHOLDS.values())
    assert {rule.rule for rule in rules} == {*(f"T{n}" for n in range(1, 18)), "W8", "W9"}
    for rule in rules:
        assert rule.sentence.endswith(".") and rule.used_in in notebooks()
        assert len(rule.values) in (0, 1, 2) and list(rule.values) == sorted(rule.values)
        assert bool(rule.values) == bool(rule.unit)
    assert [r.value for r in rules if r.rule == "T14"] == ["8 to 12 percent"]
    assert [r.value for r in rules if r.rule == "T16"] == [""]


def notebooks() -> set[str]:
    return {path.name[:2] for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}


def test_names_are_unique_and_other_names_belong_to_one_measure():
    names = [each.name for each in ENTRIES]
    assert len(names) == len(set(names)) == sum(len(each) for each in catalog.THEMES.values())
    labels = [each.label for each in ENTRIES]
    assert len(labels) == len(set(labels))
    owners = {}
    for each in ENTRIES:
        for alias in each.aliases:
            assert owners.setdefault(catalog.key(alias), each.name) == each.name, alias
            assert catalog.key(alias) not in set(names) - {each.name}, alias
    assert not set(catalog.ALIASES) & {*names, *catalog.THRESHOLDS}
    assert not set(names) & set(catalog.THRESHOLDS)


@pytest.mark.parametrize("word", ["LTV", "CLV", "CAC", "churn"])
def test_a_word_that_means_several_things_names_none(word):
    with pytest.raises(UsageError, match="no measure"):
        catalog.entry(word)


@pytest.mark.parametrize(
    ("said", "name"),
    [("APV", "aov"), ("PF", "purchase_frequency"), ("ARPPU", "arpu"), ("PRR", "return_rate"),
     ("ACL", "customer_lifespan"), ("LD", "lifetime_duration"), ("LTV:CAC", "ltv_to_cac"),
     ("CES (engagement)", "engagement_score"), ("aov", "aov")],
)  # fmt: skip
def test_other_names_lead_to_the_measure(said, name):
    assert catalog.entry(said).name == name


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda each: each.name)
def test_an_entry_says_what_it_is(entry):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.name)
    assert entry.unit in UNITS and entry.notebook in notebooks()
    assert entry.label and entry.formula and entry.window and entry.needs and entry.pitfalls
    assert not entry.denominator or entry.numerator
    sentences = (entry.sentence, *entry.pitfalls)
    assert all(text[0].isupper() and text.endswith(".") for text in sentences)
    assert entry.requirements or entry.numerator_column
    assert (
        entry.unit != "percent"
        or entry.denominator
        or " - " in entry.formula
        or "chance" in entry.formula
    )
    for need in entry.needs:
        table, _, column = need.partition(".")
        assert column in {each.name for each in TABLES[table].columns}, need


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.example], ids=lambda each: each.name)
def test_an_example_holds(entry):
    left, _, right = entry.example.rpartition(" = ")
    found = calculated(ast.parse(left, mode="eval").body)
    assert found == pytest.approx(float(right), abs=10 ** -len(right.partition(".")[2]) / 2)


def test_the_worked_examples_are_those_of_the_sources():
    of = {each.name: each.example.rpartition(" = ")[2] for each in ENTRIES if each.example}
    stated = {"lifetime_cycles": "20", "ltv_formula": "300", "churn_sensitivity": "2.5",
              "ltv_horizon": "144", "break_even_conversion": "0.50", "ltv_revenue": "600"}  # fmt: skip
    assert {name: of[name] for name in stated} == stated


@pytest.fixture(scope="module")
def periods():
    return summaries.load(open_study("sample", "2026-05"), "periods")


@pytest.mark.parametrize("name", list(metrics.MEASURES))
@pytest.mark.parametrize("grain", ["month", "quarter"])
@pytest.mark.parametrize("dimension", ["all", "channel"])
def test_every_computed_measure_computes_on_the_sample(periods, name, grain, dimension):
    found = metrics.by_grain(periods, [name], grain=grain, dimension=dimension)
    assert found[name].notna().all() and (found[name] >= 0).all()
    if catalog.entry(name).unit == "percent":
        assert (found[name] <= 1).all()


def test_distinct_customers_of_a_quarter_are_fewer_than_those_of_its_months(periods):
    count = {
        grain: metrics.by_grain(periods, ["customers", "new_customers", "revenue"], grain=grain)
        for grain in ("month", "quarter")
    }
    in_months = count["month"].groupby(count["month"]["start"].dt.to_period("Q"))
    in_months = in_months[["customers", "new_customers", "revenue"]].sum().reset_index(drop=True)
    quarters = count["quarter"]
    whole = in_months["customers"].to_numpy() > quarters["customers"].to_numpy()
    assert whole.all()
    assert in_months["new_customers"].tolist() == quarters["new_customers"].tolist()
    assert in_months["revenue"].to_numpy() == pytest.approx(quarters["revenue"].to_numpy())


NAV = [
    {"href": "../../index.html", "title": "All months", "current": False},
    {"href": "index.html", "title": "This month", "current": False},
    {"href": "02_b.html", "title": "What is it worth?", "current": False},
    {"href": "02_b--more.html", "title": "More of it", "current": False},
    {"href": "glossary.html", "title": "Glossary", "current": True},
]


def rendered() -> str:
    return indexes.render_glossary(
        shop_title="Sample <b>", month="2026-06", pages=NAV[2:4], about={"Shop": "S"}, nav=NAV
    )


def test_the_page_has_an_anchor_for_every_measure_other_name_and_rule():
    ids = re.findall(r'id="([^"]+)"', rendered())
    assert len(ids) == len(set(ids))
    assert {*catalog.CATALOG, *catalog.ALIASES, *catalog.THRESHOLDS} <= set(ids)


def test_the_page_shows_what_an_entry_holds():
    page = rendered()
    aov = page[page.index('<h3 id="aov"') : page.index('<h3 id="purchase_frequency"')]
    for text in (
        "revenue / orders",
        "Numerator",
        "Denominator",
        "orders.revenue",
        "APV",
        "never a mean of customers",
    ):
        assert text in aov
    assert '<a href="02_b.html">What is it worth?</a>' in aov
    assert "More of it" not in aov
    assert "Sample &lt;b&gt;, June 2026" in page
    assert page == rendered()


def test_the_page_keeps_numbers_of_requirements_to_itself():
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", rendered(), flags=re.DOTALL)
    assert "equirement" not in words
    assert not re.search(r"\b[TW]\d{1,2}\b", words)


def test_the_printed_catalog_is_current():
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written.partition("\n## ")[2] == catalog.document().partition("## ")[2]
