"""A real HTTP server that people's alerts are sent to, and a watchdog that looks without Prefect."""

import json
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import psycopg
from sqlalchemy import Engine

from flows.alerts import after_a_run
from flows.watchdog import watch
from models.alerts.rules import Deployed
from models.vocabulary import StreamName
from tests.support.builders import Json, Office


class Alerts:
    """`status` is what it answers: anything but 200 is a channel that is broken."""

    def __init__(self) -> None:
        self.received: list[Json] = []
        self.beats = 0
        self.status = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.heartbeat_url = f"http://127.0.0.1:{self._server.server_port}/hush-beat"
        self.url = f"json://127.0.0.1:{self._server.server_port}/hush-hook"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def titles(self) -> list[str]:
        return [one["title"].removeprefix("Callweave: ") for one in self.received]

    def take(self) -> list[Json]:
        """What has come since the last look."""
        taken, self.received[:] = list(self.received), []
        return taken


def _handler(alerts: Alerts) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if alerts.status == 200:
                alerts.received.append(body)
            self._answer()

        def do_GET(self) -> None:
            alerts.beats += 1
            self._answer()

        def _answer(self) -> None:
            self.send_response(alerts.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class WatchedOffice:
    """The end of a run and the watchdog on an office's database, telling `alerts`."""

    def __init__(self, office: Office, engine: Engine, alerts: Alerts) -> None:
        self.office, self.engine, self.alerts = office, engine, alerts

    def sync(self, provider: str, *streams: str, office: Office | None = None, **request: Any) -> None:
        """One flow run: its streams, and what is told at its end."""
        at = office or self.office
        for stream in streams or ("calls",):
            at.sync(provider, StreamName(stream), **request)
        after_a_run(at.settings, self.engine, at.account(provider).key)

    def watch(self, found: Sequence[Deployed] | None = None) -> str | None:
        return watch(self.office.settings, self.engine, found)

    def change(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.office.database_url) as connection:
            connection.execute(statement.encode(), values)
