"""What tests are built from: vendors' records with defaults, and an office that works on them without Prefect."""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec
import psycopg
from psycopg.rows import dict_row

from models.errors import CallweaveError
from models.provider import Stream
from models.rows import CallRow, ContactRow, Row
from models.vocabulary import StreamName
from tasks.client import Tally
from tasks.intake import Desk, Intake, identified
from tasks.load import Counts
from tasks.providers import PROVIDERS
from tasks.run import Request, Runtime, StreamRun
from tasks.settings import Account, Settings

Json = dict[str, Any]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FAST = "1000"
"""Requests a second: tests of anything but the budget do not wait for it."""
CALLS, CONTACTS = StreamName.CALLS, StreamName.CONTACTS
STREAMS = [(name, stream.name) for name, provider in PROVIDERS.items() for stream in provider.streams]


def at(seconds: float = 0) -> datetime:
    return NOON + timedelta(seconds=seconds)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_none(record: Json) -> Json:
    return {name: value for name, value in record.items() if value is not None}


def sakari_call(**own: Any) -> Json:
    return {
        "id": "s1",
        "direction": "inbound",
        "status": "ended",
        "contact": {"id": "c1", "mobile": {"country": "US", "number": "(212) 555-0143"}},
        "phoneNumber": {"id": "p1", "number": "+12125550142", "country": "US"},
        "user": {"id": "u1", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.com"},
        "duration": 42,
        "voicemail": False,
        "created": {"at": "2026-11-20T12:00:00Z"},
    } | own


def bird_party(number: str | None = "+351910648518", **own: Any) -> Json:
    return {"number": {"type": "pstn", "number": number, "countryIsoCode": "PT"} | own}


def bird_client(client: str = "fc0be2c4-d3a2-458b-9a98-69ff811ee306", **own: Any) -> Json:
    return {"number": {"type": "webrtc", "number": client} | own}


def bird_call(**own: Any) -> Json:
    return {
        "id": "b1",
        "channelId": "ch1",
        "originator": bird_party(),
        "receiver": bird_party("+3197058016589", countryIsoCode="NL"),
        "from": "+351910648518",
        "to": "+3197058016589",
        "direction": "incoming",
        "status": "completed",
        "type": "pstn",
        "duration": 6,
        "createdAt": "2026-11-20T12:00:00Z",
        "updatedAt": "2026-11-20T12:00:20.5Z",
        "answeredAt": "2026-11-20T12:00:10.25Z",
        "endedAt": "2026-11-20T12:00:16.5Z",
    } | own


def skipcall_call(**own: Any) -> Json:
    return {
        "id": "k1",
        "callType": "DIRECT_CALL",
        "status": "completed",
        "type": "outbound",
        "startedAt": "2026-11-20T12:00:00.000Z",
        "endedAt": "2026-11-20T12:01:00.000Z",
        "createdAt": "2026-11-20T11:59:30.000Z",
        "contact": {"id": "kc1", "firstName": "Zoé", "lastName": "Roux", "isUnknown": False},
        "phoneNumber": {"value": "+33612345678"},
        "caller": {"firstName": "Alice", "lastName": "Martin"},
        "callerPhoneNumber": {"value": "+33142685300"},
    } | own


def skipcall_contact(**own: Any) -> Json:
    return {
        "id": "kc1",
        "firstName": "Zoé",
        "lastName": "Roux",
        "email": "zoe@example.com",
        "phoneNumbers": ["+33612345678"],
        "allowPhoneCalls": True,
        "updatedAt": "2026-11-20T12:00:00.000Z",
    } | own


def encoded(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False)


def row_of(
    provider: str, stream: StreamName, payload: Any, region: str | None = None, details: Sequence[Any] = ()
) -> Row:
    """What the provider makes of a payload. Raises `Rejected`."""
    from tasks.reader import Arrival, Reader  # noqa: PLC0415 - beside its only use

    reader = Reader(PROVIDERS[provider].stream(stream), region)
    text = payload if isinstance(payload, str) else encoded(payload)
    return reader.row(Arrival("", text, b"", NOON, details=details))


def call_of(provider: str, payload: Any, region: str | None = None) -> CallRow:
    row = row_of(provider, CALLS, payload, region)
    assert isinstance(row, CallRow)
    return row


def contact_of(provider: str, payload: Any, region: str | None = None, details: Sequence[Any] = ()) -> ContactRow:
    row = row_of(provider, CONTACTS, payload, region, details)
    assert isinstance(row, ContactRow)
    return row


class Office:
    """Accounts and runs on one database, as the flows use them, without Prefect."""

    def __init__(self, database_url: str, environ: dict[str, str], **more: str) -> None:
        fast = {f"{name.upper()}_REQUESTS_PER_SECOND": FAST for name in PROVIDERS}
        self.database_url = database_url
        self.environ = fast | {"CALLWEAVE_WORKERS": "4"} | environ | more
        self.settings = Settings(self.environ)
        self._open = ExitStack()
        self._desks: dict[tuple[str, StreamName], Desk] = {}

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
        runtime = Runtime(self.settings, self.account(provider), self.database_url, bulk=bulk)
        self._open.callback(runtime.close)
        return StreamRun(runtime, paged(PROVIDERS[provider].stream(stream), limit), Request(**request), None)

    def desk(self, provider: str, stream: StreamName = CALLS) -> Desk:
        """Where that stream's records are loaded; made once."""
        if (provider, stream) not in self._desks:
            self._desks[provider, stream] = self.run(provider, stream).desks[0]
        return self._desks[provider, stream]

    def sync(self, provider: str, stream: StreamName = CALLS, threads: int = 1, **request: Any) -> StreamRun:
        """A whole run: begun, planned, read to its end, its missing records confirmed, its receipt written."""
        return worked(self.run(provider, stream, **request), threads)

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
    run.plan()
    drained(run, threads)
    run.bury_missing()
    run.end()
    return run


def drained(run: StreamRun, threads: int = 1) -> None:
    """Reads windows until none is open that has not been tried, as the flows do."""
    tried: set[int] = set()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda job: _tried(run, run.read_record, *job), run.records()))
        while todo := [(desk, id_) for desk, id_ in run.open_windows() if id_ not in tried and not run.stop.is_set()]:
            tried.update(id_ for _, id_ in todo)
            list(pool.map(lambda job: _tried(run, run.read_window, *job), todo))


def _tried(run: StreamRun, read: Callable[[Desk, Any], object], desk: Desk, which: Any) -> None:
    try:
        read(desk, which)
    except CallweaveError as error:
        run.failed(error)


def take_in(desk: Desk, records: Iterable[Any], observed_at: datetime = NOON) -> Counts:
    """Loads records, payloads or texts, as one batch of one page that was asked for at `observed_at`."""
    return take_in_at(desk, [(record, observed_at) for record in records])


def take_in_at(desk: Desk, observations: Iterable[tuple[Any, datetime]]) -> Counts:
    """Loads records observed at their own times as one batch."""
    texts = [(one if isinstance(one, str) else encoded(one), moment) for one, moment in observations]
    batch = Intake(desk, Tally()).sort([identified(desk, text, moment) for text, moment in texts])
    return desk.load(batch, lambda connection: batch.write(connection, desk))


def decoded(body: bytes) -> Any:
    return msgspec.json.decode(body)
