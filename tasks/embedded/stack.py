from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tasks.embedded.cluster import EmbeddedPostgres
from tasks.embedded.environ import QUIET, own_server_environ
from tasks.embedded.errors import HomeError
from tasks.embedded.locks import shared
from tasks.embedded.prefect_server import PrefectServer


@dataclass(frozen=True)
class Stack:
    """Where the two halves are; `own_prefect`: that the server is the embedded one."""

    database_url: str
    prefect_api_url: str
    own_prefect: bool = False


@contextmanager
def postgres(home: Path) -> Iterator[EmbeddedPostgres]:
    """The embedded Postgres, running."""
    with _running(home, with_server=False) as (database, _):
        yield database


@contextmanager
def stack(home: Path, database_url: str | None = None, prefect_api_url: str | None = None) -> Iterator[Stack]:
    """Postgres and a Prefect server, running; a half that is given is used as it is.

    Prefect's server is always on the embedded Postgres, also when `database_url` is given.
    """
    if database_url and prefect_api_url:
        yield Stack(database_url, prefect_api_url)
        return
    with _running(home, with_server=not prefect_api_url) as (database, own_api_url):
        yield Stack(database_url or database.url(), prefect_api_url or own_api_url, bool(own_api_url))


def client_environ(stack: Stack, home: Path) -> dict[str, str]:
    """What a process that runs flows has to put into its environment before it imports Prefect.

    With a server that is not ours the caller's own settings for it count, such as an API key in a profile.
    """
    environ = {**QUIET, "PREFECT_API_URL": stack.prefect_api_url}
    return environ | own_server_environ(home) if stack.own_prefect else environ


def _running(home: Path, *, with_server: bool) -> AbstractContextManager[tuple[EmbeddedPostgres, str]]:
    home = _prepare(home)
    return shared(home / "gate.lock", home / "users.lock", partial(_start, home, with_server), partial(_stop, home))


def _prepare(home: Path) -> Path:
    with _about(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "users.lock").touch()
        return home.resolve()


def _start(home: Path, with_server: bool) -> tuple[EmbeddedPostgres, str]:
    with _about(home):
        database, server = EmbeddedPostgres(home), PrefectServer(home)
        if with_server:
            server.launch(database.url("prefect"))
        database.start()
        return database, server.ready(database.url("prefect")) if with_server else ""


def _stop(home: Path) -> None:
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
