"""The change feed on a real Postgres: nothing is skipped, nothing repeated, and who comes too late hears of it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from models.change import Change
from models.vocabulary import ChangeKind, Entity
from sandbox.server import Sandbox
from tasks.change_feed import CHUNK, PAUSE, announce, prune_changes, record_changes
from tasks.database import engine_for, in_transaction
from tests.support.builders import CALLS, CONTACTS, Office, at, sakari_call, skipcall_call, take_in

WRITERS, COMMITS, EACH = 8, 200, 20
FEED = "SELECT external_id, kind FROM v1.change ORDER BY sequence"


def change(external_id: str, account: str = "main") -> Change:
    return Change(Entity.CALL, "x", account, external_id, ChangeKind.UPDATED)


def append(engine: Engine, *ids: str, account: str = "main") -> None:
    in_transaction(engine, lambda connection: record_changes(connection, [change(one, account) for one in ids]))


def fed(office: Office) -> list[tuple[str, str]]:
    return [(row["external_id"], row["kind"]) for row in office.rows(FEED)]


def value(url: str, query: str, *values: Any) -> Any:
    with psycopg.connect(url) as connection:
        (row,) = connection.execute(query.encode(), values).fetchall()
        return row[0]


def write(database_url: str, writer: int) -> None:
    engine = engine_for(database_url, pool_size=1)
    for commit in range(COMMITS):
        append(engine, *(f"{writer}-{commit}-{n}" for n in range(EACH)))
    engine.dispose()


def polled(connection: psycopg.Connection, after: int) -> list[tuple[int, str]]:
    page = "SELECT sequence, external_id FROM v1.change WHERE sequence > %s ORDER BY sequence LIMIT 500"
    rows = connection.execute(page, [after]).fetchall()
    connection.commit()
    return rows


def test_no_change_is_skipped_or_repeated(database_url: str) -> None:
    """A reader that pages by `sequence > n` while eight writers commit 32,000 changes sees each exactly once.

    Without the lock the reader saw 18,234 of them; one skipped in ten thousand would be three.
    """
    seen: list[tuple[int, str]] = []
    with ThreadPoolExecutor(WRITERS) as pool, psycopg.connect(database_url) as connection:
        writing = [pool.submit(write, database_url, number) for number in range(WRITERS)]
        while True:
            is_over = all(one.done() for one in writing)
            page = polled(connection, seen[-1][0] if seen else 0)
            seen += page
            if is_over and not page:
                break
        for one in writing:
            one.result()

    ids = [external_id for _, external_id in seen]
    expected = {f"{w}-{c}-{n}" for w in range(WRITERS) for c in range(COMMITS) for n in range(EACH)}
    assert (len(ids), set(ids)) == (len(expected), expected)
    assert [number for number, _ in seen] == sorted(number for number, _ in seen)


def test_kinds(office: Office) -> None:
    """Each change of a record is one line of its kind, and what did not change is none."""
    calls = office.context("skipcall")
    take_in(calls, [skipcall_call(id="a"), skipcall_call(id="b")], at(0))
    take_in(calls, [skipcall_call(id="a"), skipcall_call(id="b")], at(1))
    assert sorted(fed(office)) == [("a", "inserted"), ("b", "inserted")]

    take_in(calls, [skipcall_call(id="a", status="busy", updatedAt=at(2).isoformat())], at(3))
    take_in(calls, [skipcall_call(id="c"), skipcall_call(id="a", status="busy", updatedAt=at(2).isoformat())], at(4))
    assert fed(office)[2:] == [("a", "updated"), ("c", "inserted")]


def test_kinds_of_deletion(office: Office) -> None:
    """A record that the provider deletes and brings back is `deleted`, then `restored`; so is one that vanished."""
    deletable = office.context("skipcall")
    for minute, deleted in enumerate((None, at(1), at(1), None)):
        own = {"deletedAt": deleted and deleted.isoformat(), "updatedAt": at(minute).isoformat()}
        take_in(
            deletable, [skipcall_call(id="k", callerPhoneNumber={"value": f"+3310000000{minute}"}, **own)], at(minute)
        )
    assert [kind for _, kind in fed(office)] == ["inserted", "deleted", "updated", "restored"]

    calls = office.context("sakari")
    take_in(calls, [sakari_call(id="v")], at(0))
    office.change("UPDATE call SET vanished_at = now()")
    take_in(calls, [sakari_call(id="v")], at(1))
    assert [kind for id_, kind in fed(office) if id_ == "v"] == ["inserted", "restored"]


def test_a_record_deleted_at_the_provider(own_office: Office, own_sandbox: Sandbox) -> None:
    """A tombstone that a proven scan and a denial lead to is a line of the feed, of the time of its change."""
    own_office.sync("sakari")
    gone = min(own_office.ids("sakari"))
    own_sandbox.remove("sakari", CALLS, gone)
    own_office.sync("sakari", full=True, allow_deletes=True)
    (row,) = own_office.rows("SELECT * FROM v1.change WHERE kind = 'deleted'")
    (call,) = own_office.rows("SELECT * FROM v1.call WHERE external_id = %s", gone)

    assert (row["entity"], row["external_id"], row["changed_at"]) == ("call", gone, call["changed_at"])


def test_the_feed_of_a_sync(own_office: Office) -> None:
    """After a first sync the feed has one line for each record, and a second sync adds none."""
    own_office.sync("skipcall", threads=4)
    own_office.sync("skipcall", CONTACTS)
    lines = own_office.rows("SELECT entity, external_id, kind FROM v1.change")
    held = {("call", id_) for id_ in own_office.ids("skipcall")}
    held |= {("contact", id_) for id_ in own_office.ids("skipcall", CONTACTS)}

    assert {(row["entity"], row["external_id"]) for row in lines} == held
    assert (len(lines), {row["kind"] for row in lines}) == (len(held), {"inserted"})
    own_office.sync("skipcall", full=True)
    assert len(own_office.rows("SELECT FROM v1.change")) == len(held)


def test_a_change_that_was_rolled_back(engine: Engine, database_url: str) -> None:
    """What a failed transaction wrote is no change, and leaves a gap that no reader waits for."""

    def fail(connection: Any) -> None:
        record_changes(connection, [change("lost")])
        raise RuntimeError

    append(engine, "first")
    with pytest.raises(RuntimeError):
        in_transaction(engine, fail)
    append(engine, "second")

    assert value(database_url, "SELECT array_agg(external_id ORDER BY sequence) FROM v1.change") == ["first", "second"]


def since(url: str, bookmark: int | None, most: int | None = None) -> list[str]:
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE callweave_reader")
        rows = connection.execute("SELECT external_id FROM v1.changes_since(%s, %s)", [bookmark, most])
        return [id_ for (id_,) in rows]


def test_bookmarks(engine: Engine, database_url: str) -> None:
    """`v1.changes_since` gives what lies after the bookmark, in order, and no more than asked for."""
    assert since(database_url, 0) == []
    append(engine, "a", "b", "c")
    first = value(database_url, "SELECT min(sequence) FROM v1.change")

    assert since(database_url, 0) == ["a", "b", "c"]
    assert since(database_url, first, 1) == ["b"]
    assert since(database_url, first + 2) == []


def test_who_comes_too_late(engine: Engine, database_url: str) -> None:
    """A bookmark older than the retention is an error in words, also when nothing is left of the feed."""
    append(engine, *(f"old{n}" for n in range(CHUNK + 2)))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE record_change SET changed_at = now() - interval '31 days'")
    append(engine, "new")
    prune_changes(engine, timedelta(days=30))

    newest = value(database_url, "SELECT max(sequence) FROM v1.change")
    assert since(database_url, newest - 1) == ["new"]
    for bookmark in (0, newest - 2, None):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no longer kept"):
            since(database_url, bookmark)
    prune_changes(engine, timedelta(microseconds=1))
    assert value(database_url, "SELECT count(*) FROM v1.change") == 0
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no longer kept"):
        since(database_url, newest - 1)
    assert since(database_url, newest) == []


def test_a_bookmark_of_another_database(engine: Engine, database_url: str) -> None:
    """A bookmark beyond the feed's end, as after a restored backup, is an error and not silence."""
    append(engine, "a")
    end = value(database_url, "SELECT max(sequence) FROM v1.change")
    assert since(database_url, end) == []
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=f"the feed ends at {end}"):
        since(database_url, end + 1)


