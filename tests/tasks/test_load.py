"""Loading on a real Postgres: whatever order records come in, and however often, the same table stands at the end."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from threading import Barrier
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from models.arrivals import Counts
from tasks.database import in_transaction
from tasks.extract.context import StreamContext
from tasks.load.classify import Seen as SeenSoFar
from tasks.load.classify import classify
from tests.support.builders import (
    CALLS,
    CONTACTS,
    Json,
    Office,
    at,
    bird_call,
    encoded,
    iso,
    sakari_call,
    skipcall_call,
    skipcall_contact,
    take_in,
    take_in_at,
)
from tests.support.patience import PATIENCE

CONTENT = (
    "SELECT external_id, outcome, duration_seconds, remote_e164, agent, payload, changed_at FROM v1.call ORDER BY 1"
)
PLACES = "SELECT external_id, ctid::text, xmin::text FROM call ORDER BY 1"


@pytest.fixture
def sakari(office: Office) -> StreamContext:
    """Records without a change time of their own."""
    return office.context("sakari")


@pytest.fixture
def skipcall(office: Office) -> StreamContext:
    """Records with a change time of their own."""
    return office.context("skipcall")


def one(office: Office, query: str) -> Json:
    (row,) = office.rows(query)
    return row


def stored(office: Office) -> Json:
    return one(office, "SELECT * FROM v1.call")


def emptied(context: StreamContext) -> None:
    with context.engine.begin() as connection:
        connection.execute(text("TRUNCATE call, contact, phone, rejected_row RESTART IDENTITY"))


# A record's history: version n is asked for at second n, and no content ever returns.
Seen = tuple[str, int]
histories = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), min_size=1, max_size=12)


def sakari_version(seen: Seen) -> tuple[Json, datetime]:
    name, version = seen
    return sakari_call(id=name, duration=version + 1, status="ended" if version > 1 else "active"), at(version)


def skipcall_version(seen: Seen) -> tuple[Json, datetime]:
    """The provider's own change time runs against the order in which pages were asked for."""
    name, version = seen
    return skipcall_call(id=name, notes=f"v{version}", updatedAt=iso(at(version))), at(100 - version)


VERSIONS = {"sakari": sakari_version, "skipcall": skipcall_version}


def batches(history: list[Seen], cuts: list[int]) -> Iterator[list[Seen]]:
    marks = sorted({0, *(cut % (len(history) + 1) for cut in cuts), len(history)})
    return (history[a:b] for a, b in pairwise(marks))


@pytest.mark.parametrize("provider", VERSIONS)
@given(histories, st.lists(st.integers(0, 12), max_size=4), st.booleans())
@example([("a", 1), ("a", 0), ("b", 0)], [1], True)
def test_any_order(office: Office, provider: str, history: list[Seen], cuts: list[int], staged: bool) -> None:
    """Any permutation and repetition, in whatever batches, ends with each record's newest version (dlt#2269)."""
    context = office.context(provider)
    emptied(context)
    for batch in batches(history, cuts):
        take_in_at(context, [VERSIONS[provider](seen) for seen in batch])
    newest = {name: max(version for other, version in history if other == name) for name, _ in history}
    held = {row["external_id"]: row["payload"] for row in office.rows("SELECT external_id, payload FROM v1.call")}

    assert held == {seen[0]: VERSIONS[provider](seen)[0] for seen in newest.items()}


def test_stale_page(office: Office, sakari: StreamContext) -> None:
    """A page that was asked for earlier changes nothing, however late it is written (stripe/sync-engine#177)."""
    take_in(sakari, [sakari_call(status="ended")], at(10))
    counts = take_in(sakari, [sakari_call(status="active")], at(9))

    assert counts == Counts(unchanged=1)
    assert stored(office)["provider_status"] == "ended"


def test_newer_page(office: Office, sakari: StreamContext) -> None:
    """A page that was asked for later is taken, also when its status looks like an earlier one."""
    take_in(sakari, [sakari_call(status="ended")], at(10))
    counts = take_in(sakari, [sakari_call(status="active")], at(11))

    assert counts == Counts(updated=1)
    assert (stored(office)["provider_status"], stored(office)["is_final"]) == ("active", False)


