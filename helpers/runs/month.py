"""The monthly run: six notebooks in order, side by side where cores allow, published as one.

Under work/ it uses ``runs/`` (what one run is working on), ``cache/`` (executed notebooks by key,
so that a stopped run goes on where it was), ``failed/`` (what a failed run left to look at) and
``locks/``. Under reports/ it writes only by publishing.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from helpers.contract.shop import ROOT, load_shop
from helpers.errors import UsageError, WorkbookError
from helpers.publishing import publish
from helpers.records import (
    digest,
    read_months,
    read_notebook,
    reports_folder,
    shift_month,
    work_folder,
)
from helpers.runs import kernels, keys
from helpers.runs.locks import one_run, publishing
from helpers.runs.steps import Done, Job, Progress, cached, run_notebooks

MOST_MONTHS = 120
_KEPT_RESULTS = 3


@dataclass(frozen=True)
class Outcome:
    """What a run did for a month: where it is, which notebooks ran, whether anything changed."""

    shop: str
    month: str
    index: str
    ran: tuple[str, ...]
    unchanged: bool
    notes: tuple[str, ...] = ()


def silent(what: str, name: str, seconds: float) -> None:
    """Report no progress."""


def report(
    shop: str = "sample",
    *,
    month: str = "",
    months: str = "",
    settings: Sequence[str] = (),
    jobs: int = 0,
    force: bool = False,
    progress: Progress = silent,
) -> list[Outcome]:
    """Run the notebooks of a shop for a month, or for months A..B in order, and publish them.

    Everything given is checked before anything starts. Raises UsageError for a wrong name, value
    or parameter, DataError where the data cannot carry the month, and WorkbookError where a
    notebook fails or another run holds the month; then that month stays as it was.
    """
    if month and months:
        raise UsageError("Give either --month or --months, not both.")
    wanted = month_range(months) if months else [month]
    found, notebooks = load_shop(shop), ROOT / "notebooks"
    declared = keys.declared_parameters(notebooks)
    keys.chosen_values(settings, declared, shop=found.name, month="")

    from helpers.cleaning import store as cleaning

    # While tables are cleaned, the process that kernels are forked from imports what they need.
    info = cleaning.prepare(found, meanwhile=kernels.start_forks)
    jobs_of_run = [
        Job(
            shop=found,
            month=each,
            info=info,
            values=keys.chosen_values(settings, declared, shop=found.name, month=each),
            notebooks=notebooks,
            reports=reports_folder(),
            work=work_folder(),
            jobs=jobs or default_jobs(),
            force=force,
        )
        for each in [cleaning.check_month(found, info, each) for each in wanted]
    ]
    return [run_month(job, progress) for job in jobs_of_run]


def month_range(months: str) -> list[str]:
    """List the months of a range A..B, both included.

    >>> month_range("2025-12..2026-02")
    ['2025-12', '2026-01', '2026-02']
    """
    first, _, last = months.partition("..")
    if not first or not last:
        raise UsageError(f"--months is '{months}'; it must be as 2026-01..2026-06.")
    found = [shift_month(first, 0)]
    while found[-1] < last and len(found) < MOST_MONTHS:
        found.append(shift_month(found[-1], 1))
    if found[-1] != last:
        raise UsageError(
            f"--months is '{months}'; it must run from an earlier month to a later one, as "
            f"2026-01..2026-06, over at most {MOST_MONTHS} months."
        )
    return found


def default_jobs() -> int:
    """Say how many notebooks run side by side: two where there are two cores, else one."""
    usable = getattr(os, "sched_getaffinity", None)
    return min(len(usable(0)) if usable else os.cpu_count() or 1, 2)


def run_month(job: Job, progress: Progress) -> Outcome:
    """Run what has no result yet, then publish the month if anything about it is new."""
    with one_run(job.work, job.shop.name, job.month) as notes:
        with publishing(job.work):
            notes = [*notes, *publish.recover(job.reports, job.shop.name)]
            publish.rebuild_home(job.reports)
        shutil.rmtree(job.folder("runs"), ignore_errors=True)
        published = publish.read_manifest(job.target)
        _check_place(job, published)
        months = {month: job.target.parent / month for month in read_months(job.month)}
        manifests = {month: publish.read_manifest(folder) for month, folder in months.items()}
        earlier = {month: publish.records_digest(found) for month, found in manifests.items()}
        job = replace(job, earlier=earlier)
        done = run_notebooks(job, published, progress)
        pages = _page_key(job, done)
        same = bool(published) and published.get("page_key") == pages and not job.force
        if not (same and publish.is_whole(job.target)):
            progress("publishes", "", 0.0)
            _publish(job, done, pages)
            same = False
        for kind in ("runs", "failed"):
            shutil.rmtree(job.folder(kind), ignore_errors=True)
        _prune(job, done)
    ran = tuple(name for name, each in done.items() if each.ran)
    index = str(job.target / "index.html")
    return Outcome(job.shop.name, job.month, index, ran, same, tuple(notes))


def _page_key(job: Job, done: Mapping[str, Done]) -> str:
    before = publish.read_manifest(job.target.parent / shift_month(job.month, -1)) or {}
    by_name = {name: each.key for name, each in done.items()}
    return keys.page_key(keys=by_name, before=before.get("files", {}).get("summary.json", ""))


def _publish(job: Job, done: Mapping[str, Done], page_key: str) -> None:
    """Render the month beside everything else, then put it in place in one move."""
    from helpers.runs import pages

    read = [pages.read_page(name, read_notebook(each.path)) for name, each in done.items()]
    build = job.folder("runs") / "build"
    summary = pages.build_month(
        build,
        shop=job.shop,
        month=job.month,
        pages=read,
        about=_about(job, done),
        before=job.target.parent / shift_month(job.month, -1),
    )
    manifest = _manifest(job, done, summary) | {"page_key": page_key}
    with publishing(job.work):
        publish.publish(
            build, reports=job.reports, shop=job.shop.name, month=job.month, manifest=manifest
        )
        publish.rebuild_home(job.reports)


def _manifest(job: Job, done: Mapping[str, Done], summary: Mapping) -> dict:
    """Give what is known about how a month was made; the only place for the clock."""
    return {
        "schema": 1,
        "shop": job.shop.name,
        "title": job.shop.title,
        "place": _place(job),
        "month": job.month,
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": {name: round(each.seconds, 1) for name, each in done.items()},
        "inputs": job.info.digest,
        "parameters": {name: dict(each.values) for name, each in done.items()},
        "versions": keys.versions(),
        "keys": {name: each.key for name, each in done.items()},
        "records": {name: each.record for name, each in done.items()},
        "earlier": dict(job.earlier),
        "currency": summary["currency"],
        "headline": summary["figures"],
        "alerts": summary["alerts"],
    }


def _place(job: Job) -> str:
    """Tell a shop from another of the same name: a digest of its folder, none under data/."""
    inside = job.shop.folder == (ROOT / "data" / job.shop.name).resolve()
    return "" if inside else digest(str(job.shop.folder))


def _check_place(job: Job, published: Mapping | None) -> None:
    """Refuse to overwrite the months of another shop whose folder has the same name."""
    if published and published.get("place", "") != _place(job):
        raise WorkbookError(
            f"{job.shop.name}: its reports folder holds {job.month} of a shop in another folder of "
            "the same name. Rename one of the two folders; or, if the shop has moved, move its "
            "months out of reports first."
        )


def _about(job: Job, done: Mapping[str, Done]) -> dict[str, str]:
    """Give what a page says about itself, as labels and texts without a clock or a folder."""
    orders = job.info.tables.get("orders", {})
    settings = {
        name: value
        for each in done.values()
        for name, value in each.values.items()
        if name not in ("shop", "month")
    }
    versions = keys.versions()
    return {
        "Shop": f"{job.shop.title} ({job.shop.name})",
        "Month": job.month,
        "Orders": f"{job.info.first_day} to {job.info.complete_through}",
        "Order lines": f"{orders.get('rows', 0):,} read, {orders.get('kept', 0):,} kept",
        "Parameters": ", ".join(f"{name} = {settings[name]}" for name in sorted(settings)),
        "Inputs": job.info.digest[:16],
        "Versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }


def _prune(job: Job, done: Mapping[str, Done]) -> None:
    """Keep the newest cached results of each notebook, and always the one just used."""
    for each in done.values():
        used = cached(job, each.step, each.key)
        paths = used.parent.glob("*.ipynb")
        old = sorted(paths, key=lambda path: (path != used, -path.stat().st_mtime))[_KEPT_RESULTS:]
        for path in old:
            path.unlink(missing_ok=True)