def test_retention_after_a_run(own_office: Office) -> None:
    """A run cuts off what is older than CALLWEAVE_CHANGE_RETENTION."""
    own_office.sync("skipcall", CONTACTS)
    own_office.change("UPDATE record_change SET changed_at = now() - interval '31 days'")
    own_office.sync("skipcall", CONTACTS)

    assert own_office.rows("SELECT FROM v1.change") == []


@pytest.fixture
def listener(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("LISTEN callweave_change")
        yield connection


def heard(listener: psycopg.Connection, patience: float) -> list[str]:
    return [notice.payload for notice in listener.notifies(timeout=patience)]


def test_one_announcement_a_second(engine: Engine, listener: psycopg.Connection) -> None:
    """Listeners hear of a burst at most once a second and account, and of its last change too."""
    began, times = time.monotonic(), 0
    while time.monotonic() < began + 2.5:
        append(engine, "a")
        times += len(heard(listener, 0.02))
    last = int(value_of(engine, "SELECT max(sequence) FROM v1.change"))
    announce(engine)
    times += len(heard(listener, 0.5))
    pauses = (time.monotonic() - began) / PAUSE.total_seconds()

    assert 2 <= times <= pauses + 1
    assert last > times
    assert value_of(engine, "SELECT count(*) FROM change_notice WHERE pending_since IS NOT NULL") == 0
    announce(engine)
    assert heard(listener, 0.2) == []


def value_of(engine: Engine, query: str) -> Any:
    with engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar_one()


def test_each_account_is_announced(engine: Engine, listener: psycopg.Connection) -> None:
    """The announcement names the account; one account's does not hold back another's."""
    append(engine, "a", account="one")
    append(engine, "b", account="two")
    announce(engine)

    assert sorted(heard(listener, 0.3)) == ["x:one", "x:two"]


def test_a_run_is_announced(own_office: Office, listener: psycopg.Connection) -> None:
    """When a sync has ended, its listener knows, and finds all of it in the feed."""
    began = datetime.now().astimezone()
    own_office.sync("skipcall", CONTACTS)
    (account,) = {row["account"] for row in own_office.rows("SELECT account FROM v1.change")}

    assert heard(listener, 0.3)[-1:] == [f"skipcall:{account}"]
    assert own_office.rows("SELECT FROM v1.change WHERE changed_at < %s", began) == []