def test_source_time_wins(office: Office, skipcall: StreamContext) -> None:
    """The provider's own change time beats the time at which we asked (stripe/sync-engine-fork#335)."""
    take_in(skipcall, [skipcall_call(notes="new", updatedAt=iso(at(50)))], at(55))
    counts = take_in(skipcall, [skipcall_call(notes="old", updatedAt=iso(at(40)))], at(60))

    assert counts == Counts(unchanged=1)
    assert stored(office)["payload"]["notes"] == "new"


def test_equal_source_time(office: Office, skipcall: StreamContext) -> None:
    """Of two contents with one change time the later asked for wins (stripe/sync-engine#268)."""
    take_in(skipcall, [skipcall_call(notes="first", updatedAt=iso(at(50)))], at(60))
    take_in(skipcall, [skipcall_call(notes="second", updatedAt=iso(at(50)))], at(61))
    take_in(skipcall, [skipcall_call(notes="first", updatedAt=iso(at(50)))], at(60))

    assert stored(office)["payload"]["notes"] == "second"


@given(st.permutations(["a", "b", "c"]))
@hypothesis_settings(max_examples=6)
def test_exact_tie(office: Office, order: list[str]) -> None:
    """Contents asked for at the very same moment end the same in every order."""
    context = office.context("sakari")
    emptied(context)
    for name in order:
        take_in(context, [sakari_call(user={"firstName": name})])
    kept = stored(office)["agent"]

    emptied(context)
    take_in(context, [sakari_call(user={"firstName": name}) for name in sorted(order)])
    assert stored(office)["agent"] == kept


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"id":"x","created":{"at":"2026-11-20T12:00:00Z"},"duration":100}',) * 2,
        (
            '{"id":"x","created":{"at":"2026-11-20T12:00:00Z"},"duration":100}',
            '{"duration":100,"created":{"at":"2026-11-20T12:00:00Z"},"id":"x"}',
        ),
        (
            '{"id":"x","created":{"at":"2026-11-20T12:00:00Z"},"duration":100}',
            '{"id":"x","created":{"at":"2026-11-20T12:00:00Z"},"duration":1e2}',
        ),
        (
            '{"id":"x","created":{"at":"2026-11-20T12:00:00Z"},"notes":"\u00e9"}',
            '{ "id" : "x", "created":{"at":"2026-11-20T12:00:00Z"},\n"notes":"\\u00e9"}',
        ),
        (
            '{"id":"x","created":{"at":"2026-11-20T12:00:00Z"},"a":1,"duration":7}',
            '{"id":"x","created":{"at":"2026-11-20T12:00:00Z"},"a":2,"a":1,"duration":7}',
        ),
    ],
    ids=["same bytes", "key order", "number spelling", "white space", "doubled key"],
)
def test_nothing_new_writes_nothing(office: Office, sakari: StreamContext, before: str, after: str) -> None:
    """Equal content is not written, however it is spelt, seen later or not (django-manager-utils#104)."""
    take_in(sakari, [before, sakari_call(id="y")], at(0))
    places, content = office.rows(PLACES), office.rows(CONTENT)
    counts = take_in(sakari, [after, sakari_call(id="y")], at(60))

    assert counts == Counts(unchanged=2)
    assert office.rows(PLACES) == places
    assert office.rows(CONTENT) == content


def test_content_that_returns(office: Office, sakari: StreamContext) -> None:
    """Where content returned to an earlier value and pages came out of order, the next reading heals it."""
    for status, moment in (("ended", 0), ("ended", 60), ("active", 30), ("ended", 90)):
        take_in(sakari, [sakari_call(status=status)], at(moment))

    assert stored(office)["provider_status"] == "ended"


def test_changed_at(office: Office, sakari: StreamContext) -> None:
    """`changed_at` moves with a change and only then; `first_seen_at` never (cloudquery#18643)."""
    take_in(sakari, [sakari_call()], at(0))
    first = stored(office)
    take_in(sakari, [sakari_call()], at(1))
    take_in(sakari, [sakari_call(status="active")], at(-1))
    assert stored(office) == first

    take_in(sakari, [sakari_call(duration=43)], at(2))
    second = stored(office)
    assert second["changed_at"] > first["changed_at"] == first["first_seen_at"]
    assert second["first_seen_at"] == first["first_seen_at"]


