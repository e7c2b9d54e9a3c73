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

# Holds the lock by which we are known, see daemon.py.
_STATE = 3


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
    os.environ |= {"PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(port)}
    os.write(_STATE, f"port={port}\n".encode())
    # Hundreds of thousands of objects are made, to stay; looking for garbage among them takes a fifth of the time.
    gc.disable()
    app = importlib.import_module("prefect.server.api.server").create_app(final=True)
    gc.freeze()
    gc.enable()
    return app


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
