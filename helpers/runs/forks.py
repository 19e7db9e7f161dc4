"""Kernels forked from one process that has imported everything: seconds saved per notebook.

Most of a small month is imports, the same for every notebook. Here one process of this interpreter
imports them once, and each kernel is a fork of it: a process of its own, with its own memory, that
starts at once. Only Linux forks without surprises (on macOS system libraries do not outlive it);
elsewhere a kernel is a new interpreter, and its results are the same.

Run as ``python -m helpers.runs.forks`` this module is that process: it reads one request a line
(JSON: argv, env, cwd, log), answers with the process id, and ends when its input does.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

# Imported before the first fork: what every notebook needs, and what only some of them do. Not
# pyplot and its inline backend, which look for a running shell as they are imported.
IMPORTS = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipywidgets",
    "ibis.backends.duckdb",
    "scipy.stats",
    "sklearn.ensemble",
    "helpers.study",
    "helpers.figures",
    "helpers.summaries",
    "helpers.show",
)

# What Python and the libraries read of the environment as they are imported.
_READ_AT_IMPORT = ("PYTHON", "LTV_HOME", "MPL", "OPENBLAS", "OMP", "MKL", "LANG", "LC_", "TZ")
_POLL_SECONDS = 0.05


class Fork:
    """A forked kernel as jupyter_client handles one: the part of ``subprocess.Popen`` it uses."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        self.pid = pid

    def poll(self) -> int | None:
        """Give None while the process lives, 0 once it is gone (how it ended is not known here)."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self) -> int:
        """Wait until the process is gone."""
        while self.poll() is None:
            time.sleep(_POLL_SECONDS)
        return 0

    def send_signal(self, number: int) -> None:
        """Send a signal; one to a process that is gone is none."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process now."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)


class Forks:
    """The process that kernels are forked from, started once for an environment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._environment: dict[str, str] = {}

    def start(self, environment: dict[str, str]) -> None:
        """Begin the imports, unless they were begun for the same environment."""
        needed = {k: v for k, v in environment.items() if k.startswith(_READ_AT_IMPORT)}
        with self._lock:
            if self._process and self._process.poll() is None and needed == self._environment:
                return
            self._stop()
            self._environment = needed
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd=Path(__file__).resolve().parents[2],
                text=True,
                start_new_session=True,
            )

    def fork(self, argv: list[str], *, env: dict[str, str], cwd: str, log: str) -> Fork:
        """Start a kernel; OSError where the process that forks has died."""
        self.start(env)
        request = json.dumps({"argv": argv, "env": env, "cwd": cwd, "log": log})
        with self._lock:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise OSError("the process that kernels are forked from has ended")
        return Fork(int(answer))

    def stop(self) -> None:
        """End the process that kernels are forked from; kernels end when they see it gone."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._process:
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


FORKS = Forks()
atexit.register(FORKS.stop)


def supported() -> bool:
    """Say whether kernels are forked here."""
    return sys.platform == "linux"


def _serve() -> None:
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, as a kernel's launcher does
    # What a library prints as it is imported is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in IMPORTS:
        with suppress(ImportError):  # the notebook that needs it says so
            import_module(name)
    gc.freeze()  # what is imported lives as long as the kernels: it need not be looked through
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # kernels that end leave nothing behind
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _become_kernel(**json.loads(line))
            return
        answers.write(f"{pid}\n")
        answers.flush()


def _become_kernel(argv: list[str], env: dict[str, str], cwd: str, log: str) -> None:
    from ipykernel.kernelapp import launch_new_instance

    watched = f"--IPKernelApp.parent_handle={os.getppid()}"  # it ends when that one is gone
    os.setsid()  # signals to a kernel and its children reach no other
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for stream, path in ((0, os.devnull), (1, log), (2, log)):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, stream)
        os.close(opened)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    launch_new_instance(argv=[*argv, watched])


if __name__ == "__main__":
    _serve()
