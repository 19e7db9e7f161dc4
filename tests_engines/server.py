"""A PostgreSQL server that the tests start and stop, in a folder of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

PASSWORD = "correct-horse-battery"


def program(name: str) -> str:
    """Find a program of PostgreSQL: on the path, or where Debian keeps it."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = shutil.which(name) or (str(found[-1]) if found else "")
    assert path, f"{name} is missing; on Debian: apt-get install postgresql"
    return path


class Server:
    """PostgreSQL on a free port of this machine, let in by password alone."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ltv-postgres-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # PostgreSQL refuses to run as root.
        self.user = {}
        if os.geteuid() == 0:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            entry = names.get("postgres") or names["nobody"]
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data = ["-D", str(self.folder / "data")]
        self._run(
            program("initdb"), *data, "-U", "ltv", "-A", "scram-sha-256", f"--pwfile={secret}",
            "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        self.start()

    def _run(self, *command: str) -> None:
        options = {"cwd": self.folder, "stdout": subprocess.DEVNULL} | self.user
        subprocess.run(command, check=True, timeout=120, **options)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            "-c fsync=off -c full_page_writes=off -c max_parallel_workers_per_gather=0"
        )
        log = str(self.folder / "log")
        self._run(program("pg_ctl"), "-D", str(self.folder / "data"), "-l", log, "-w",
                  "-o", options, "start")  # fmt: skip

    def stop(self) -> None:
        """Stop the server at once, whoever is connected."""
        self._run(
            program("pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop"
        )

    def url(self, password: str = PASSWORD) -> str:
        """Give the address of its database."""
        return f"postgresql://ltv:{password}@127.0.0.1:{self.port}/postgres"

    def close(self) -> None:
        """Stop the server and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
