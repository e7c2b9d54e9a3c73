from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from models.errors import HomeError
from tasks.embedded.caretaker import IDLE_SECONDS, dismiss, look_after
from tasks.embedded.cluster import EmbeddedPostgres
from tasks.embedded.environ import QUIET, own_server_environ
from tasks.embedded.locks import shared
from tasks.embedded.prefect_server import PrefectServer

_Started = tuple[EmbeddedPostgres, str, str]
"""The embedded Postgres, and the API's URL and the key of the embedded server; both '' without one."""


@dataclass(frozen=True)
class Stack:
    """Where the two halves are; `prefect_key`: the `user:password` of the embedded server, '' with another one."""

    database_url: str
    prefect_api_url: str
    prefect_key: str = field(default="", repr=False)


@contextmanager
def postgres(home: Path, idle_seconds: float = IDLE_SECONDS) -> Iterator[EmbeddedPostgres]:
    """The embedded Postgres, running; it ends itself once it had no user for `idle_seconds`."""
    with _running(home, idle_seconds, with_server=False) as (database, _, _):
        yield database


@contextmanager
def stack(
    home: Path,
    database_url: str | None = None,
    prefect_api_url: str | None = None,
    idle_seconds: float = IDLE_SECONDS,
) -> Iterator[Stack]:
    """Postgres and a Prefect server, running; a half that is given is used as it is.

    Prefect's server is always on the embedded Postgres, also when `database_url` is given.
    """
    if database_url and prefect_api_url:
        yield Stack(database_url, prefect_api_url)
        return
    with _running(home, idle_seconds, with_server=not prefect_api_url) as (database, own_api_url, key):
        yield Stack(database_url or database.url(), prefect_api_url or own_api_url, key)


def client_environ(stack: Stack, home: Path) -> dict[str, str]:
    """What a process that runs flows has to put into its environment before it imports Prefect.

    With a server that is not ours the caller's own settings for it count, such as an API key in a profile.
    """
    environ = {**QUIET, "PREFECT_API_URL": stack.prefect_api_url}
    return environ | own_server_environ(home, stack.prefect_key) if stack.prefect_key else environ


def _running(home: Path, idle_seconds: float, *, with_server: bool) -> AbstractContextManager[_Started]:
    home = _prepare(home)
    start = partial(_start, home, idle_seconds, with_server=with_server)
    return shared(home / "gate.lock", home / "users.lock", start, partial(_stop, home))


def _prepare(home: Path) -> Path:
    with _about(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "users.lock").touch()
        return home.resolve()


def _start(home: Path, idle_seconds: float, *, with_server: bool) -> _Started:
    with _about(home):
        look_after(home, idle_seconds)
        database, server = EmbeddedPostgres(home), PrefectServer(home)
        if with_server:
            server.launch(database.url("prefect"))
        database.start()
        if not with_server:
            return database, "", ""
        return database, server.ready(database.url("prefect")), server.key


def _stop(home: Path) -> None:
    dismiss(home)
    PrefectServer(home).stop()
    EmbeddedPostgres(home).stop()


@contextmanager
def _about(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HomeError(
            f"{home} cannot be used for the embedded Postgres: {error}. "
            "Set CALLWEAVE_HOME to a folder of your own on a local disk."
        ) from error
