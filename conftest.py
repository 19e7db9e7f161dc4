"""What a user has published or cached on this machine must not change what a test sees."""

import atexit
import gc
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from nbval.plugin import IPyNbCell

from helpers.runs.kernels import ONE_THREAD
from helpers.workbench import committed_reports

# Solved exercises are run and compared in one process, by tests/test_exercises.py: a kernel each
# would take a minute.
collect_ignore = ["notebooks/exercises"]

# Set before any kernel starts, and inherited by it.
_SCRATCH = Path(tempfile.mkdtemp(prefix="ltv-tests-"))
atexit.register(shutil.rmtree, _SCRATCH, ignore_errors=True)
os.environ["LTV_REPORTS"] = str(committed_reports(_SCRATCH / "reports"))
os.environ.update(ONE_THREAD)
os.environ["LTV_WORK"] = str(_SCRATCH / "work")

# Expressions are made of a great many small objects, and looking through them again and again for
# what is no longer used costs a tenth of the time.
gc.set_threshold(100_000, 20, 20)


class _Number(float):
    """A number of a stored table: the same if only its last digits differ, which hang on the
    processor where a model was fitted. What a reader sees is compared to the letter."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and math.isclose(self, other, rel_tol=1e-5, abs_tol=1e-9)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


def _with_numbers(value: Any) -> Any:
    if isinstance(value, float):
        return _Number(value)
    if isinstance(value, dict):
        return {key: _with_numbers(each) for key, each in value.items()}
    return [_with_numbers(each) for each in value] if isinstance(value, list) else value


_sanitize = IPyNbCell.sanitize
IPyNbCell.sanitize = lambda self, value: _sanitize(self, _with_numbers(value))
