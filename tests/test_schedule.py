"""The examples of a schedule call what the command line understands, at the time they say."""

import configparser
import re
import shlex

import pytest
import yaml

from helpers.__main__ import main
from helpers.contract.shop import ROOT

FOLDER = ROOT / "docs" / "schedule"
MAKE = (ROOT / "Makefile").read_text(encoding="utf-8")


def text(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def unit(name):
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str
    found.read_string(text(name))
    return found


def understood(command):
    """Say which options of `report` a command gives, as click reads them."""
    words = shlex.split(command.partition("python -m helpers ")[2])
    name, *options = words
    context = main.commands[name].make_context(name, options)
    return name, context.params


@pytest.mark.parametrize(
    "command",
    [
        unit("ltv-report.service")["Service"]["ExecStart"],
        text("ltv-report.cron").splitlines()[-1],
    ],
)
def test_the_command_is_one_that_exists(command):
    name, options = understood(command)
    assert (name, options["shop"], options["month"]) == ("report", "myshop", "")


def test_all_run_on_the_second_of_the_month():
    cron = text("ltv-report.cron").splitlines()[-1].split()[:5]
    workflow = yaml.safe_load(text("ltv-report.yml"))
    assert workflow[True]["schedule"][0]["cron"].split() == cron == ["15", "6", "2", "*", "*"]
    assert unit("ltv-report.timer")["Timer"]["OnCalendar"] == "*-*-02 06:15:00"


def test_the_service_is_not_tried_again_after_a_wrong_name():
    service = unit("ltv-report.service")["Service"]
    assert service["RestartPreventExitStatus"] == "2"
    with pytest.raises(SystemExit) as stopped:
        main(["report", "--month", "may"])
    assert stopped.value.code == 2


def test_the_workflow_calls_a_target_and_passes_no_text_into_a_script():
    job = yaml.safe_load(text("ltv-report.yml"))["jobs"]["report"]
    runs = [step["run"] for step in job["steps"] if "run" in step]
    for run in runs:
        assert "${{" not in run, "what a person types reaches a script by the environment alone"
        assert re.search(rf"^{run.split()[1]}:", MAKE, re.MULTILINE)


def test_what_is_said_of_files_is_there():
    page = (ROOT / "docs" / "schedule.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\(schedule/([^)]+)\)", page))
    assert named == {path.name for path in FOLDER.iterdir()}
