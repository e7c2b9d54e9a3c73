"""What tests of tasks are built from: records, rows, and an office that works on them without Prefect."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import msgspec
import psycopg
from psycopg.rows import dict_row

from models.arrivals import Counts
from models.coverage import Sizes
from models.errors import CallweaveError
from models.provider import Stream
from models.request import Request
from models.vocabulary import StreamName
from tasks.client.client import RetryPolicy
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext
from tasks.extract.details import complete
from tasks.extract.runtime import open_runtime
from tasks.extract.stream_run import StreamRun
from tasks.ledger.windows import OpenWindow
from tasks.load.classify import Seen, classify
from tasks.providers import PROVIDERS
from tasks.settings import Account, Settings
from tests.support.records import (
    NOON,
    Json,
    at,
    bird_call,
    bird_client,
    bird_party,
    encoded,
    iso,
    sakari_call,
    skipcall_call,
    skipcall_contact,
    without_none,
)
from tests.support.rows import CALLS, CONTACTS, STREAMS, call_of, contact_of, row_of

__all__ = [
    "CALLS",
    "CONTACTS",
    "FAST",
    "NOON",
    "SOON",
    "STREAMS",
    "Json",
    "Office",
    "at",
    "bird_call",
    "bird_client",
    "bird_party",
    "call_of",
    "contact_of",
    "decoded",
    "drained",
    "encoded",
    "iso",
    "paged",
    "row_of",
    "sakari_call",
    "skipcall_call",
    "skipcall_contact",
    "take_in",
    "take_in_at",
    "without_none",
    "worked",
]

FAST = "1000"
"""Requests a second: tests of anything but the budget do not wait for it."""
SOON = RetryPolicy(first_pause=0.001)
"""Tests of anything but the pauses do not wait for them."""


class Office:
    """Accounts and runs on one database, as the flows use them, without Prefect."""

    def __init__(self, database_url: str, environ: dict[str, str], *, sizes: Sizes | None = None, **more: str) -> None:
        fast = {f"{name.upper()}_REQUESTS_PER_SECOND": FAST for name in PROVIDERS}
        self.database_url = database_url
        self.environ = fast | {"CALLWEAVE_WORKERS": "4"} | environ | more
        self.settings = Settings(self.environ)
        self.sizes = sizes or Sizes()
        self._open = ExitStack()
        self._contexts: dict[tuple[str, StreamName], StreamContext] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def account(self, provider: str) -> Account:
        return self.settings.account(provider)

    def run(
        self, provider: str, stream: StreamName = CALLS, *, limit: int | None = None, bulk: bool = False, **request: Any
    ) -> StreamRun:
        """A run that has not begun; `limit`: another page size than the provider's."""
        runtime = open_runtime(
            self.settings, self.account(provider), self.database_url, bulk=bulk, sizes=self.sizes, retry=SOON
        )
        self._open.callback(runtime.close)
        return StreamRun(runtime, paged(PROVIDERS[provider].stream(stream), limit), Request(**request))

    def context(self, provider: str, stream: StreamName = CALLS) -> StreamContext:
        """Where that stream's records are loaded; made once."""
        if (provider, stream) not in self._contexts:
            self._contexts[provider, stream] = self.run(provider, stream).contexts[0]
        return self._contexts[provider, stream]

    def sync(self, provider: str, stream: StreamName = CALLS, threads: int = 1, **request: Any) -> StreamRun:
        """A whole run: begun, planned, read to its end, its missing records confirmed, its receipt written."""
        return worked(self.run(provider, stream, **request), threads)

    def sync_all(self) -> None:
        """Calls and contacts of every provider."""
        for provider, stream in STREAMS:
            self.sync(provider, stream)

    def change(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement.encode(), values)

    def rows(self, query: str, *values: Any) -> list[Json]:
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    def ids(self, provider: str, stream: StreamName = CALLS) -> set[str]:
        view = "call" if stream is CALLS else "contact"
        return {
            row["external_id"] for row in self.rows(f"SELECT external_id FROM v1.{view} WHERE provider = %s", provider)
        }


def paged(stream: Stream, limit: int | None) -> Stream:
    paging: Any = stream.paging
    return stream if limit is None else replace(stream, paging=replace(paging, limit=limit))


def worked(run: StreamRun, threads: int = 1) -> StreamRun:
    run.begin()
    run.open()
    drained(run, threads)
    run.confirm_deletions()
    run.end()
    return run


def drained(run: StreamRun, threads: int = 1) -> None:
    """Reads windows until none is open that has not been tried, as the flows do."""
    tried: set[OpenWindow] = set()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda job: _tried(run, run.read_record, *job), run.plan.records()))
        while todo := [
            (context, one) for context, one in run.plan.open_windows() if one not in tried and not run.stop.is_set()
        ]:
            tried.update(one for _, one in todo)
            list(pool.map(lambda job: _tried(run, run.read_window, *job), todo))


def _tried(run: StreamRun, read: Callable[[StreamContext, Any], object], context: StreamContext, which: Any) -> None:
    try:
        read(context, which)
    except CallweaveError as error:
        run.failed(error)


def take_in(context: StreamContext, records: Iterable[Any], observed_at: datetime = NOON) -> Counts:
    """Loads records, payloads or texts, as one batch of one page that was asked for at `observed_at`."""
    return take_in_at(context, [(record, observed_at) for record in records])


def take_in_at(context: StreamContext, observations: Iterable[tuple[Any, datetime]]) -> Counts:
    """Loads records observed at their own times as one batch."""
    texts = [(one if isinstance(one, str) else encoded(one), moment) for one, moment in observations]
    arrivals = [context.parser.identify(text, moment, context.listing.scope) for text, moment in texts]
    batch = classify(context.store, complete(context, arrivals, Tally()), Seen.nothing())
    return context.store.load(batch, lambda connection: batch.write(connection, context.stream.name, context.key))


def decoded(body: bytes) -> Any:
    return msgspec.json.decode(body)
