"""Lists that move while they are read: what is found at the end, and what is claimed of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.coverage import Sizes
from models.vocabulary import StreamName
from sandbox.faults.faults import ORDERS
from sandbox.server import Sandbox
from sandbox.world.world import World
from tasks.extract.stream_run import StreamRun
from tests.support.builders import CALLS, CONTACTS, STREAMS, Json, Office, decoded

streams = pytest.mark.parametrize(("provider", "stream"), STREAMS)
TOTALS = ("true-total", "no-total", "total-lies")
totals = pytest.mark.parametrize("total", TOTALS)
SOME = list(zip(ORDERS, TOTALS, strict=True))
ways = pytest.mark.parametrize(
    "way",
    SOME + [pytest.param(way, marks=pytest.mark.faults) for way in product(ORDERS, TOTALS) if way not in SOME],
    ids="-".join,
)

FEW = 7
"""Records a page: small worlds then have many pages."""
NOT_PROVEN = (
    "SELECT state, verdict, reason FROM sync_window WHERE state = 'open' OR (state = 'done' AND verdict <> 'proven')"
)


@pytest.fixture(autouse=True)
def short_parts(own_office: Office) -> None:
    """Scans are cut in parts of few pages, ranges in few windows."""
    own_office.sizes = Sizes(pieces=4, pages=3)


def everything(stream: StreamName) -> dict[str, Any]:
    return {"full": True} if stream is CALLS else {}


def assert_equal(sandbox: Sandbox, office: Office, provider: str, stream: StreamName) -> None:
    """The live rows are the provider's, each as it is served now."""
    table = "call" if stream is CALLS else "contact"
    rows = office.rows(f"SELECT external_id, payload FROM v1.{table} WHERE deleted_at IS NULL")
    held = {row["external_id"]: row["payload"] for row in rows}
    records = {id_: decoded(body) for id_, body in sandbox.truth()[provider][stream].items()}
    truth = {id_: record for id_, record in records.items() if not record.get("deletedAt")}
    assert held.keys() == truth.keys()
    assert held == truth


def assert_proven(office: Office, run: StreamRun) -> None:
    assert (run.receipt.error, run.receipt.state) == (None, "completed")
    assert office.rows(NOT_PROVEN) == []
    assert office.rows("SELECT FROM scan_sighting") == []


@ways
@streams
def test_moving(
    own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName, way: tuple[str, str]
) -> None:
    """A list that gains, loses and changes records during the scan is right after one quiet run (airbyte#21500)."""
    own_sandbox.faults.update({"moving", *way} - {"true-total"})
    own_office.sync(provider, stream, threads=3, limit=FEW, **everything(stream))
    own_sandbox.faults.discard("moving")
    quiet = own_office.sync(provider, stream, threads=3, limit=FEW)

    assert_proven(own_office, quiet)
    assert_equal(own_sandbox, own_office, provider, stream)


@totals
@streams
def test_still(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName, total: str) -> None:
    """A list that stands still is proven by its first run, whatever total it tells (PostHog#70028)."""
    own_sandbox.faults.update({total} - {"true-total"})
    run = own_office.sync(provider, stream, threads=3, limit=FEW)

    assert_proven(own_office, run)
    assert_equal(own_sandbox, own_office, provider, stream)
    assert not any(row["moved"] for row in own_office.rows("SELECT moved FROM sync_window WHERE state = 'done'"))


@pytest.mark.parametrize(("provider", "stream"), [("sakari", CALLS), ("skipcall", CONTACTS)])
def test_total_too_large(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName) -> None:
    """The provider's word that more exists is not outweighed by readings that are alike (PostHog#101793)."""
    own_sandbox.faults.add("total-too-large")
    run = own_office.sync(provider, stream, limit=FEW)

    assert run.receipt.state == "partial"
    assert "that the provider counts" in (run.receipt.error or "")
    assert own_office.rows("SELECT FROM sync_window WHERE verdict = 'proven'") == []
    assert_equal(own_sandbox, own_office, provider, stream)


@pytest.mark.parametrize("fault", ["cursor-expires", "cursor-empty-page", "cursor-at-end"])
@pytest.mark.parametrize("stream", StreamName)
def test_cursors_that_heal(own_sandbox: Sandbox, own_office: Office, stream: StreamName, fault: str) -> None:
    """Cursors that expire, lead to an empty page or never end are healed (PostHog#64704, OpenMetadata#23210)."""
    own_sandbox.faults.add(fault)
    run = own_office.sync("bird", stream, limit=FEW)

    assert_proven(own_office, run)
    assert_equal(own_sandbox, own_office, "bird", stream)


@pytest.mark.parametrize(
    ("fault", "named"), [("cursor-repeats", "circle"), ("cursor-circle", "circle"), ("no-list", "without 'results'")]
)
def test_cursors_that_do_not(own_sandbox: Sandbox, own_office: Office, fault: str, named: str) -> None:
    """Cursors that repeat or run in a circle, and pages without a list, are named, and nothing is proven of them."""
    own_sandbox.faults.add(fault)
    own_office.sizes = Sizes(pages=6)
    run = own_office.sync("bird", CONTACTS, limit=FEW)

    assert run.receipt.state == "failed"
    assert named in (run.receipt.error or "")
    assert own_office.rows("SELECT FROM sync_window WHERE verdict = 'proven'") == []


@streams
def test_deletes(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName) -> None:
    """Records that vanish during a scan get their tombstones by the next (airbyte#10140)."""
    own_office.sync(provider, stream, limit=FEW)
    own_sandbox.faults.add("deletes")
    own_office.sync(provider, stream, limit=FEW, **everything(stream))
    own_sandbox.faults.clear()
    run = own_office.sync(provider, stream, limit=FEW, allow_deletes=True, **everything(stream))

    assert_proven(own_office, run)
    assert_equal(own_sandbox, own_office, provider, stream)


