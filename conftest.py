"""What a user has published or cached on this machine must not change what a test sees."""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

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
