"""One function served over HTTP, in a thread of this process."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn

from sandbox.providers.web import Answer, Question

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOST = "127.0.0.1"

Respond = Callable[[Question, str], tuple[Answer, float]]
"""(question, path as it was sent) → the answer, and how many seconds late it is sent."""


class HttpServer:
    """Answers on a port of its own from `start` to `stop`, one question at a time."""

    def __init__(self, respond: Respond, port: int = 0) -> None:
        self._respond = respond
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

    def start(self) -> None:
        self._thread.start()
        while self._thread.is_alive() and not self._server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def close(self) -> None:
        """Frees the port of one that never served."""
        self._socket.close()

    async def _app(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        question = _question(scope, await _body(scope, receive))
        found, late = self._respond(question, scope["path"])
        if late:
            await asyncio.sleep(late)
        await _reply(send, found)


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