@pytest.mark.parametrize("provider", ["sakari", "bird", "skipcall"])
def test_late_changes(own_sandbox: Sandbox, own_office: Office, provider: str) -> None:
    """Corrections of calls that ended long ago are found by a reading of their time (dlt#2269)."""
    own_office.sync(provider, limit=FEW)
    own_sandbox.faults.add("late-changes")
    own_office.sync(provider, limit=FEW, full=True)
    own_sandbox.faults.clear()
    run = own_office.sync(provider, limit=FEW, full=True)

    assert_proven(own_office, run)
    assert_equal(own_sandbox, own_office, provider, CALLS)


@pytest.mark.parametrize("fault", ["clock-ahead", "clock-behind"])
@pytest.mark.parametrize("provider", ["sakari", "bird", "skipcall"])
def test_clocks(own_sandbox: Sandbox, own_office: Office, provider: str, fault: str) -> None:
    """Calls that arrive during a run, stamped by a clock minutes off ours, are there once their time is read."""
    own_sandbox.faults.add(fault)
    since = datetime.now(UTC) - timedelta(hours=3)
    own_office.sync(provider, since=since)
    own_sandbox.faults.clear()
    own_office.sync(provider, since=since)

    arrived = {id_ for id_ in own_sandbox.truth()[provider][CALLS] if "-5eed-" in id_}
    late = own_office.ids(provider) & arrived
    assert arrived
    assert late == (arrived if fault == "clock-behind" else set())


@dataclass
class Script:
    """What happens to a list between the pages that are asked for: some records appear, vanish or change."""

    world: World
    where: tuple[str, StreamName]
    turns: Iterator[list[tuple[str, int]]]

    def __call__(self) -> None:
        for what, luck in next(self.turns, []):
            if bodies := self.world.tables[self.where[0]][self.where[1]].bodies:
                self._happen(what, decoded(bodies[luck % len(bodies)]))

    def _happen(self, what: str, record: Json) -> None:
        if what == "vanish":
            self.world.remove(*self.where, record["id"])
        else:
            self.world.put(
                *self.where, record | ({"id": str(uuid4())} if what == "appear" else {"revision": uuid4().hex})
            )


happenings = st.lists(
    st.lists(st.tuples(st.sampled_from(["appear", "vanish", "change"]), st.integers(0, 10_000)), max_size=6),
    max_size=20,
)


@pytest.fixture(scope="module")
def moving_world() -> Iterator[Sandbox]:
    with Sandbox(calls=120, seed=9, until=datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)) as running:
        yield running


@streams
@settings(max_examples=settings().max_examples // 4)
@given(turns=happenings, way=st.tuples(st.sampled_from(ORDERS), st.sampled_from(TOTALS)))
def test_any_interleaving(
    moving_world: Sandbox, emptied: Callable[[], str], provider: str, stream: StreamName, **given: Any
) -> None:
    """For any interleaving of appearing, vanishing, changing and reading, a quiet reading ends with the list itself."""
    moving_world.faults.clear()
    moving_world.faults.update(set(given["way"]) - {"true-total"})
    with Office(emptied(), moving_world.environ) as office:
        moving_world.between_pages(Script(moving_world.world, (provider, stream), iter(given["turns"])))
        office.sync(provider, stream, limit=FEW)
        moving_world.between_pages(None)
        quiet = office.sync(provider, stream, limit=FEW, **everything(stream))
        assert_proven(office, quiet)
        assert_equal(moving_world, office, provider, stream)


MANY = 50_000
CHANGES_PER_SECOND = 50


@contextmanager
def in_motion(sandbox: Sandbox, provider: str, stream: StreamName) -> Iterator[None]:
    """The list gains, loses and changes records, so many a second, until the block ends."""
    stop, luck = Event(), Random(1)

    def move() -> None:
        while not stop.wait(1 / CHANGES_PER_SECOND):
            bodies = sandbox.world.tables[provider][stream].bodies
            record = decoded(bodies[luck.randrange(len(bodies))])
            what = luck.choice(["appear", "vanish", "change"])
            if what == "vanish":
                sandbox.remove(provider, stream, record["id"])
            else:
                new = {"id": str(uuid4())} if what == "appear" else {"revision": uuid4().hex}
                sandbox.put(provider, stream, record | new)

    mover = Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        stop.set()
        mover.join()


def full_of_calls(sandbox: Sandbox) -> None:
    """Some tens of thousands of Sakari calls over twenty days."""
    like = decoded(next(iter(sandbox.truth()["sakari"][CALLS].values())))
    now = datetime.now(UTC)
    for number in range(MANY):
        at = (now - timedelta(minutes=10) - timedelta(days=20) * number / MANY).isoformat(timespec="milliseconds")
        sandbox.world.put("sakari", CALLS, like | {"id": f"m{number}", "created": {"at": at}})


@pytest.mark.faults
@pytest.mark.parametrize("way", list(product(ORDERS, TOTALS)), ids="-".join)
def test_fifty_changes_a_second(
    own_sandbox: Sandbox, database_url: str, way: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty thousand records, fifty changes a second, any order and total: right after a quiet run (airbyte#21500)."""
    monkeypatch.undo()
    full_of_calls(own_sandbox)
    own_sandbox.faults.update(set(way) - {"true-total"})
    with Office(database_url, own_sandbox.environ) as office:
        with in_motion(own_sandbox, "sakari", CALLS):
            office.sync("sakari", threads=4)
        quiet = office.sync("sakari", threads=4, allow_deletes=True)
        assert_proven(office, quiet)
        assert_equal(own_sandbox, office, "sakari", CALLS)
