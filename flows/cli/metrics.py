"""The command `metrics`: OpenMetrics text, printed once or served to a scraper."""

import sys
from argparse import Namespace
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import Engine

from flows.rendering.openmetrics import CONTENT_TYPE, exposition
from models.errors import DatabaseUnavailable, UsageError
from tasks.database import one_engine
from tasks.diagnostics.metrics import metrics as read
from tasks.home import database
from tasks.settings import Settings

PATIENCE = 10
"""Seconds that a scraper may take over its request."""


def metrics(options: Namespace) -> int:
    address = _address(options.listen) if options.listen else None
    with database(Settings()) as url, one_engine(url) as engine:
        if address is None:
            sys.stdout.write(exposition(read(engine)))
        else:
            _serve(engine, address)
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f"--listen {text}: write it like 127.0.0.1:9464 or [::1]:9464.")
    return host.strip("[]"), int(port)


def _serve(engine: Engine, address: tuple[str, int]) -> None:
    """Until it is stopped, which is no error."""
    try:
        server = ThreadingHTTPServer(address, partial(Scrape, engine))
    except OSError as error:
        raise UsageError(f"--listen {address[0]}:{address[1]}: {error.strerror}.") from error
    with server, suppress(KeyboardInterrupt):
        sys.stderr.write(f"Serving http://{address[0]}:{server.server_port}/metrics until stopped.\n")
        server.serve_forever()


class Scrape(BaseHTTPRequestHandler):
    """One request: `/metrics`, or 404; 503 while the database is away."""

    timeout = PATIENCE
    server_version, sys_version = "callweave", ""

    def __init__(self, engine: Engine, *rest: Any) -> None:
        self._engine = engine
        super().__init__(*rest)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, explain="The metrics stand at /metrics.")
            return
        try:
            body = exposition(read(self._engine)).encode()
        except DatabaseUnavailable:
            self.send_error(503, explain="Postgres cannot be reached.")
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A scrape each few seconds is nothing to log."""
