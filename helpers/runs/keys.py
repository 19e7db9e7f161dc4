"""What a run is made of: the six notebooks in order, their parameters, and the key of each.

A notebook's key is a digest of everything its result depends on. The same key means the same
result, so a run does only what has no result under its key yet.
"""

import hashlib
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from helpers.errors import UsageError, nearest
from helpers.records import VARIANT, digest

HELPERS = Path(__file__).resolve().parent.parent
# These decide how notebooks are run, rendered and published, not what a notebook computes.
_RUNNERS = ("__main__.py", "publishing", "workbench.py", "runs")
# Make or change a shop's files, which count as inputs, or read a shop beside its reports.
_APART = ("course", "newshop", "privacy", "simulate", "summary_forecast.py", "training")
_PACKAGES = (
    "duckdb",
    "ibis-framework",
    "ipykernel",
    "ipython",
    "jinja2",
    "matplotlib",
    "mistune",
    "nbclient",
    "nbconvert",
    "numpy",
    "pandas",
    "papermill",
    "pillow",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "seaborn",
    "sqlglot",
)
_SET = re.compile(r"(?:(?P<notebook>[^=.\s]+)\.)?(?P<name>[^=.\s]+)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One notebook of a run: its page's name and what it reads.

    ``reads`` names the notebooks whose records it reads, and so waits for; ``reads_notes`` says
    that it shows the shop's notes, and its targets and alerts.
    """

    name: str
    reads: tuple[str, ...] = ()
    reads_earlier: bool = False
    reads_notes: bool = False
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def notebook(self) -> str:
        """Give the notebook's name, which several pages may share."""
        return self.name.partition(VARIANT)[0]


_BASICS = ("02_historical_ltv", "03_cohort_analysis", "04_predictive_clv")
_FIRST_FIVE = ("01_data_cleaning", *_BASICS, "05_campaign_uplift")
PLAN = (
    Step("01_data_cleaning", reads_earlier=True),
    *(Step(name) for name in _BASICS),
    Step("05_campaign_uplift", reads=("04_predictive_clv",)),
    Step("06_monthly_scorecard", reads=_FIRST_FIVE, reads_earlier=True, reads_notes=True),
)


def variant(step: Step, values: Mapping[str, object]) -> Step:
    """Name a further page of a notebook after the values that set it apart.

    >>> variant(Step("05_campaign_uplift"), {"experiment": "spring_sale"}).name
    '05_campaign_uplift--spring_sale'
    """
    words = "-".join(str(value) for value in values.values())
    slug = re.sub(r"[^a-z0-9_]+", "-", words.lower()).strip("-")[:40]
    slug = slug if slug == words else f"{slug}-{digest(dict(values))[:6]}"
    return Step(
        f"{step.name}{VARIANT}{slug}",
        reads=step.reads,
        values=dict(values),
    )


def declared_parameters(folder: Path) -> dict[str, dict]:
    """Read the parameters that each notebook of the plan declares, by notebook and name."""
    from helpers.publishing.parameters import read_parameters

    missing = [step.name for step in PLAN if not (folder / f"{step.name}.ipynb").is_file()]
    if missing:
        raise UsageError(f"The notebook {missing[0]}.ipynb is not in {folder.name}/.")
    return {step.name: read_parameters(folder / f"{step.name}.ipynb") for step in PLAN}


def chosen_values(
    settings: Iterable[str], declared: Mapping[str, Mapping], *, shop: str, month: str
) -> dict[str, dict[str, object]]:
    """Give each notebook's parameter values: its defaults, the shop and month, and the settings.

    A setting is ``04.horizon_months=24`` (one notebook) or ``seed=3`` (every notebook that has
    it; a setting for one notebook goes before). Raises UsageError for anything that no notebook
    declares, with the nearest right name, and for a value that is not of the declared type.
    """
    from helpers.publishing.parameters import coerce

    values = {
        notebook: {name: parameter.default for name, parameter in parameters.items()}
        for notebook, parameters in declared.items()
    }
    parsed, seen = [_setting(text, declared) for text in settings], set()
    for text, notebooks, name, value in sorted(parsed, key=lambda part: -len(part[1])):
        if (tuple(notebooks), name) in seen:
            raise UsageError(f"--set {text}: '{name}' is set twice; give it once.")
        seen.add((tuple(notebooks), name))
        for notebook in notebooks:
            values[notebook][name] = _coerced(coerce, declared[notebook][name], value, text)
    for notebook in values:
        fixed = {"shop": shop, "month": month}
        values[notebook] |= {name: fixed[name] for name in fixed if name in declared[notebook]}
    return values


def notebook_key(
    *,
    cells: str,
    values: Mapping[str, object],
    inputs: str,
    upstream: Mapping[str, str],
    earlier: Mapping[str, str],
    notes: str = "",
) -> str:
    """Give the digest of all that a notebook's result depends on.

    ``cells`` is the digest of its source, ``inputs`` that of the shop's settings and files,
    ``upstream`` the digests of the records it reads in this run with the keys of the notebooks
    they come from, ``earlier`` those of earlier months, ``notes`` that of what the scorecard alone
    reads of the shop's folder. The helpers, presets, package versions
    and the Python version are added here; the runner's own modules, which cannot change a
    result, are left out, and so are the page templates, which belong to the page's key.
    """
    parts = {
        "cells": cells,
        "values": dict(values),
        "inputs": inputs,
        "upstream": dict(upstream),
        "earlier": dict(earlier),
        "notes": notes,
        "helpers": result_code_digest(),
        "versions": versions(),
    }
    return digest(parts)


def page_key(*, keys: Mapping[str, str], before: str) -> str:
    """Give the digest of all that the pages of a month depend on, templates included."""
    return digest({"keys": dict(keys), "before": before, "code": page_code_digest()})


def result_code_digest() -> str:
    """Give the digest of the helpers and presets that a notebook's result may depend on."""
    modules = [path for path in HELPERS.rglob("*.py") if _part(path) not in (*_RUNNERS, *_APART)]
    return _files_digest([*modules, *(HELPERS / "presets").glob("*.toml")])


def page_code_digest() -> str:
    """Give the digest of the runner's modules and the templates, which decide how pages look."""
    modules = [path for path in HELPERS.rglob("*.py") if _part(path) in _RUNNERS]
    templates = [
        path for path in (HELPERS / "publishing" / "templates").rglob("*") if path.is_file()
    ]
    return _files_digest([*modules, *templates])


def _part(path: Path) -> str:
    """Name the module or package of helpers that a file belongs to."""
    return path.relative_to(HELPERS).parts[0]


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _files_digest(paths: Iterable[Path]) -> str:
    files = sorted(path for path in paths if path.is_file() and "__pycache__" not in path.parts)
    return digest(
        [
            (path.relative_to(HELPERS).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in files
        ]
    )


def _setting(text: str, declared: Mapping[str, Mapping]) -> tuple[str, list[str], str, str]:
    """Take a --set apart into its text, the notebooks it is for, the name and the value."""
    match = _SET.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"--set {text}: it must be as name=value or 04.name=value, "
            "such as 04.horizon_months=24."
        )
    name = match["name"]
    if name in ("shop", "month"):
        raise UsageError(f"--set {text}: use --{name} for the {name} of the run.")
    notebooks = _notebooks(match["notebook"], text, declared)
    having = [notebook for notebook in notebooks if name in declared[notebook]]
    if not having:
        known = {name for notebook in notebooks for name in declared[notebook]} - {"shop", "month"}
        where = notebooks[0] if len(notebooks) == 1 else "No notebook"
        verb = "has no parameter" if len(notebooks) == 1 else "has a parameter"
        raise UsageError(
            f"--set {text}: {where} {verb} '{name}'. Accepted: {', '.join(sorted(known))}."
            f"{nearest(name, known)}"
        )
    return text, having, name, match["value"]


def _notebooks(given: str | None, text: str, declared: Mapping[str, Mapping]) -> list[str]:
    if given is None:
        return list(declared)
    matches = [name for name in declared if given in (name, name[:2], name[:2].lstrip("0"))]
    if not matches:
        names = [*declared, *(name[:2] for name in declared)]
        raise UsageError(
            f"--set {text}: there is no notebook '{given}'. Accepted: 01 to 06, or a full name "
            f"such as {next(reversed(declared))}.{nearest(given, names)}"
        )
    return matches


def _coerced(coerce: object, parameter: object, value: str, text: str) -> object:
    try:
        return coerce(parameter, value)
    except UsageError as error:
        raise UsageError(f"--set {text}: {error}") from None
    except ValueError as error:
        raise UsageError(
            f"--set {text}: '{parameter.name}' must be of type {parameter.type} ({error})."
        ) from None
