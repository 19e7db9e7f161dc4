"""The steps of one month: which notebooks have a result already, and running those that have none.

A result is an executed notebook under its key: in the published month, or in work/cache/.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from helpers import notes
from helpers.contract.shop import ROOT, Shop
from helpers.errors import WorkbookError
from helpers.publishing import publish
from helpers.records import (
    digest,
    read_notebook,
    record_of,
    records_in,
    write_record,
)
from helpers.runs import kernels, keys
from helpers.runs.keys import PLAN, Step

Progress = Callable[[str, str, float], None]  # what happened, to which notebook, after seconds
_SEVERAL_PAGES = ("05_campaign_uplift",)


@dataclass(frozen=True)
class Job:
    """One month of a run: the shop, its parameters by notebook, and the folders it works in."""

    shop: Shop
    month: str
    info: object
    values: Mapping[str, Mapping[str, object]]
    notebooks: Path
    reports: Path
    work: Path
    jobs: int = 1
    force: bool = False
    # Earlier months that 06 compares with, by the digest of their records ("" if not published).
    earlier: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> Path:
        """Give the folder of the published month."""
        return self.reports / self.shop.name / self.month

    def folder(self, kind: str) -> Path:
        """Give the month's own folder of a kind (runs, cache, failed) under work/."""
        return self.work / kind / self.shop.name / self.month


@dataclass(frozen=True)
class Done:
    """A notebook with its result: where it is, its key, its values, the digest of its record."""

    step: Step
    key: str
    path: Path
    record: str
    values: Mapping[str, object]
    seconds: float = 0.0
    ran: bool = False


def run_notebooks(job: Job, published: dict | None, progress: Progress) -> dict[str, Done]:
    """Give the result of every notebook by page name, running those that have none.

    After a failure nothing new starts; what runs beside it may finish, so that its result is kept.
    Raises WorkbookError for the first that failed, in the order of the plan.
    """
    waiting, done, running, failed = list(PLAN), {}, {}, []

    def add(result: Done) -> None:
        done[result.step.name] = result
        waiting.extend(_further_pages(job, result))

    with ThreadPoolExecutor(max_workers=job.jobs) as pool:
        while waiting or running:
            ready = [step for step in waiting if set(step.reads) <= set(done) and not failed]
            # While one runs, the next is chosen as late as it can be started.
            if ready and len(running) < job.jobs:
                step = max(ready, key=_readers)
                waiting.remove(step)
                key = _key(job, step, done)
                found = None if job.force else _kept(job, step, key, published)
                if found:
                    progress("kept", step.name, 0.0)
                    add(found)
                else:
                    kernels.load_engine()
                    records = _hand_over(job, step, done)
                    running[pool.submit(_run, job, step, key, records, progress)] = step
            elif running:
                finished, failures = _collect(running)
                failed += failures
                for result in finished:
                    add(result)
            else:
                break
    if failed:
        raise _failure(job, failed)
    return dict(sorted(done.items()))


def _readers(step: Step) -> int:
    """Count the notebooks that wait for this one: the first to start is what most wait for."""
    return sum(step.name in other.reads for other in PLAN)


def _collect(running: dict[Future, Step]) -> tuple[list[Done], list[kernels.NotebookError]]:
    """Wait for the next notebook to end and take what has ended out of ``running``."""
    finished, failed = [], []
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        del running[future]
        try:
            finished.append(future.result())
        except kernels.NotebookError as error:
            failed.append(error)
    return finished, failed


def _values(job: Job, step: Step) -> dict[str, object]:
    return {**job.values[step.notebook], **step.values}


def _key(job: Job, step: Step, done: Mapping[str, Done]) -> str:
    from helpers.publishing.notebook_files import digest_cells

    return keys.notebook_key(
        cells=digest_cells(job.notebooks / f"{step.notebook}.ipynb"),
        values=_values(job, step),
        inputs=job.info.digest,
        upstream={name: f"{done[name].key} {done[name].record}" for name in step.reads},
        earlier=job.earlier if step.reads_earlier else {},
        notes=_notes(job, step),
    )


def _notes(job: Job, step: Step) -> str:
    """Give the digest of what a step reads of the shop's notes and bounds; most read none."""
    return notes.inputs_digest(job.shop, job.month) if step.reads_notes else ""


