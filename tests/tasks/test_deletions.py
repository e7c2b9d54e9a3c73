"""Deletes: what proven readings miss, what the provider denies by id, and the brake."""

from typing import Any

import pytest
from sqlalchemy import Engine

from models.alerts.incident import Cause, Finding
from models.vocabulary import StreamName
from sandbox.server import Sandbox
from tasks.alerts.run_queries import of_ended_runs
from tasks.extract.stream_run import StreamRun
from tests.support.builders import CALLS, CONTACTS, Office, decoded, drained

STREAMS = [(provider, stream) for provider in ("sakari", "bird", "skipcall") for stream in StreamName]
streams = pytest.mark.parametrize(("provider", "stream"), STREAMS)


def synced(office: Office, provider: str, stream: StreamName, **request: Any) -> StreamRun:
    """A whole run that reads everything again."""
    return office.sync(provider, stream, full=True, **request)


def buried(office: Office, stream: StreamName) -> set[str]:
    view = "call" if stream is CALLS else "contact"
    return {row["external_id"] for row in office.rows(f"SELECT external_id FROM {view} WHERE vanished_at IS NOT NULL")}


def some_ids(sandbox: Sandbox, provider: str, stream: StreamName, count: int = 3) -> set[str]:
    return set(sorted(sandbox.truth()[provider][stream])[5 : 5 + count])


@streams
def test_gone_for_good(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName) -> None:
    """A record that a proven reading misses and the provider denies by id gets a tombstone (airbyte#10140)."""
    synced(own_office, provider, stream)
    gone = some_ids(own_sandbox, provider, stream)
    for id_ in gone:
        own_sandbox.remove(provider, stream, id_)
    before = own_office.run(provider, stream).receipt.counts.deleted
    run = synced(own_office, provider, stream)

    assert before == 0
    assert run.receipt.document["deleted"] == len(gone)
    assert buried(own_office, stream) == gone
    assert synced(own_office, provider, stream).receipt.document["deleted"] == 0


@streams
def test_back_again(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName) -> None:
    """A record that comes back loses its tombstone."""
    synced(own_office, provider, stream)
    (id_,) = some_ids(own_sandbox, provider, stream, 1)
    record = decoded(own_sandbox.truth()[provider][stream][id_])
    own_sandbox.remove(provider, stream, id_)
    synced(own_office, provider, stream)
    assert buried(own_office, stream) == {id_}

    own_sandbox.put(provider, stream, record)
    run = synced(own_office, provider, stream)

    assert buried(own_office, stream) == set()
    assert run.receipt.document["updated"] == 1


def test_brake(own_sandbox: Sandbox, own_office: Office) -> None:
    """More deletes than the brake allows bury none, are named, and go through when asked for (cloudquery#12967)."""
    careful = Office(own_office.database_url, own_office.environ | {"CALLWEAVE_DELETE_BRAKE": "2,0.01"})
    with careful as office:
        synced(office, "sakari", CALLS)
        gone = some_ids(own_sandbox, "sakari", CALLS, 9)
        for id_ in gone:
            own_sandbox.remove("sakari", CALLS, id_)
        held_back = synced(office, "sakari", CALLS)

        assert buried(office, CALLS) == set()
        assert held_back.receipt.state == "partial"
        assert "9 records are missing" in str(held_back.receipt.error)
        assert undecided(office) > 0

        allowed = synced(office, "sakari", CALLS, allow_deletes=True)
        assert buried(office, CALLS) == gone
        assert allowed.receipt.state == "completed"
        assert undecided(office) == 0


def undecided(office: Office) -> int:
    query = "SELECT count(*) AS windows FROM sync_window WHERE state = 'done' AND verdict <> 'proven'"
    windows: int = office.rows(query)[0]["windows"]
    return windows


def held_back(engine: Engine) -> list[Finding]:
    with engine.connect() as connection:
        return [one for one in of_ended_runs(connection) if one.key.cause is Cause.HELD_BACK]


def test_held_back_until_decided(own_sandbox: Sandbox, own_office: Office, engine: Engine) -> None:
    """Deletes that are held back stay so while a run has read the lists again and has not yet asked by id."""
    careful = Office(own_office.database_url, own_office.environ | {"CALLWEAVE_DELETE_BRAKE": "2,0.01"})
    with careful as office:
        synced(office, "bird", CALLS)
        for id_ in some_ids(own_sandbox, "bird", CALLS, 9):
            own_sandbox.remove("bird", CALLS, id_)
        synced(office, "bird", CALLS)
        assert held_back(engine)

        run = office.run("bird", full=True)
        run.begin()
        run.open()
        drained(run)
        assert held_back(engine)
        run.confirm_deletions()
        run.end()
        assert held_back(engine)

        synced(office, "bird", CALLS, allow_deletes=True)
        assert held_back(engine) == []


def test_filtered_runs_infer_nothing(own_sandbox: Sandbox, own_office: Office) -> None:
    """A run through a filter misses records on purpose and deletes none."""
    synced(own_office, "sakari", CALLS)
    run = synced(own_office, "sakari", CALLS, filters={"direction": "inbound"})

    assert run.receipt.document["deleted"] == 0
    assert buried(own_office, CALLS) == set()


def test_unknown_by_filter_is_still_there(own_sandbox: Sandbox, own_office: Office) -> None:
    """A range that does not hold a record says nothing of it."""
    synced(own_office, "bird", CONTACTS)
    synced(own_office, "bird", CALLS)
    (since,) = own_office.rows("SELECT min(started_at) + interval '400 days' AS since FROM call")
    run = synced(own_office, "bird", CALLS, since=since["since"])

    assert run.receipt.document["deleted"] == 0


def test_other_scope(own_sandbox: Sandbox, own_office: Office) -> None:
    """Records loaded through another scope are not missed by a narrower one: its key may not see them."""
    synced(own_office, "bird", CALLS)
    channel = own_office.rows("SELECT payload ->> 'channelId' AS channel FROM call LIMIT 1")[0]["channel"]
    (id_,) = some_ids(own_sandbox, "bird", CALLS, 1)
    own_sandbox.remove("bird", CALLS, id_)
    with Office(own_office.database_url, own_office.environ | {"BIRD_CHANNEL_IDS": channel}) as narrow:
        run = synced(narrow, "bird", CALLS)

    assert run.receipt.document["deleted"] == 0
    assert buried(own_office, CALLS) == set()
