"""The command line with reports and work of a test's own."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from helpers.__main__ import main
from helpers.contract.shop import ROOT


def run(
    folder: Path, *arguments: str, home: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own, with reports and work of its own."""
    own = {"LTV_REPORTS": str(folder / "reports"), "LTV_WORK": str(folder / "work")}
    found = {**os.environ, **own, "PYTHONPATH": str(home), **environment}
    command = [sys.executable, "-m", "helpers", *arguments]
    return subprocess.run(command, cwd=home, env=found, capture_output=True, text=True)


def run_here(folder: Path, *arguments: str) -> Result:
    """Run the command line in this process, whose kernels need not import everything anew."""
    own = {"LTV_REPORTS": str(folder / "reports"), "LTV_WORK": str(folder / "work")}
    return CliRunner().invoke(main, arguments, env=own)