def test_payload_alone_is_a_change(office: Office, sakari: StreamContext) -> None:
    """A change that no column but the payload shows is one (`payload` is a column of the row)."""
    take_in(sakari, [sakari_call()], at(0))
    first = stored(office)

    assert take_in(sakari, [sakari_call(recording=True)], at(1)) == Counts(updated=1)
    assert stored(office)["changed_at"] > first["changed_at"]


def test_duplicates_in_a_batch(office: Office, sakari: StreamContext) -> None:
    """A key twice in one batch is one row, of the newer content, and counted once (target-postgres#28, ingestr#639)."""
    versions = [(sakari_call(duration=n), at(n)) for n in (3, 9, 5, 9)]

    assert take_in_at(sakari, versions) == Counts(inserted=1, duplicate=3)
    assert stored(office)["duration_seconds"] == 9


def test_duplicate_of_a_known_record(office: Office, sakari: StreamContext) -> None:
    """Of a known record that a window holds in two versions the newer one is stored (config-db#893)."""
    take_in(sakari, [sakari_call(duration=1)], at(0))
    counts = take_in_at(sakari, [(sakari_call(duration=1), at(1)), (sakari_call(duration=2), at(2))])

    assert counts.fetched == 2
    assert counts.duplicate == 1
    assert stored(office)["duration_seconds"] == 2


def test_one_bad_record_costs_only_itself(office: Office, sakari: StreamContext) -> None:
    """A batch with records that cannot be read or held loads all others (ros2_data_collection#309)."""
    good = [sakari_call(id=f"good{n}") for n in range(20)]
    bad = [
        *("null", "42", '"text"', "[]", "{}", '{"id":null}', encoded(sakari_call(id="x" * 1001))),
        *(encoded(sakari_call(id="no start", created={})), encoded(sakari_call(id="odd", created={"at": "yesterday"}))),
        encoded(sakari_call(id="huge")).replace("42", "1e200000"),
    ]
    counts = take_in(sakari, [*good[:10], *bad, *good[10:]])

    assert counts == Counts(inserted=20, rejected=len(bad))
    assert office.ids("sakari") == {record["id"] for record in good}
    assert len(office.rows("SELECT FROM v1.rejected_row")) == len(bad)
    assert all(row["reason"] for row in office.rows("SELECT reason FROM v1.rejected_row"))


