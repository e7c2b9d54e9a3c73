"""The process of Prefect's server: what `prefect server start` does, with another port where its own is taken.

Run as a script, with the libpq URL of its database and a port. Imports nothing of ours, so that it runs wherever
Callweave was installed from. Importing Prefect takes most of the time, Postgres may start meanwhile.
"""

import gc
import importlib
import os
import socket
import sys
import time
from typing import Any

import psycopg
import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Holds the lock by which we are known, see daemon.py.
_STATE = 3
_HOSTS = ("127.0.0.1", "localhost")
_OPEN = """<!doctype html><title>Callweave</title><script>
localStorage.setItem("prefect-password", btoa(decodeURIComponent(location.hash.slice(1))))
location.replace("/")
</script>"""
"""Logs in as the login page of Prefect's UI does, with the key that follows `/open#`; what follows # is never sent."""


def main() -> None:
    os.set_inheritable(_STATE, False)
    listener = _bind(int(sys.argv[2])) or _bind(0)
    assert listener is not None
    app = _create_app(listener.getsockname()[1])
    _await_database(sys.argv[1])
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listener])


def _bind(port: int) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        # At once: until one of them listens, two servers may bind to the same port.
        listener.listen()
    except OSError:
        listener.close()
        return None
    return listener


def _create_app(port: int) -> Any:
    os.environ |= _addresses(port)
    os.write(_STATE, f"port={port}\n".encode())
    # Hundreds of thousands of objects are made, to stay; looking for garbage among them takes a fifth of the time.
    gc.disable()
    app = importlib.import_module("prefect.server.api.server").create_app(final=True)
    gc.freeze()
    gc.enable()
    app.router.routes.insert(0, Route("/open", _open))
    # A page of another site whose name was made to lead here (DNS rebinding) sends that name as Host.
    return TrustedHostMiddleware(_with_policy(app, _origins(port)), allowed_hosts=_HOSTS)


def _addresses(port: int) -> dict[str, str]:
    """The settings that hold the port: the UI calls its own server, and no page of another origin may."""
    return {
        "PREFECT_SERVER_API_HOST": _HOSTS[0],
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_UI_API_URL": f"http://{_HOSTS[0]}:{port}/api",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(_origins(port)),
    }


def _origins(port: int) -> list[str]:
    return [f"http://{host}:{port}" for host in _HOSTS]


def _with_policy(app: ASGIApp, origins: list[str]) -> ASGIApp:
    """Forbids the UI to ask anybody else, as its analytics do even when they are off, and other pages to frame it."""
    sockets = [origin.replace("http:", "ws:") for origin in origins]
    policy = f"connect-src {' '.join(origins + sockets)}; frame-ancestors 'none'"

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = policy
            await send(message)

        await app(scope, receive, send_with_policy)

    return guarded


async def _open(_request: Request) -> HTMLResponse:
    return HTMLResponse(_OPEN)


def _await_database(url: str, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


if __name__ == "__main__":
    main()
