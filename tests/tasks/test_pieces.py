"""In pieces as in a whole: where incremental runs end, one run of everything ends too."""

from collections.abc import Iterator
from random import Random

import numpy as np
import psycopg
import pytest

from bench.matching import phenomena, stored
from bench.matching.worlds import World
from tasks.matching.writer import Written
from tests.support.reconciled import DECIDED, Base

CALLS = 160
STEP = 4
"""Calls, as either run has them, that may differ."""
WORLDS = {trouble.name: trouble for trouble in phenomena.TROUBLES}
NAMES = (
    *("ring groups", "queues", "hidden, another line", "clock steps", "failed routes and redials", "forwarding"),
    *("ends for starts", "twelve hours"),
)
PUT_OFF = "UPDATE call SET deleted_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = ANY(%s)"
BRING_BACK = "UPDATE call SET deleted_at = NULL, changed_at = clock_timestamp() WHERE id = ANY(%s)"
CORRECT = """
    UPDATE call SET started_at = started_at + interval '3 seconds', changed_at = clock_timestamp() WHERE id = ANY(%s)
"""


@pytest.fixture
def base(database_url: str) -> Iterator[Base]:
    made = Base(database_url)
    yield made
    made.connection.close()


def arrivals(world: World, rng: Random, *, by_time: bool) -> list[np.ndarray]:
    """The records in some pieces: as they happened with late-comers, or in any order."""
    order = np.argsort(world.records["started"], kind="stable") if by_time else np.arange(len(world.records))
    shuffled = order.tolist()
    if not by_time:
        rng.shuffle(shuffled)
    cuts = sorted(rng.sample(range(1, len(shuffled)), 4))
    return [np.array(part) for part in np.split(np.array(shuffled), cuts)]


@pytest.mark.parametrize("by_time", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_pieces(base: Base, name: str, by_time: bool) -> None:
    """After arrivals in pieces, corrections and deletions, a whole run changes nothing.

    One from nothing decides the same, but for a call or two that lie within the step by which a calibration must move.
    """
    in_pieces(base, name, Random(f"{name} {by_time}"), by_time=by_time)


@pytest.mark.faults
@pytest.mark.parametrize("order", range(100))
def test_a_hundred_orders(base: Base, order: int) -> None:
    """The same in a hundred orders of arrival, over all worlds of trouble."""
    rng = Random(f"order {order}")
    in_pieces(base, rng.choice(sorted(WORLDS)), rng, by_time=rng.random() < 0.5)


def in_pieces(base: Base, name: str, rng: Random, *, by_time: bool) -> None:
    world = phenomena.make(WORLDS[name], CALLS, rng.randrange(1000))
    for part in arrivals(world, rng, by_time=by_time):
        stored.store_records(base.url, world, world.records[part], "{}")
        base.reconcile()
        ids = rng.sample(world.records["id"][part].tolist(), min(len(part), 4))
        for statement, some in ((PUT_OFF, ids), (CORRECT, ids[:2])):
            base.connection.execute(statement, [some])
            base.reconcile()
        base.connection.execute(BRING_BACK, [ids[2:]])
        base.reconcile()

    assert base.reconcile(full=True)._replace(records=0) == Written()
    piecewise = base.calls()
    base.empty(DECIDED)
    base.connection.execute("DELETE FROM calibration")
    base.reconcile()
    assert len({tuple(call) for call in base.calls()} ^ {tuple(call) for call in piecewise}) <= STEP


def test_every_record_is_decided(base: Base) -> None:
    """After a run each live record has a real call, and each one alone a reason."""
    world = phenomena.make(WORLDS["two legs"], CALLS, 3)
    stored.store_records(base.url, world, world.records, "{}")
    base.reconcile()

    with psycopg.connect(base.url) as connection:
        (left_out,) = connection.execute(
            "SELECT count(*) FROM call c WHERE NOT EXISTS (SELECT FROM call_member m WHERE m.call_id = c.id)"
        ).fetchone() or (None,)
        (silent,) = connection.execute(
            """SELECT count(*) FROM v1.unified_call u WHERE cardinality(u.providers) = 1 AND NOT EXISTS (
                SELECT FROM v1.unmatched_call x JOIN v1.call c USING (provider, account, external_id)
                WHERE c.unified_call_id = u.unified_call_id)"""
        ).fetchone() or (None,)
    assert (left_out, silent) == (0, 0)
