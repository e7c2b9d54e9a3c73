"""The three providers behind one HTTP server, in a thread of this process."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Self

from sandbox.deviations.deviations import Deviations
from sandbox.exchange import Exchange
from sandbox.faults.faults import Faults
from sandbox.faults.spoil import SPOILERS
from sandbox.http_server import HttpServer
from sandbox.providers import bird, sakari, skipcall
from sandbox.providers.bird_contacts import WORKSPACE
from sandbox.providers.table import Record
from sandbox.providers.web import Answer, Question, answer
from sandbox.world.happenings import BIRD, SAKARI, SKIPCALL
from sandbox.world.world import World

_ROOTS = {
    ("oauth2", "token"): SAKARI,
    ("v1", "accounts"): SAKARI,
    ("workspaces",): BIRD,
    ("v1", "calls"): SKIPCALL,
    ("v1", "contacts"): SKIPCALL,
    ("docs-json",): SKIPCALL,
}


class Request(NamedTuple):
    provider: str
    method: str
    path: str
    query: dict[str, list[str]]
    status: int
    at: float
    """On the monotonic clock, when it came in."""


class Sandbox:
    """`with Sandbox(calls=2000) as sandbox:` serves until the block ends."""

    def __init__(  # noqa: PLR0913 - each stands for itself, and all have a default
        self,
        *,
        calls: int = 5000,
        seed: int = 1,
        port: int = 0,
        faults: Iterable[str] = (),
        deviations: Iterable[str] = (),
        until: datetime | None = None,
    ) -> None:
        self.faults, self.deviations = Faults(faults), Deviations(deviations)
        self.world = World(calls=calls, seed=seed, until=until)
        self._exchange = Exchange(self.world, self.faults, self.deviations)
        self.requests: list[Request] = []
        self._lock = Lock()
        self._server = HttpServer(self._respond, port)
        self.url = self._server.url

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def between_pages(self, happening: Callable[[], None] | None) -> None:
        """Has something happen before each page of a list is made."""
        self._exchange.between_pages = happening

    def close(self) -> None:
        """Frees the port of one that never served."""
        self._server.close()

    @property
    def environ(self) -> dict[str, str]:
        """What points Callweave at this sandbox."""
        return {
            "SAKARI_BASE_URL": self.url,
            "SAKARI_ACCOUNT_ID": sakari.ACCOUNT,
            "SAKARI_CLIENT_ID": sakari.CLIENT_ID,
            "SAKARI_CLIENT_SECRET": sakari.CLIENT_SECRET,
            "BIRD_BASE_URL": self.url,
            "BIRD_WORKSPACE_ID": WORKSPACE,
            "BIRD_ACCESS_KEY": bird.ACCESS_KEY,
            "SKIPCALL_BASE_URL": self.url,
            "SKIPCALL_API_KEY": skipcall.API_KEY,
            # The vendors' own examples, which it also serves, are years old.
            "CALLWEAVE_HISTORY": f"P{self.world.days_held()}D",
        }

    def truth(self) -> dict[str, dict[str, dict[str, bytes]]]:
        """Provider, stream and id to the record, as it is without faults."""
        return self.world.truths()

    def spoilt(self, fault: str, provider: str, stream: str) -> set[str]:
        """The ids of the records that a fault changes while it is on."""
        rows = self.truth()[provider][stream].items()
        return {record_id for record_id, body in rows if SPOILERS[fault](stream, body) != body}

    def put(self, provider: str, stream: str, payload: Record) -> None:
        """Adds a record, or replaces the one of the same id."""
        with self._lock:
            self.world.put(provider, stream, payload)

    def remove(self, provider: str, stream: str, record_id: str) -> None:
        with self._lock:
            self.world.remove(provider, stream, record_id)

    def _respond(self, question: Question, path: str) -> tuple[Answer, float]:
        at = time.monotonic()
        provider = _ROOTS.get(question.path[:1]) or _ROOTS.get(question.path[:2], "")
        found = self._answer(question, provider)
        if not provider:
            return found, 0
        self.requests.append(Request(provider, question.method, path, question.query, found.status, at))
        return found, self.faults.delay

    def _answer(self, question: Question, provider: str) -> Answer:
        if not provider:
            return backstage(self.world, question.path)
        with self._lock:
            return self._exchange.answer(question, provider)


def backstage(world: World, path: tuple[str, ...]) -> Answer:
    """What another process may know of the world, and no provider would tell."""
    tables = world.tables
    match path:
        case ("_truth",):
            return answer({name: {s: table.ids() for s, table in streams.items()} for name, streams in tables.items()})
        case ("_truth", "counts"):
            return answer({name: {s: len(table) for s, table in streams.items()} for name, streams in tables.items()})
        case ("_truth", "unified"):
            return answer([sorted(same) for same in world.truth])
    return answer({"message": "no such resource"}, 404)
