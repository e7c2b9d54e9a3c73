"""What every provider keeps to, tried on all that are registered: a new one is tested by being there."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import pytest
from pydantic.fields import FieldInfo

from models.arrivals import Counts
from models.coverage import EDGE, Sizes, Span
from models.errors import (
    AccessForbidden,
    ContractBroken,
    CredentialsRejected,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RecordNotFound,
    Rejected,
    RequestRefused,
    UsageError,
)
from models.provider import Stream
from models.request import Request
from models.rows import CallRow, Row
from models.vocabulary import Direction, Outcome, StreamName
from sandbox.server import Sandbox
from tasks.client.transport import Tally
from tasks.extract.lookup import look_up
from tasks.extract.stream_run import StreamRun
from tasks.providers import PROVIDERS
from tasks.settings import Settings, credential_variables
from tests.models.test_phone import E164
from tests.support.builders import CALLS, STREAMS, Json, Office, decoded, row_of, take_in, worked
from tests.support.relay import Asked, Relay, Reply, reply

ODD: list[Any] = [None, {}, [], "", 5, "x", True, -1.5, [None], {"id": {}}, "2026-13-45T99:99:99Z", "\ufffd"]
NEEDED = {"id", "created", "createdAt", "startedAt"}
"""Fields without which a record may be rejected; each provider needs some of them."""
ENOUGH = 150
"""Requests: more than any list of the sandbox takes."""

streams = pytest.mark.parametrize(("provider", "stream"), STREAMS)
providers = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.url) as relay:
        yield relay


@pytest.fixture
def relayed(relay: Relay, database_url: str, sandbox: Sandbox) -> Iterator[Office]:
    with Office(database_url, through(sandbox.environ, relay), sizes=Sizes(pieces=10)) as office:
        yield office


def through(environ: dict[str, str], relay: Relay) -> dict[str, str]:
    return environ | {name: relay.url for name in environ if name.endswith("_BASE_URL")}


def declared(provider: str, stream: StreamName) -> Stream:
    return PROVIDERS[provider].stream(stream)


def bodies(sandbox: Sandbox, provider: str, stream: StreamName) -> dict[str, bytes]:
    return sandbox.truth()[provider][stream]


def two_hours(stream: StreamName) -> dict[str, Any]:
    """A request for a range that is one window or two; contacts have none."""
    return {"since": datetime.now(UTC) - timedelta(hours=2)} if stream is CALLS else {}


def fullest(sandbox: Sandbox, provider: str, stream: StreamName) -> Json:
    """The record with the most fields of its own."""
    records: list[Json] = [decoded(body) for body in bodies(sandbox, provider, stream).values()]
    return max(records, key=lambda record: sum(value is not None for value in record.values()))


def assert_says_why(rejected: Rejected) -> None:
    assert " " in str(rejected)


def assert_valid(row: Row) -> None:
    """Times aware UTC, numbers E.164, words of the vocabulary, texts texts."""
    for name, value in row._asdict().items():
        if isinstance(value, datetime):
            assert value.utcoffset() == timedelta(0), name
        elif name.endswith("_at"):
            assert value is None, name
        elif name.endswith("_e164"):
            assert value is None or E164.fullmatch(value), name
    if isinstance(row, CallRow):
        assert isinstance(row.started_at, datetime)
        assert isinstance(row.direction, Direction)
        assert isinstance(row.outcome, Outcome)
        assert row.is_final == (row.outcome.is_final or row.deleted_at is not None)
        assert row.duration_seconds is None or (type(row.duration_seconds) is int and row.duration_seconds >= 0)
        texts = [row.provider_status, row.remote_raw, row.own_raw, row.contact_external_id, row.parent_external_id]
        assert all(text is None or isinstance(text, str) for text in [*texts, row.agent])
    else:
        assert all(text is None or isinstance(text, str) for text in (row.first_name, row.last_name, row.email))
        assert all(E164.fullmatch(number) for number in row.e164s)
        assert row.opted_out in {None, True, False}
        assert isinstance(row.crm_ids, dict)


@providers
def test_sandbox_has_it(sandbox: Sandbox, provider: str) -> None:
    """The sandbox serves every registered provider, under the name it is registered by."""
    account = Settings(sandbox.environ).account(provider)

    assert account.provider.name == provider
    assert account.base_url == sandbox.url
    assert {stream.name for stream in account.provider.streams} == set(StreamName)


@streams
def test_every_record_is_a_row(sandbox: Sandbox, provider: str, stream: StreamName) -> None:
    """Every record of the world becomes a valid row with its own id."""
    for record_id, body in bodies(sandbox, provider, stream).items():
        row = row_of(provider, stream, body.decode())

        assert row.external_id == record_id
        assert_valid(row)


def row_or_none(provider: str, stream: StreamName, payload: Json) -> Row | None:
    try:
        return row_of(provider, stream, payload)
    except Rejected:
        return None


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where in a record a value stands."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(record: Json, path: tuple[str | int, ...], change: Any) -> Json:
    copy: Json = json.loads(json.dumps(record))
    *way, last = path
    holder: Any = copy
    for key in way:
        holder = holder[key]
    change(holder, last)
    return copy


def variations(record: Json) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """The record with each value missing or of every odd kind, the deepest of fewer kinds."""
    for path in places(record):
        yield path, changed(record, path, lambda holder, key: holder.pop(key))
        for odd in ODD if len(path) <= 3 else (None, 5):
            yield path, changed(record, path, lambda holder, key, odd=odd: holder.__setitem__(key, odd))


@streams
def test_odd_fields(sandbox: Sandbox, office: Office, provider: str, stream: StreamName) -> None:
    """A field that is missing or of another type never costs the record, id and start aside (airbyte#22096)."""
    record, good = fullest(sandbox, provider, stream), list[Json]()
    for number, (path, odd) in enumerate(variations(record)):
        if (row := row_or_none(provider, stream, odd)) is not None:
            assert_valid(row)
            good.append(odd | {"id": f"odd {number}"})
        else:
            assert path[0] in NEEDED, path
    counts = take_in(office.context(provider, stream), good)

    assert counts.inserted == counts.fetched == len(good) > 100


@streams
def test_all_fields_odd(sandbox: Sandbox, provider: str, stream: StreamName) -> None:
    """A record of which nothing is as documented but id and start is still a row."""
    record = fullest(sandbox, provider, stream)
    kept = {name: record[name] for name in NEEDED & record.keys()}
    assert_valid(row_of(provider, stream, kept))
    for odd in ODD:
        assert_valid(row_of(provider, stream, dict.fromkeys(record, odd) | kept))


@streams
def test_unreadable(sandbox: Sandbox, provider: str, stream: StreamName) -> None:
    """What is no object, or has no id or an endless one, is rejected with a reason."""
    record = fullest(sandbox, provider, stream)
    without_id = {name: value for name, value in record.items() if name != "id"}
    for bad in (
        *("null", "42", "[]", '"x"', "true"),
        *(without_id, record | {"id": ""}, record | {"id": None}, record | {"id": {}}, record | {"id": "x" * 1001}),
    ):
        with pytest.raises(Rejected, match=r"\w+ \w+"):
            row_of(provider, stream, bad)
    assert row_of(provider, stream, record | {"id": "x" * 1000}).external_id == "x" * 1000


@providers
@pytest.mark.parametrize("start", [None, {}, "", "yesterday", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", 5])
def test_without_a_start(sandbox: Sandbox, provider: str, start: Any) -> None:
    """A call without a readable start is rejected."""
    record = fullest(sandbox, provider, CALLS)
    for name in NEEDED & record.keys() - {"id"}:
        record[name] = start if not isinstance(record[name], dict) else {"at": start}
    with pytest.raises(Rejected, match="start"):
        row_of(provider, CALLS, record)


@providers
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T12:00:00.5Z", datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-20T14:00:00+02:00", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T12:00:00", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T12:00:00.123456789Z", datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_times(sandbox: Sandbox, provider: str, text: str, expected: datetime) -> None:
    """Times are aware UTC, whatever zone they are written in; a missing zone is UTC (airbyte#48492)."""
    record = fullest(sandbox, provider, CALLS)
    for name in NEEDED & record.keys() - {"id"}:
        record[name] = text if not isinstance(record[name], dict) else record[name] | {"at": text}
    row = row_of(provider, CALLS, record)

    assert isinstance(row, CallRow)
    assert row.started_at == expected
    assert row.started_at.utcoffset() == timedelta(0)


@providers
def test_unknown_words(sandbox: Sandbox, provider: str) -> None:
    """Words of no table are unknown and not final, and never cost the record."""
    plain = next(body for body in bodies(sandbox, provider, CALLS).values() if b"webrtc" not in body)
    record: Json = decoded(plain)
    for name in record.keys() - NEEDED:
        if isinstance(record[name], str) and not record[name].startswith("20"):
            record[name] = "smoke-signal"
    row = row_of(provider, CALLS, record)

    assert isinstance(row, CallRow)
    assert (row.outcome, row.direction, row.provider_status) == (Outcome.UNKNOWN, Direction.UNKNOWN, "smoke-signal")
    assert row.is_final == (row.deleted_at is not None)


@streams
def test_by_id_as_in_the_list(sandbox: Sandbox, office: Office, provider: str, stream: StreamName) -> None:
    """A record asked for by id is the record that the list holds."""
    context, records = office.context(provider, stream), list(bodies(sandbox, provider, stream).items())
    for record_id, body in records[:: len(records) // 4]:
        assert look_up(context, record_id).inserted == 1
        assert take_in(context, [body.decode()], datetime.now(UTC)) == Counts(unchanged=1)


@streams
def test_unknown_id(sandbox: Sandbox, office: Office, provider: str, stream: StreamName) -> None:
    """An id that the provider does not hold is not found, and stores nothing."""
    known = next(iter(bodies(sandbox, provider, stream)))
    unknown = known[:-1] + ("0" if known[-1] != "0" else "1")
    with pytest.raises(RecordNotFound):
        look_up(office.context(provider, stream), unknown)

    assert office.ids(provider, stream) == set()


@providers
def test_secrets_are_not_shown(relayed: Office, provider: str) -> None:
    """No secret stands in what is printed of a run and its parts."""
    run = relayed.run(provider)
    shown = [repr(part) for part in (run.account, run.contexts[0], run.contexts[0].client, run.request, run)]

    for secret in run.account.secrets():
        assert not any(secret in text for text in shown)


def wrong_keys() -> list[tuple[str, str]]:
    return [(name, variable) for name, provider in PROVIDERS.items() for variable in credential_variables(provider)]


@pytest.mark.parametrize(("provider", "variable"), wrong_keys())
def test_wrong_key(sandbox: Sandbox, database_url: str, provider: str, variable: str) -> None:
    """A wrong key is an error that names its variable and not its value."""
    with Office(database_url, sandbox.environ | {variable: "hush-not-the-key"}) as office:
        with pytest.raises(CredentialsRejected, match=variable) as error:
            ask(office.run(provider))
        assert "hush" not in str(error.value)
        assert str(error.value).endswith(".")


def ask(run: StreamRun) -> None:
    """One page of a list, as a window would ask for it."""
    context = run.contexts[0]
    context.client.get(
        context.listing.path,
        context.listing.params | context.stream.paging.params(context.stream.paging.start),
        Tally(),
    )


def on_lists(answer: Reply, times: int | None = None) -> Any:
    """Answers GETs in the provider's place, only the first `times` where told so."""
    left = [times]

    def intervene(asked: Asked) -> Reply | None:
        if asked.method != "GET" or left[0] == 0:
            return None
        left[0] = left[0] and left[0] - 1
        return answer

    return intervene


REFUSALS: dict[int, type[ProviderError]] = {
    401: CredentialsRejected,
    403: AccessForbidden,
    404: RecordNotFound,
    410: RecordNotFound,
    400: RequestRefused,
    422: RequestRefused,
    302: ContractBroken,
}


@providers
@pytest.mark.parametrize("status", REFUSALS)
def test_refusal(relay: Relay, relayed: Office, provider: str, status: int) -> None:
    """A refusal that no retry changes is named by what to do; only 401 is asked for once more, with a new token."""
    relay.intervene = on_lists(reply(status, {"message": "no"}))
    with pytest.raises(ProviderError) as error:
        ask(relayed.run(provider))

    assert type(error.value) is REFUSALS[status]
    assert len(relay.gets) <= (2 if status == 401 else 1)


@providers
@pytest.mark.parametrize("status", [429, 503])
def test_persistent_trouble(
    relay: Relay, relayed: Office, provider: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may pass by is tried again some times and then left to a later run."""
    relay.intervene = on_lists(reply(status, {}))
    with pytest.raises(ProviderUnavailable):
        ask(relayed.run(provider))

    assert 3 <= len(relay.gets) <= 10


@providers
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_trouble(
    relay: Relay, relayed: Office, provider: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes by is not noticed, whatever server stands in front (airbyte#5765)."""
    relay.intervene = on_lists(Reply(status, b"<html>upstream error</html>"), times=2)
    ask(relayed.run(provider))

    assert len(relay.gets) == 3


@providers
def test_known_to_be_down(relay: Relay, relayed: Office, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is down is found out once, not anew for each window; from when it answers it is as before."""
    run, asked = relayed.run(provider), []
    for trouble in (100, 100, 0, 2):
        relay.intervene = on_lists(reply(503, {}), times=trouble)
        relay.asked.clear()
        with suppress(ProviderUnavailable):
            ask(run)
        asked.append(len(relay.gets))

    assert asked == [5, 1, 1, 3]


@providers
def test_cut_off(relay: Relay, relayed: Office, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection lost in the middle of an answer is tried again."""
    relay.intervene = on_lists(reply(200, {"data": [], "results": []}, cut=True), times=2)
    ask(relayed.run(provider))

    assert len(relay.gets) == 3


@providers
def test_unreachable(database_url: str, sandbox: Sandbox, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, the error names the address and the variable that sets it."""
    variable = f"{provider.upper()}_BASE_URL"
    with (
        Office(database_url, sandbox.environ | {variable: "http://127.0.0.1:9"}) as office,
        pytest.raises(ProviderUnavailable, match=rf"127\.0\.0\.1:9.*{variable}"),
    ):
        ask(office.run(provider))


@providers
def test_long_pause(relay: Relay, relayed: Office, provider: str) -> None:
    """A pause longer than a request can take ends the window at once, and tells how long it is."""
    relay.intervene = on_lists(reply(429, {}, retry_after="900"))
    with pytest.raises(RateLimited) as error:
        ask(relayed.run(provider))

    assert error.value.retry_after == 900
    assert len(relay.gets) == 1


@pytest.mark.parametrize("form", ["seconds", "date", "reset"])
def test_pause(relay: Relay, relayed: Office, form: str) -> None:
    """A pause that a provider asks for is kept, in whatever form it asks."""
    now = datetime.now(UTC).timestamp()
    headers: dict[str, Any] = {
        "seconds": {"retry_after": "1"},
        "date": {"retry_after": formatdate(now + 2, usegmt=True), "date": formatdate(now, usegmt=True)},
        "reset": {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(int(now) + 2)},
    }[form]
    relay.intervene = on_lists(reply(429, {}, **headers), times=1)
    run = relayed.run(next(iter(PROVIDERS)))
    began = datetime.now(UTC)
    ask(run)

    assert timedelta(seconds=0.9) <= datetime.now(UTC) - began < timedelta(seconds=30)
    assert len(relay.gets) == 2


@providers
def test_errors_tell_no_secret(relay: Relay, relayed: Office, provider: str) -> None:
    """An error quotes the provider without the secrets and telephone numbers it may echo."""
    run = relayed.run(provider)
    echo = [*run.account.secrets(), "+33612345678", "(212) 555-0142"]
    relay.intervene = on_lists(reply(400, {"message": "bad request", "echo": echo}))
    with pytest.raises(RequestRefused, match="bad request") as error:
        ask(run)

    assert not any(text in str(error.value) for text in echo)


BROKEN: list[tuple[str, bytes]] = [
    ("html", b"<html>maintenance</html>"),
    ("empty", b""),
    ("null", b"null"),
    ("list", b"[]"),
    ("other envelope", b'{"success":true,"items":[]}'),
    ("records no list", b'{"data":{},"results":{}}'),
    ("records null", b'{"data":null,"results":null}'),
    ("cut short", b'{"data":[{"id":"a"},{"id":"b"'),
    ("cut at an object", b'{"results":[{"id":"a"}'),
    ("two in one", b'{"data":[{"id":"a"}],"results":[{"id":"a"}]}{"data":[],"results":[]}'),
]


@pytest.mark.parametrize(("_name", "body"), BROKEN, ids=[name for name, _ in BROKEN])
@providers
def test_broken_list(relay: Relay, relayed: Office, provider: str, _name: str, body: bytes) -> None:
    """An answer that is no list as documented fails its window, never an empty success (stripe/sync-engine#111)."""
    relay.intervene = on_lists(Reply(200, body))
    run = relayed.sync(provider, **two_hours(CALLS))

    assert run.receipt.state == "failed"
    assert run.receipt.counts.fetched == 0
    assert relayed.rows("SELECT FROM sync_window WHERE state = 'done'") == []


@streams
def test_endless_list(sandbox: Sandbox, relay: Relay, relayed: Office, provider: str, stream: StreamName) -> None:
    """A list whose pages repeat for ever is left, and never proven (PostHog#66755, OpenMetadata#23210)."""
    page = endless_page(declared(provider, stream), bodies(sandbox, provider, stream))

    def the_same_again(asked: Asked) -> Reply | None:
        if asked.method != "GET":
            return None
        return page if len(relay.gets) <= ENOUGH else reply(418, {"message": "enough"})

    relay.intervene = the_same_again
    relayed.sync(provider, stream, **two_hours(stream))

    assert len(relay.gets) <= ENOUGH, "it would have gone on and on"
    assert relayed.rows("SELECT pages, reason FROM sync_window WHERE verdict = 'proven'") == []


def endless_page(stream: Stream, held: dict[str, bytes]) -> Reply:
    """A full page that claims, in every known way, that more follow."""
    limit = stream.paging.limit
    records = [decoded(body) | {"id": f"{number}"} for number, body in enumerate((list(held.values()) * limit)[:limit])]
    claims = {"pagination": {"hasNext": True}, "nextPageToken": "again", "meta": {"limit": limit, "total": 10**6}}
    return reply(200, claims | {stream.items[0]: records})


@streams
def test_all_pages(sandbox: Sandbox, relay: Relay, relayed: Office, provider: str, stream: StreamName) -> None:
    """A list is followed to its end, authorised and by an explicit page size; no secret ever stands in a URL."""
    run = relayed.sync(provider, stream)

    assert run.receipt.state == "completed"
    assert relayed.ids(provider, stream) == set(bodies(sandbox, provider, stream))
    assert all(asked.headers.get("authorization") for asked in relay.gets)
    assert all(asked.headers["user-agent"].startswith("callweave") for asked in relay.gets)
    assert all("limit" in asked.query for asked in relay.gets if asked.path == run.contexts[0].listing.path)
    for secret in run.account.secrets():
        assert not any(secret in asked.url for asked in relay.asked)


@providers
def test_window_parameters(relay: Relay, relayed: Office, provider: str) -> None:
    """Each request of a bounded list carries its window, one second wider at each end."""
    bounds = declared(provider, CALLS).time_filter
    since = datetime(2026, 11, 1, 7, 30, 0, 250_000, tzinfo=UTC)
    worked(relayed.run(provider, since=since - timedelta(days=9), until=since - timedelta(days=8)))
    tried = len(relay.gets)
    run = relayed.run(provider, since=since, until=since + timedelta(hours=1))
    worked(run)
    lists = [asked for asked in relay.gets[tried:] if asked.path == run.contexts[0].listing.path]

    assert lists
    if bounds is None:
        assert not any({"from", "to", "startAt", "endAt", "since", "until"} & asked.query.keys() for asked in lists)
        return
    ranges = [asked.query[bounds.since] + asked.query[bounds.until] for asked in lists]
    spans = [Span(datetime.fromisoformat(low), datetime.fromisoformat(high)) for low, high in ranges]
    moment = 2 * EDGE + timedelta(milliseconds=1)  # in which the newest call that is held is looked for
    assert {one for one in spans if one.length > moment} == {Span(since - EDGE, since + timedelta(hours=1) + EDGE)}
    assert all(end.endswith("Z") for ends in ranges for end in ends)


def filters(stream: Stream) -> Iterator[tuple[str, Any]]:
    for name, info in stream.filters.model_fields.items():
        yield from ((info.alias or name, value) for value in filter_values(info))


def filter_values(info: FieldInfo) -> list[Any]:
    kinds = [kind for kind in get_args(info.annotation) if kind is not type(None)] or [info.annotation]
    (kind,) = kinds
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    known: dict[Any, list[Any]] = {
        str: ["x"],
        int: [0, 12],
        bool: [True, False],
        UUID: ["4fc2edf7-68f5-437a-89eb-3ce0095409d6"],
        list[str]: [["vip"]],
    }
    return known[kind]


def every_filter() -> list[tuple[str, StreamName, str, Any]]:
    return [
        (provider, stream.name, name, value)
        for provider in PROVIDERS
        for stream in PROVIDERS[provider].streams
        for name, value in filters(stream)
    ]


@pytest.mark.parametrize("given", every_filter(), ids=str)
def test_filter(office: Office, sandbox: Sandbox, given: tuple[str, StreamName, str, Any]) -> None:
    """Every documented filter is sent under its own name and accepted by the provider."""
    provider, stream, name, value = given
    before = len(sandbox.requests)
    run = office.sync(provider, stream, filters={name: value}, **two_hours(stream))
    sent = [asked for asked in sandbox.requests[before:] if asked.path == run.contexts[0].listing.path]

    assert run.receipt.error is None
    assert sent
    for asked in sent:
        (spelling,) = {name, f"{name}[]"} & asked.query.keys()
        assert asked.query[spelling] == [json.dumps(value) if isinstance(value, bool) else str(value).strip("[']")]
    assert office.rows("SELECT FROM v1.sync_status") == []


@streams
@pytest.mark.parametrize(
    "name", ["colour", "limit", "offset", "page", "pageToken", "from_", "startAt", "endAt", "workspaceIds"]
)
def test_other_filters(provider: str, stream: StreamName, name: str) -> None:
    """A filter that is undocumented, or that the program sets itself, is refused before anything is sent."""
    with pytest.raises(UsageError, match=name):
        Request(filters={name: "1"}).filters_of(declared(provider, stream))


@streams
def test_own_time_filters(provider: str, stream: StreamName) -> None:
    """The parameters that bound a window are the program's own."""
    bounds = declared(provider, stream).time_filter
    for name in (bounds.since, bounds.until) if bounds else ():
        with pytest.raises(UsageError, match=name):
            Request(filters={name: "2026-01-01T00:00:00Z"}).filters_of(declared(provider, stream))


@streams
def test_spoilt_records(sandbox: Sandbox, provider: str, stream: StreamName) -> None:
    """Records as no provider should send them are rows or rejected, nothing else."""
    from models.json_text import clean  # noqa: PLC0415 - as an answer is cleaned before its records are cut
    from sandbox.faults.spoil import SPOILERS  # noqa: PLC0415 - beside its only use

    for body in bodies(sandbox, provider, stream).values():
        for spoil in SPOILERS.values():
            try:
                assert_valid(row_of(provider, stream, clean(spoil(stream, body)), "FR"))
            except Rejected as rejected:
                assert_says_why(rejected)
