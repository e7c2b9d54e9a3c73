"""The three providers behind one HTTP server, in a thread of this process."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import datetime
from threading import Lock, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote

import uvicorn

from sandbox import bird, sakari, skipcall
from sandbox.bird_contacts import WORKSPACE
from sandbox.faults import Faults
from sandbox.happenings import BIRD, SAKARI, SKIPCALL
from sandbox.motion import MOTIONS, Motion
from sandbox.paging import Pages
from sandbox.spoil import SPOILERS
from sandbox.table import Record
from sandbox.web import Answer, Question, answer
from sandbox.world import STREAMS, World

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOST = "127.0.0.1"
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

    def __init__(
        self,
        *,
        calls: int = 5000,
        seed: int = 1,
        port: int = 0,
        faults: Iterable[str] = (),
        until: datetime | None = None,
    ) -> None:
        self.faults = Faults(faults)
        self.world = World(calls=calls, seed=seed, until=until)
        self._motion, self._pages = Motion(self.world), Pages()
        self.requests: list[Request] = []
        self.between_pages: Callable[[], None] | None = None
        """Called before each page of a list is made."""
        self._lock = Lock()
        makers = (sakari.Sakari, bird.Bird, skipcall.Skipcall)
        self._providers = {maker.name: maker(self.world, self.faults) for maker in makers}
        self._socket = _listen(port)
        self.url = f"http://{_HOST}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            proxy_headers=False,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="sandbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while self._thread.is_alive() and not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    def close(self) -> None:
        """Frees the port of one that never served."""
        self._socket.close()

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
        return {
            name: {stream: dict(zip(table.ids(), table.bodies, strict=True)) for stream, table in streams.items()}
            for name, streams in self.world.tables.items()
        }

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

    async def _app(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        at = time.monotonic()
        question = _question(scope, await _body(scope, receive))
        provider = _ROOTS.get(question.path[:1]) or _ROOTS.get(question.path[:2], "")
        found = self._answer(question, provider)
        if provider:
            if self.faults.delay:
                await asyncio.sleep(self.faults.delay)
            self.requests.append(Request(provider, question.method, scope["path"], question.query, found.status, at))
        await _reply(send, found)

    def _answer(self, question: Question, provider: str) -> Answer:
        if not provider:
            return self._backstage(question.path)
        with self._lock:
            return self.faults.interrupt(provider) or self._serve(question, provider)

    def _serve(self, question: Question, provider: str) -> Answer:
        stream = question.path[-1]
        if stream not in STREAMS:
            return self._providers[provider].answer(question)
        for name in sorted(self.faults & set(MOTIONS)):
            self._motion.step(name, provider, stream)
        if self.between_pages:
            self.between_pages()
        asked = self._pages.before(self.faults, question)
        if isinstance(asked, Answer):
            return asked
        return self._pages.after(self.faults, question, self._providers[provider].answer(asked))

    def _backstage(self, path: tuple[str, ...]) -> Answer:
        """What another process may know of the world, and no provider would tell."""
        tables = self.world.tables
        match path:
            case ("_truth",):
                return answer(
                    {name: {s: table.ids() for s, table in streams.items()} for name, streams in tables.items()}
                )
            case ("_truth", "counts"):
                return answer(
                    {name: {s: len(table) for s, table in streams.items()} for name, streams in tables.items()}
                )
            case ("_truth", "unified"):
                return answer([sorted(same) for same in self.world.truth])
        return answer({"message": "no such resource"}, 404)


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's delay off only where the protocol is spelt out; with it a short answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((_HOST, port))
    listening.listen(512)
    return listening


def _question(scope: MutableMapping[str, Any], body: bytes) -> Question:
    path = tuple(unquote(part) for part in scope["raw_path"].decode("ascii").strip("/").split("/"))
    query = parse_qs(scope["query_string"].decode("ascii"), keep_blank_values=True) if scope["query_string"] else {}
    authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return Question(scope["method"], path, query, authorization.decode("latin-1"), body)


async def _body(scope: MutableMapping[str, Any], receive: _Receive) -> bytes:
    body = b""
    if scope["method"] != "GET":
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    return body


async def _reply(send: _Send, found: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in found.headers.items()]
    headers.append((b"content-length", str(len(found.body)).encode()))
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": found.body})
