"""A real HTTP server between a client and the sandbox: it writes down what is asked, and may answer in its place."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec

from tasks.client.connection import certificates
from tests.support.patience import PATIENCE


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    url: str
    headers: dict[str, str]


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = {"content-type": "application/json"}  # noqa: RUF012 - never mutated
    cut: bool = False
    """Close the connection in the middle of the body."""


Intervention = Callable[[Asked], Reply | None]


def reply(status: int = 200, body: Any = None, cut: bool = False, **headers: str) -> Reply:
    text = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Reply(status, text, {name.replace("_", "-"): value for name, value in headers.items()}, cut)


class Relay:
    """`relay.intervene` answers what it does not leave to the sandbox by returning None."""

    def __init__(self, target: str) -> None:
        self.intervene: Intervention = lambda _asked: None
        self.asked: list[Asked] = []
        self._lock = Lock()
        self._client = httpx.Client(base_url=target, timeout=PATIENCE, verify=certificates())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()

    @property
    def gets(self) -> list[Asked]:
        return [one for one in self.asked if one.method == "GET"]

    def answer(self, asked: Asked, body: bytes) -> Reply:
        with self._lock:
            self.asked.append(asked)
            own = self.intervene(asked)
        if own is not None:
            return own
        found = self._forward(asked, body)
        kept = {name: value for name, value in found.headers.items() if name not in {"content-length", "connection"}}
        return Reply(found.status_code, found.content, kept)

    def fetched(self, asked: Asked, query: dict[str, list[str]] | None = None) -> bytes:
        """The body that the sandbox would have answered, perhaps to another query."""
        url = asked.url if query is None else f"{asked.path}?{urlencode(query, doseq=True)}"
        return self._forward(asked._replace(url=url)).content

    def _forward(self, asked: Asked, body: bytes = b"") -> httpx.Response:
        headers: dict[str, str] = {
            name: asked.headers[name] for name in ("authorization", "content-type") if name in asked.headers
        }
        return self._client.request(asked.method, asked.url, headers=headers, content=body)


def _handler(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY: an answer is written in two parts

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            found = relay.answer(Asked(self.command, parts.path, parse_qs(parts.query), self.path, headers), body)
            self.send_response_only(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body[: len(found.body) // 2] if found.cut else found.body)
            self.close_connection = found.cut

        do_GET = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler
