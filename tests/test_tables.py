from helpers.cleaning import rules
from helpers.contract import tables
from helpers.contract.shop import ROOT, load_shop

BEGIN, END = "<!-- dictionary: begin -->", "<!-- dictionary: end -->"


def test_dictionary_in_data_readme_is_the_contract():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    written = text.split(BEGIN)[1].split(END)[0].strip()
    assert written == tables.dictionary().strip()


def test_contract_is_consistent():
    for table in tables.TABLES.values():
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        assert table.dated_by in names
        assert all(column.type in tables.TYPES and column.meaning for column in table.columns)
        assert all(column.unit for column in table.columns if column.type == "money")
    assert tables.TABLES["orders"].required == ("order_id", "customer_id", "ordered_at", "revenue")


def test_rules_in_data_readme_are_the_rules():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    written = text.split("<!-- rules: begin -->")[1].split("<!-- rules: end -->")[0].strip()
    assert written == rules.dictionary().strip()


def test_every_rule_is_explained_once():
    found = rules.every_rule(load_shop("sample"))
    ids = [(rule.id, rule.severity) for rule in found]
    assert len(ids) == len(set(ids)) > 50
    severities = {"info", "flag", "repair", "quarantine", "fatal"}
    assert {rule.severity for rule in found} == severities
    assert all(rule.sentence and rule.why and rule.action for rule in found)
