"""Run one notebook in a fresh kernel of this interpreter, and say in a line what went wrong.

Papermill is imported here and only when a notebook must run. Kernels are started in threads of
one process, so nothing here changes the process's folder or environment.
"""

import logging
import os
import shutil
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from helpers import errors
from helpers.errors import WorkbookError
from helpers.records import read_notebook
from helpers.runs.forks import FORKS, supported

CELL_SECONDS = 1800
START_SECONDS = 120
_QUIET = ["--IPKernelApp.log_level=50"]  # ipykernel reports its transport at every start


@dataclass(frozen=True)
class Failure:
    """Why a notebook failed: the heading above the cell, the fault in words, its exit code."""

    heading: str
    fault: str
    exit_code: int = 1


class NotebookError(WorkbookError):
    """A notebook of a run that failed; ``partial`` is the notebook as far as it ran."""

    def __init__(self, name: str, failure: Failure, partial: Path):
        where = f', "{failure.heading}"' if failure.heading else ""
        super().__init__(f"{name}{where}: {failure.fault}")
        self.name, self.failure, self.partial = name, failure, partial
        self.exit_code = failure.exit_code


# What is estimated here has a handful of parameters: threads of linear algebra only wait for each
# other, and for those of the notebook that runs beside. The engine has threads of its own.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def start_forks() -> None:
    """Let the process that kernels are forked from begin to import what they need."""
    if supported():
        FORKS.start(kernel_environment({}))


def load_engine() -> None:
    """Import papermill once, before threads need it, and let matplotlib make its font list.

    Otherwise the first kernel on a new machine reports on the font list in a notebook's output.
    What kernels import is imported meanwhile, in the process that they are forked from.
    """
    start_forks()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import papermill  # noqa: F401

        logging.getLogger("papermill").setLevel(logging.CRITICAL)
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        import matplotlib.font_manager  # noqa: F401


def execute(
    source: Path,
    values: dict,
    *,
    shown: dict,
    name: str,
    partial: Path,
    variables: dict[str, str],
) -> dict:
    """Run a notebook with these parameter values from top to bottom; give the executed notebook.

    ``shown`` is what the executed notebook shows as its values (a shop's name for its folder),
    ``partial`` where papermill writes while it runs, ``variables`` what is added to the kernel's
    environment. A kernel that does not start is tried a second time; a cell that fails is not.
    Raises NotebookError.
    """
    for last in (False, True):
        try:
            notebook = _papermill(source, values, partial, kernel_environment(variables))
        except Exception as error:
            if _started(error, partial) or last:
                raise NotebookError(name, describe(error, partial), partial) from error
        else:
            return _plain_injection(notebook, shown)
    raise AssertionError("unreachable")


def kernel_environment(variables: dict[str, str]) -> dict[str, str]:
    """Give the environment of a kernel: this one, without what would change a notebook's output."""
    personal = ("PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONINSPECT")
    environment = {key: value for key, value in os.environ.items() if key not in personal}
    code = Path(__file__).resolve().parents[2]
    paths = [str(code), *filter(None, [environment.get("PYTHONPATH")])]
    return (
        ONE_THREAD
        | environment
        | {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONHASHSEED": "0",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            **variables,
        }
    )


def describe(error: Exception, partial: Path) -> Failure:
    """Say what went wrong in one line without a customer's data.

    A message of this workbook's own errors is given as it is. Of any other error only the type is
    given, since its text may hold a value from the data; all of it is in the notebook that is kept.
    """
    from helpers.publishing.notebook_files import find_error

    found = find_error(read_notebook(partial)) if _readable(partial) else None
    kind, text = (found.name, found.value) if found else (type(error).__name__, str(error))
    heading = found.heading if found else ""
    own = getattr(errors, kind.rpartition(".")[2], None)
    if isinstance(own, type) and issubclass(own, WorkbookError):
        return Failure(heading, " ".join(text.split()), own.exit_code)
    if kind == "CellTimeoutError":
        return Failure(heading, f"a cell took longer than {CELL_SECONDS // 60} minutes.")
    if kind == "DeadKernelError":
        return Failure(heading, "the kernel died, most often because memory ran out.")
    return Failure(heading, f"{kind}; its text may hold data and is kept with the notebook.")


def keep_evidence(failed: NotebookError, folder: Path) -> Path:
    """Put the failed notebook and the whole error aside; give the notebook's place there."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{failed.name}.ipynb"
    if failed.partial.is_file():
        shutil.copyfile(failed.partial, kept)
    log = kernel_log(failed.partial)
    said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    text = f"{failed.__cause__}\n\n{said}".rstrip() + "\n"
    (folder / f"{failed.name}.txt").write_text(text, encoding="utf-8")
    return kept


def _papermill(source: Path, values: dict, partial: Path, environment: dict[str, str]) -> dict:
    import papermill

    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    # Papermill fills braces in paths with parameters.
    written = str(partial).replace("{", "{{").replace("}", "}}")
    with warnings.catch_warnings(), kernel_log(partial).open("wb") as log:
        warnings.simplefilter("ignore")
        return papermill.execute_notebook(
            str(source).replace("{", "{{").replace("}", "}}"),
            written,
            parameters=dict(values),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            record_timing=False,
            start_timeout=START_SECONDS,
            execution_timeout=CELL_SECONDS,
            extra_arguments=list(_QUIET),
            kernel_manager_class=_own_kernel(environment, source.parent, log),
        )


def kernel_log(partial: Path) -> Path:
    """Say where a kernel's process writes what is not a notebook's output.

    Kernels report oddities of their own ending there, which would read as a fault of the run.
    """
    return partial.with_suffix(".log")


def _own_kernel(environment: dict[str, str], folder: Path, log: BinaryIO) -> type:
    """Make a kernel manager that starts this interpreter, whatever kernels the user installed."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning import LocalProvisioner

    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]

    class OwnSpecs(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    class Forked(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **options: object) -> dict:
            arguments = cmd[len(argv) - 2 :]
            self.process = FORKS.fork(arguments, env=environment, cwd=str(folder), log=log.name)
            self.pid = self.pgid = self.process.pid
            return self.connection_info

    class OwnKernel(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return OwnSpecs(parent=self)

        async def start_kernel(self, **options: object) -> None:
            # The notebook's own folder, as in JupyterLab, so a file beside the caller's folder
            # cannot stand in for a module.
            places = {"env": environment, "cwd": str(folder), "stdout": log, "stderr": log}
            if supported():
                self.provisioner = Forked(
                    kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
                )
            await super().start_kernel(**options, **places)

    return OwnKernel


def _started(error: Exception, partial: Path) -> bool:
    """Say whether a notebook's first cell ran, so that trying again would hide a fault."""
    if type(error).__name__ in ("PapermillExecutionError", "CellTimeoutError", "DeadKernelError"):
        return True
    cells = read_notebook(partial)["cells"] if _readable(partial) else []
    return any(cell.get("execution_count") or cell.get("outputs") for cell in cells)


def _readable(path: Path) -> bool:
    try:
        read_notebook(path)
    except (OSError, ValueError):
        return False
    return True


def _plain_injection(notebook: dict, values: dict) -> dict:
    """Write the injected parameters in one form, whether a code formatter is installed or not."""
    lines = ["# Parameters", *(f"{name} = {value!r}" for name, value in values.items())]
    for cell in notebook["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["source"] = "\n".join(lines)
    return notebook