HUGE = encoded(sakari_call(id="huge", duration="@")).replace('"@"', "1e200000")
DEEP = encoded(sakari_call(id="deep", notes="@")).replace('"@"', "[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize(("name", "record"), [("huge", HUGE), ("deep", DEEP)], ids=["1e200000", "depth 100000"])
def test_what_postgres_cannot_hold(office: Office, sakari: StreamContext, name: str, record: str) -> None:
    """A record beyond what jsonb takes is set aside with its bytes, its id and the reason."""
    assert take_in(sakari, [record, sakari_call()]) == Counts(inserted=1, rejected=1)
    row = one(office, "SELECT external_id, reason, payload, content, resolved_at FROM rejected_row")

    assert (row["external_id"], row["payload"], row["resolved_at"]) == (name, None, None)
    assert bytes(row["content"]) == record.encode()
    assert "Postgres cannot hold it" in row["reason"]


@pytest.mark.parametrize("depth", [200, 1_000, 1_500, 5_000])
def test_deep_records_are_rows(office: Office, sakari: StreamContext, depth: int) -> None:
    """Nesting that Postgres can hold is loaded, also where no parser of ours reads it."""
    record = encoded(sakari_call(notes="@")).replace('"@"', "[" * depth + "]" * depth)

    assert take_in(sakari, [record]) == Counts(inserted=1)
    assert one(office, "SELECT duration_seconds FROM v1.call") == {"duration_seconds": 42}


def test_rejected_columns(office: Office, sakari: StreamContext) -> None:
    """A record that can be held but not read is kept as received, once, with both times."""
    take_in(sakari, [{"id": "lost", "status": "ended"}])
    first = one(office, "SELECT * FROM v1.rejected_row")
    take_in(sakari, [{"id": "lost", "status": "ended"}])
    again = one(office, "SELECT * FROM v1.rejected_row")

    assert (again["provider"], again["account"], again["stream"]) == ("sakari", "sandbox-account", "calls")
    assert (again["external_id"], again["payload"]) == ("lost", {"id": "lost", "status": "ended"})
    assert again["first_seen_at"] == first["first_seen_at"]
    assert again["last_seen_at"] > first["last_seen_at"]
    assert "start" in again["reason"]


@pytest.mark.parametrize(
    ("arrived", "held"), [("a\x00b", "a\ufffdb"), ("\ud83d end", "\ufffd end"), ("\U0001f600", "\U0001f600")]
)
def test_unstorable_text(office: Office, sakari: StreamContext, arrived: str, held: str) -> None:
    """NULs and lone surrogates stand as U+FFFD, in the payload and in every column (airbyte#3476, intelmq#2203)."""
    from models.json_text import clean  # noqa: PLC0415 - as an answer is cleaned before its records are cut

    record = json.dumps(sakari_call(status=arrived, user={"firstName": arrived}, notes={arrived: [arrived]}))
    assert take_in(sakari, [clean(record.encode())]) == Counts(inserted=1)
    row = stored(office)

    assert (row["provider_status"], row["agent"], row["payload"]["notes"]) == (held, held.strip(), {held: [held]})


def test_rejected_then_readable(office: Office, sakari: StreamContext) -> None:
    """A record that was set aside and is read later is resolved, and open again when it turns unreadable."""
    take_in(sakari, [sakari_call(id="r", created=None)])
    take_in(sakari, [sakari_call(id="r")], at(1))
    assert one(office, "SELECT resolved_at FROM v1.rejected_row")["resolved_at"] is not None

    take_in(sakari, [sakari_call(id="r", created=None)], at(2))
    assert one(office, "SELECT resolved_at FROM v1.rejected_row")["resolved_at"] is None


def test_rejected_then_as_it_was(office: Office, sakari: StreamContext) -> None:
    """A known record that was unreadable once and comes back as it was is resolved too."""
    take_in(sakari, [sakari_call(id="r")], at(0))
    take_in(sakari, [sakari_call(id="r", created=None)], at(1))
    take_in(sakari, [sakari_call(id="r")], at(2))

    assert one(office, "SELECT resolved_at FROM v1.rejected_row")["resolved_at"] is not None


def test_rejected_leaves_the_row(office: Office, sakari: StreamContext) -> None:
    """A known record that arrives unreadable keeps its row."""
    take_in(sakari, [sakari_call()])
    take_in(sakari, [sakari_call(created=None, status="missed")], at(1))

    assert stored(office)["provider_status"] == "ended"


def vanish(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE call SET vanished_at = now(), changed_at = now()"))


@pytest.mark.parametrize("duration", [42, 43], ids=["as it was", "changed"])
def test_seen_again(office: Office, sakari: StreamContext, duration: int) -> None:
    """A record held to be deleted that is seen again is there again (cloudquery#8133)."""
    take_in(sakari, [sakari_call()], at(0))
    vanish(sakari.engine)
    buried = stored(office)
    assert (buried["is_final"], buried["deleted_at"] is None) == (True, False)

    assert take_in(sakari, [sakari_call(duration=duration)], at(1)) == Counts(updated=1)
    row = stored(office)
    assert (row["deleted_at"], row["duration_seconds"]) == (None, duration)
    assert row["changed_at"] > buried["changed_at"]


def test_deleted_at_the_provider(office: Office, skipcall: StreamContext) -> None:
    """A provider's own tombstone comes and goes with the record's content."""
    take_in(skipcall, [skipcall_call(deletedAt=iso(at(5)), updatedAt=iso(at(5)))], at(0))
    assert stored(office)["deleted_at"] == at(5)

    take_in(skipcall, [skipcall_call(deletedAt=None, updatedAt=iso(at(6)))], at(1))
    assert stored(office)["deleted_at"] is None


def test_opposite_orders_do_not_deadlock(office: Office, sakari: StreamContext) -> None:
    """Concurrent merges of the same keys in opposite orders all succeed (PerformanceMonitor#1801)."""
    keys, rounds, together = [f"k{n:03}" for n in range(120)], 6, Barrier(4)

    def work(number: int) -> None:
        for turn in range(rounds):
            order = keys if (number + turn) % 2 else keys[::-1]
            together.wait(PATIENCE)
            take_in(sakari, [sakari_call(id=key, duration=turn * 10 + number) for key in order], at(turn * 10 + number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    newest = {row["duration_seconds"] for row in office.rows("SELECT duration_seconds FROM v1.call")}
    assert newest == {(rounds - 1) * 10 + 3}


def test_new_phones_do_not_deadlock(office: Office) -> None:
    """Concurrent batches that meet the same new numbers register each once (basic-memory#1208)."""
    context, together = office.context("skipcall", CONTACTS), Barrier(4)
    numbers = [f"+3361234{n:04}" for n in range(200)]

    def work(number: int) -> None:
        order = numbers if number % 2 else numbers[::-1]
        together.wait(PATIENCE)
        take_in(context, [skipcall_contact(id=f"c{number}-{n}", phoneNumbers=[one]) for n, one in enumerate(order)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert [row["e164"] for row in office.rows("SELECT e164 FROM phone ORDER BY e164")] == sorted(numbers)


def test_numbers_are_remembered_with_their_records(office: Office, sakari: StreamContext) -> None:
    """A number counts as registered once a record that names it is stored: until then a crash may take it back."""
    batch = classify(sakari.store, [sakari.parser.identify(encoded(sakari_call()), at(), "")], SeenSoFar.nothing())

    def fail(connection: Connection) -> None:
        connection.execute(text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError, match="division by zero"):
        sakari.store.load(batch, fail)
    office.rows("DELETE FROM phone RETURNING id")
    sakari.store.load(batch, lambda connection: batch.write(connection, CALLS, sakari.key))

    assert {row["e164"] for row in office.rows("SELECT e164 FROM phone")} == sakari.store.numbers
    assert len(sakari.store.numbers) == 1


def test_many_records_at_once(office: Office, sakari: StreamContext) -> None:
    """A batch is not bound by the number of a statement's parameters (psycopg#620)."""
    assert take_in(sakari, [sakari_call(id=str(n)) for n in range(5_000)]) == Counts(inserted=5_000)


def test_same_id_elsewhere(office: Office) -> None:
    """One id at two providers, and a call's and a contact's, are different records."""
    take_in(office.context("sakari"), [sakari_call(id="1")])
    take_in(office.context("bird"), [bird_call(id="1")])
    take_in(office.context("skipcall"), [skipcall_call(id="1")])
    take_in(office.context("skipcall", CONTACTS), [skipcall_contact(id="1")])

    keys = "SELECT provider, account, external_id FROM v1.{} ORDER BY provider"
    assert [row["provider"] for row in office.rows(keys.format("call"))] == ["bird", "sakari", "skipcall"]
    assert len(office.rows(keys.format("contact"))) == 1


def test_accounts_do_not_mix(office: Office, database_url: str) -> None:
    """The account is part of the key: one id in two accounts is two records (dlt#4297)."""
    with Office(database_url, office.environ, SKIPCALL_ACCOUNT="lyon") as lyon:
        take_in(office.context("skipcall"), [skipcall_call(notes="here")])
        take_in(lyon.context("skipcall"), [skipcall_call(notes="there")])

    rows = office.rows("SELECT account, payload ->> 'notes' AS notes FROM v1.call ORDER BY account")
    assert rows == [{"account": "default", "notes": "here"}, {"account": "lyon", "notes": "there"}]


def test_region_is_part_of_the_content(office: Office, database_url: str) -> None:
    """A changed default region reads the same bytes anew."""
    record = sakari_call(contact={"id": "c", "mobile": {"number": "06 12 34 56 78"}})
    take_in(office.context("sakari"), [record], at(0))
    assert stored(office)["remote_e164"] is None

    with Office(database_url, office.environ, SAKARI_DEFAULT_REGION="FR") as french:
        assert take_in(french.context("sakari"), [record], at(1)) == Counts(updated=1)
    assert stored(office)["remote_e164"] == "+33612345678"


def test_far_dates(office: Office, skipcall: StreamContext) -> None:
    """Dates at the ends of the calendar are how programs say never, and none."""
    take_in(
        skipcall,
        [
            skipcall_call(id="far", startedAt="9999-12-31T23:59:59Z"),
            skipcall_call(id="zero", startedAt="0001-01-01T00:00:00Z"),
            skipcall_call(id="odd", startedAt="9999-12-31T23:59:59-12:00"),
        ],
    )
    starts = {
        row["external_id"]: row["started_at"] for row in office.rows("SELECT external_id, started_at FROM v1.call")
    }

    assert set(starts) == {"far", "zero", "odd"}
    assert set(starts.values()) == {datetime.fromisoformat("2026-11-20T11:59:30Z")}


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        *((0, 0), (1, 1), (1.4, 1), (1.5, 2), (2.5, 3), (0.49, 0), (-1, None), (-0.4, None)),
        *((2**31 - 1, 2**31 - 1), (2**31, None), (1e300, None), ("12", None), (True, None), (None, None), ({}, None)),
    ],
    ids=str,
)
def test_duration(office: Office, sakari: StreamContext, duration: Any, expected: int | None) -> None:
    """Durations are rounded half up; what is negative, no number or beyond the column is null."""
    take_in(sakari, [sakari_call(duration=duration)])

    assert stored(office)["duration_seconds"] == expected


def test_a_window_counts_each_record_once(office: Office, sakari: StreamContext) -> None:
    """Over the batches of one window each record of its pages is in exactly one count (airbyte#17293)."""
    take_in(sakari, [sakari_call(id="known"), sakari_call(id="changes")], at(0))
    seen = SeenSoFar.nothing()
    pages: list[list[Any]] = [
        [sakari_call(id="known"), sakari_call(id="new"), "null"],
        [sakari_call(id="new"), sakari_call(id="changes", duration=1), sakari_call(id="known", duration=2)],
        [sakari_call(id="changes", duration=1), HUGE, "null"],
    ]
    counts = Counts()
    for number, page in enumerate(pages, 1):
        texts = [one if isinstance(one, str) else encoded(one) for one in page]
        batch = classify(sakari.store, [sakari.parser.identify(record, at(number), "") for record in texts], seen)
        counts += in_transaction(sakari.engine, partial(batch.write, stream=CALLS, key=sakari.key))

    assert counts == Counts(inserted=1, updated=1, unchanged=1, duplicate=3, rejected=3)
    assert counts.fetched == sum(map(len, pages))


def test_older_than_a_second(office: Office, sakari: StreamContext) -> None:
    """Two pages asked for within a microsecond are still told apart."""
    take_in(sakari, [sakari_call(duration=1)], at(0))
    take_in(sakari, [sakari_call(duration=2)], at(0) + timedelta(microseconds=1))
    take_in(sakari, [sakari_call(duration=1)], at(0))

    assert stored(office)["duration_seconds"] == 2


@pytest.mark.parametrize("ahead", ["9999-12-31T00:00:00Z", "2100-01-01T00:00:00Z", "2026-11-21T12:00:00Z"])
def test_a_change_time_ahead_of_us(office: Office, skipcall: StreamContext, ahead: str) -> None:
    """A change time beyond the moment we asked is no version: what is seen later wins, also by an honest time."""
    take_in(skipcall, [skipcall_call(status="ringing", updatedAt=ahead)], at(0))
    assert take_in(skipcall, [skipcall_call(status="completed", updatedAt=iso(at(5)))], at(10)).updated == 1
    assert take_in(skipcall, [skipcall_call(status="failed", updatedAt=ahead)], at(20)).updated == 1
    assert take_in(skipcall, [skipcall_call(status="busy", updatedAt=ahead)], at(15)).updated == 0

    assert [row["outcome"] for row in office.rows("SELECT outcome FROM v1.call")] == ["failed"]
