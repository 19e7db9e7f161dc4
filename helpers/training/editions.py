"""The two editions of an exercise: the solved one that is kept, and the student's made from it.

In the solved edition a cell tagged ``solution`` binds the answers, and the ``check`` cell after it
reads them. The student's edition has dots in place of each answer, and no output at all.
"""

import ast
import copy
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from helpers.contract.shop import ROOT
from helpers.errors import UsageError, WorkbookError
from helpers.publishing.notebook_files import digest_cells, normalize, tags_of, write_notebook
from helpers.records import read_notebook, work_folder
from helpers.runs import kernels

EXERCISES = ROOT / "notebooks" / "exercises"


def exercises() -> list[Path]:
    """List the solved exercises in order."""
    return sorted(EXERCISES.glob("[0-9]*.ipynb"))


def student_edition(notebook: Mapping) -> dict:
    """Make the student's edition: dots for answers, no solution, no output; the rest as it is.

    Of the names that a solution cell binds, those that a check or the reveal reads are kept as
    ``name = ...``. Raises UsageError for a solution that binds none of them.
    """
    made = copy.deepcopy(dict(notebook))
    asked = {
        name
        for cell in made["cells"]
        if cell["cell_type"] == "code" and "solution" not in tags_of(cell)
        for name in _names(cell["source"], ast.Load)
    }
    for cell in made["cells"]:
        if cell["cell_type"] != "code":
            continue
        cell |= {"outputs": [], "execution_count": None}
        if "solution" in tags_of(cell):
            bound = [n for n in _names(cell["source"], ast.Store) if n in asked]
            if not bound:
                raise UsageError(
                    f"The solution in cell '{cell['id']}' binds no name that a check reads."
                )
            cell["source"] = "\n".join(f"{name} = ..." for name in dict.fromkeys(bound))
            cell["metadata"] = {"tags": ["exercise"]}
    return made


def _names(source: str, context: type) -> list[str]:
    """List the names that a cell reads or binds, in the order of the text."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)]
    nodes.sort(key=lambda n: (n.lineno, n.col_offset))
    return [n.id for n in nodes if isinstance(n.ctx, context)]


def write_students(folder: Path | None = None, *, fresh: bool = False) -> tuple[Path, list[str]]:
    """Write the student's edition of all exercises; give the folder and notes.

    A file that was worked on is kept as it is; with ``fresh`` it is kept beside the new one as
    ``.before``. Default folder: exercises/ among the working files, which git ignores.
    """
    folder, notes = folder or work_folder() / "exercises", []
    if folder.resolve().is_relative_to(EXERCISES.resolve()):
        raise UsageError("The folder of the solved exercises would be written over. Name another.")
    folder.mkdir(parents=True, exist_ok=True)
    for source in exercises():
        target = folder / source.name
        with tempfile.TemporaryDirectory(prefix="ltv-") as scratch:
            made = Path(scratch) / source.name
            write_notebook(normalize(student_edition(read_notebook(source))), made)
            worked_on = target.exists() and digest_cells(target) != digest_cells(made)
            if worked_on and not fresh:
                notes.append(f"{source.stem} was worked on and is kept as it is")
                continue
            if worked_on:
                os.replace(target, target.with_suffix(".before.ipynb"))
            target.write_bytes(made.read_bytes())
    return folder, notes


def store() -> list[str]:
    """Run the solved exercises in clean kernels and store their outputs; name what changed."""
    changed = []
    for path in exercises():
        with tempfile.TemporaryDirectory(prefix="ltv-") as scratch:
            partial = Path(scratch) / path.name
            try:
                ran = kernels.execute(
                    path, {}, shown={}, name=path.stem, partial=partial, variables={}
                )
            except kernels.NotebookError as error:
                kept = kernels.keep_evidence(error, work_folder() / "failed" / "exercises")
                raise WorkbookError(f"{error} Nothing more was stored; see {kept}.") from None
            fresh = Path(scratch) / f"{path.stem}.new.ipynb"
            write_notebook(normalize(ran), fresh)
            if fresh.read_bytes() != path.read_bytes():
                path.write_bytes(fresh.read_bytes())
                changed.append(path.stem)
    return changed
