"""What a user has published or cached on this machine must not change what a test sees."""

import atexit
import gc
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


def _as_read(value: Any) -> Any:
    """Give the numbers of a stored table to four digits: the last ones of a fit hang on the
    processor. What a reader sees is compared to the letter."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _as_read(each) for key, each in value.items()}
    return [_as_read(each) for each in value] if isinstance(value, list) else value


_sanitize = IPyNbCell.sanitize
IPyNbCell.sanitize = lambda self, value: _sanitize(self, _as_read(value))