def _kept(job: Job, step: Step, key: str, published: dict | None) -> Done | None:
    """Find a notebook's result under its key: in the published month, else in the cache."""
    values = _values(job, step)
    if published and published.get("keys", {}).get(step.name) == key:
        inside = f"notebooks/{step.name}.ipynb"
        path, digests = job.target / inside, published["files"]
        if path.is_file() and publish.file_digest(path) == digests.get(inside):
            seconds = published.get("seconds", {}).get(step.name, 0.0)
            return Done(step, key, path, published["records"][step.name], values, seconds)
    path = cached(job, step, key)
    try:
        return Done(step, key, path, digest(record_of(read_notebook(path))), values)
    except (OSError, ValueError):
        return None


def cached(job: Job, step: Step, key: str) -> Path:
    """Say where the result of a notebook under a key is cached."""
    return job.folder("cache") / step.name / f"{key}.ipynb"


def _further_pages(job: Job, result: Done) -> list[Step]:
    """List the further pages that a notebook asks for in its record.

    Its record's extra ``more_pages`` holds one dictionary of parameter values for each, such as
    an experiment that ended in the month. Further pages ask for none themselves.
    """
    if result.step.name not in _SEVERAL_PAGES:
        return []
    record = record_of(read_notebook(result.path)) or {}
    own, pages = _values(job, result.step), {}
    for values in record.get("extra", {}).get("more_pages", []):
        unknown = sorted(set(values) - set(own))
        if unknown:
            raise WorkbookError(
                f"{result.step.name}: more_pages names the parameter '{unknown[0]}', "
                f"which the notebook does not declare. Accepted: {', '.join(own)}."
            )
        if {**own, **values} != own:
            page = keys.variant(result.step, values)
            pages[page.name] = page
    return [pages[name] for name in sorted(pages)]


def _hand_over(job: Job, step: Step, done: Mapping[str, Done]) -> Path:
    """Write the records that a notebook may read, and no others, into its own folder."""
    folder = job.folder("runs") / "records" / step.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in step.reads:
        write_record(folder, name, record_of(read_notebook(done[name].path)))
    for month in job.earlier if step.reads_earlier else ():
        (folder / month).mkdir(exist_ok=True)
        for name, record in records_in(job.target.parent / month / "notebooks").items():
            write_record(folder / month, name, record)
    return folder


def _run(job: Job, step: Step, key: str, records: Path, progress: Progress) -> Done:
    """Run one notebook in this thread and cache its result."""
    from helpers.publishing.notebook_files import normalize, write_notebook

    started = time.monotonic()
    progress("runs", step.name, 0.0)
    values = _values(job, step)
    try:
        notebook = kernels.execute(
            job.notebooks / f"{step.notebook}.ipynb",
            {**values, **given_shop(job, values)},
            shown=values,
            name=step.name,
            partial=job.folder("runs") / "partial" / f"{step.name}.ipynb",
            variables={
                "LTV_RECORDS": str(records),
                "LTV_REPORTS": str(job.reports),
                "LTV_WORK": str(job.work),
                "LTV_INPUTS": job.info.digest,
                "LTV_NOTES": _notes(job, step),
            },
        )
    except kernels.NotebookError:
        progress("failed", step.name, time.monotonic() - started)
        raise
    notebook, path = normalize(notebook), cached(job, step, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    write_notebook(notebook, fresh)
    os.replace(fresh, path)
    seconds = time.monotonic() - started
    progress("done", step.name, seconds)
    return Done(step, key, path, digest(record_of(read_notebook(path))), values, seconds, ran=True)


def given_shop(job: Job, values: Mapping[str, object]) -> dict[str, str]:
    """Give a kernel the folder of a shop that is not under data/; pages show its name only."""
    outside = job.shop.folder != (ROOT / "data" / job.shop.name).resolve()
    return {"shop": str(job.shop.folder)} if "shop" in values and outside else {}


def _failure(job: Job, failed: list[kernels.NotebookError]) -> WorkbookError:
    """Keep what failed aside and say in one line what went wrong and where to look."""
    first = min(failed, key=lambda error: error.name)
    kept = {error.name: kernels.keep_evidence(error, job.folder("failed")) for error in failed}
    place = kept[first.name]
    if place.is_relative_to(ROOT):
        place = place.relative_to(ROOT)
    others = f" ({len(failed) - 1} more failed beside it)" if len(failed) > 1 else ""
    error = WorkbookError(
        f"{first} Nothing was published; see {place}, mend the cause, and run the same command "
        f"again{others}."
    )
    error.exit_code = first.exit_code
    return error
