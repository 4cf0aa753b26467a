"""A PostgreSQL server for tests: its own data in a temporary folder, a Unix socket there, and no TCP port.

The server refuses to run as root, so under root it runs as `nobody`. Where it is not installed, or may not start, the
caller skips and says why.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

__all__ = ["PostgresServer", "Unavailable", "programs"]

_WAIT_S = 120


class Unavailable(Exception):
    """No server can be started here; the text says why."""


def programs() -> Path:
    """Return the folder of the server's programs; raises `Unavailable`."""
    beside = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [*beside, *installed]:
        if all((folder / name).is_file() for name in ("postgres", "initdb", "pg_ctl", "pg_dump", "psql")):
            return folder
    raise Unavailable("PostgreSQL's server is not installed here")


class PostgresServer:
    """One server; its superuser is `owner`, and whoever reaches the folder is trusted."""

    def __init__(self) -> None:
        """Make and start a server; raises `Unavailable`."""
        self._programs = programs()
        self._as_whom: dict[str, Any] = {}
        self._numbers = count(1)
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as_whom = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        try:
            self._run("initdb", "-D", self._data, "-U", "owner", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8")
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def start(self, *options: str) -> None:
        """Start the server and wait until it answers; options: settings as `name=value`."""
        settings = ("listen_addresses=", "max_connections=30", "shared_buffers=8MB", *options)
        words = " ".join(["-k", str(self.folder), *(f"-c {setting}" for setting in settings)])
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "-D", self._data, "-w", "-t", str(_WAIT_S), "-l", log, "-o", words, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` ends it as a crash does, and its next start recovers."""
        self._run("pg_ctl", "-D", self._data, "-w", "-t", str(_WAIT_S), "-m", mode, "stop")

    def close(self) -> None:
        """Stop the server if it runs, and remove its folder."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """Make an empty database and return its name."""
        name = f"log{next(self._numbers)}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def url(self, database: str, user: str = "owner") -> str:
        """Return the URL as `[log]` takes it."""
        return f"postgresql+psycopg:///{database}?host={self.folder}&user={user}"

    def sql(self, database: str, statements: str) -> str:
        """Run statements as the superuser and return what they print; fails at the first that fails."""
        return self._run("psql", *self._where(database), "-XqAt", "-v", "ON_ERROR_STOP=1", given=statements)

    def dump(self, database: str) -> str:
        """Return a dump of a database, SQL as text."""
        return self._run("pg_dump", *self._where(database))

    def _where(self, database: str) -> tuple[str, ...]:
        return "-h", str(self.folder), "-U", "owner", "-d", database

    def _run(self, program: str, *arguments: str, given: str = "") -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        # Output goes to a file: a started server would keep a pipe open.
        with tempfile.TemporaryFile("w+") as told:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                check=False, text=True, input=given, stdout=told, stderr=subprocess.STDOUT, cwd=self.folder,
                timeout=2 * _WAIT_S, env={**environment, "LC_ALL": "C"}, **self._as_whom,
            )  # fmt: skip
            told.seek(0)
            text = told.read()
        if done.returncode:
            raise Unavailable(f"{program} failed: {' '.join(text.split())[-400:]}")
        return text
