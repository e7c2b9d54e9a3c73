"""The table of real calls is as its definition says, whatever was loaded, deleted, judged and decided, in any order."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from models.errors import DecisionsIncomplete
from tasks.database import in_transaction
from tasks.extract.deletions import _mark
from tasks.matching.durations import learn_durations
from tasks.matching.run import Ask, Reconciliation
from tests.support.builders import Json, Office, at, bird_call, bird_party, iso, sakari_call, skipcall_call, take_in
from tests.support.reconciled import EVERYTHING, UNEQUAL, Base, reconcile

ANN, LINE = "+33612345678", "+33142685300"
COLUMNS = """
    SELECT talk_seconds, total_seconds, ring_seconds, agent, agents, contact_external_ids, hidden_number
    FROM v1.unified_call
"""


@pytest.fixture
def base(database_url: str) -> Iterator[Base]:
    made = Base(database_url)
    yield made
    made.connection.close()


def bird(number: int, seconds: float = 0, *, rang: float = 12, talked: float = 31, **own: Any) -> Json:
    """A call of Bird that was answered after it `rang`."""
    moments = {"createdAt": seconds, "answeredAt": seconds + rang, "endedAt": seconds + rang + talked}
    times = {name: iso(at(moment)) for name, moment in moments.items()}
    parties = {"originator": bird_party(ANN), "receiver": bird_party(LINE), "from": ANN, "to": LINE}
    return bird_call(id=f"b{number}", duration=round(talked), **times, **parties, **own)


def skipcall(number: int, seconds: float = 0, lasted: float = 43, **own: Any) -> Json:
    times = {"startedAt": iso(at(seconds)), "createdAt": iso(at(seconds)), "endedAt": iso(at(seconds + lasted))}
    return skipcall_call(id=f"k{number}", type="inbound", **times, **own)


def shown(base: Base) -> list[tuple[Any, ...]]:
    return base.rows(COLUMNS + " ORDER BY started_at")


def test_times_of_one_record(base: Base, office: Office) -> None:
    """Talk, whole and ringing seconds come from the times of a record that says them, and agents from all records."""
    take_in(office.context("bird"), [bird(1)])
    base.reconcile()
    assert shown(base) == [(31, 43, 12, None, [], [], False)]


def test_what_nobody_says_is_null(base: Base, office: Office) -> None:
    """Skipcall says no answer, and of a missed call nobody talked: nothing is guessed."""
    take_in(office.context("skipcall"), [skipcall(1), skipcall(2, 900, lasted=20, status="missed")])
    base.reconcile()

    agent, contacts = "Alice Martin", ["kc1"]
    assert shown(base) == [
        (None, 43, None, agent, [agent], contacts, False),
        (None, 20, None, agent, [agent], contacts, False),
    ]


def test_times_that_lie_a_century_apart(base: Base, office: Office) -> None:
    """A record whose times no call can have is loaded all the same, and says nothing of lengths."""
    take_in(office.context("bird"), [bird(1)])
    base.reconcile()
    years = {"createdAt": "1971-01-01T00:00:00Z", "endedAt": "2099-01-01T00:00:00Z", "updatedAt": iso(at(100))}
    take_in(office.context("bird"), [bird_call(id="b1", answeredAt=years["createdAt"], **years)], at(60))

    ((talk, total, ring),) = base.rows("SELECT talk_seconds, total_seconds, ring_seconds FROM v1.unified_call")
    assert (talk, total, ring) == (None, None, 0)
    assert base.rows(UNEQUAL) == []


def test_ringing_as_the_rest(base: Base, office: Office) -> None:
    """A record that says how long somebody talked and how long all took has told how long it rang."""
    known = "INSERT INTO duration_meaning (provider, account, counts, evidence) VALUES ('a', 'main', 'talk', 'a test')"
    base.connection.execute(known)
    base.put("a", 0, 40, duration_seconds=31)
    base.reconcile()
    assert base.rows("SELECT talk_seconds, total_seconds, ring_seconds FROM v1.unified_call") == [(31, 40, 9)]


def test_hidden_number(base: Base, office: Office) -> None:
    take_in(office.context("skipcall"), [skipcall(1, phoneNumber={"value": "anonymous"})])
    base.reconcile()
    assert [row[-1] for row in shown(base)] == [True]


def both(count: int) -> tuple[list[Json], list[Json]]:
    """Calls that Sakari and Bird hold, and Sakari counts the talk alone."""
    gaps = [number * 7_000 + number * number * 13 for number in range(count)]
    birds = [bird(n, gap, rang=5 + n % 17, talked=20 + n * n % 301) for n, gap in enumerate(gaps)]
    own = {"contact": {"id": "c1", "mobile": {"number": ANN}}, "phoneNumber": {"id": "p1", "number": LINE}}
    sakaris = [
        sakari_call(id=f"s{n}", created={"at": iso(at(gap + 1))}, duration=20 + n * n % 301, **own)
        for n, gap in enumerate(gaps)
    ]
    return birds, sakaris


def test_durations_are_learnt(base: Base, office: Office) -> None:
    """What a duration counts is found out: of Bird by its own times, of Sakari by the calls that both hold."""
    birds, sakaris = both(60)
    take_in(office.context("bird"), birds)
    base.reconcile()
    take_in(office.context("sakari"), sakaris)
    base.reconcile()
    found = base.rows("SELECT provider, counts FROM duration_meaning ORDER BY provider")
    assert found == [("bird", "talk"), ("sakari", "talk")]

    alone = sakari_call(id="alone", created={"at": iso(at(-90_000))}, duration=77)
    take_in(office.context("sakari"), [alone])
    base.reconcile()
    (first, *_) = shown(base)
    assert first[:3] == (77, None, None)


def test_an_account_that_appears_meanwhile(base: Base, office: Office) -> None:
    """Calls of an account that was not there when the run began are left to the next one."""
    take_in(office.context("bird"), [bird(n, n * 500) for n in range(12)])
    assert learn_durations(base.connection, [], {}) is False
    assert base.rows("SELECT FROM duration_meaning") == []
    assert learn_durations(base.connection, [("bird", office.context("bird").key["account"])], {}) is True


def test_a_load_shows_at_once(base: Base, office: Office) -> None:
    """A changed, deleted or restored record shows in its real call before the next reconciliation."""
    context = office.context("skipcall")
    take_in(context, [skipcall(1)])
    base.reconcile()
    take_in(context, [skipcall(1, lasted=99)], at(60))
    assert [row[1] for row in shown(base)] == [99]

    vanish(office, "skipcall", "k1")
    assert shown(base) == []
    take_in(context, [skipcall(1, lasted=99)], at(120))
    assert [row[1] for row in shown(base)] == [99]


def vanish(office: Office, provider: str, external_id: str) -> None:
    """As a proven scan that misses a record which its provider denies."""
    context = office.context(provider)

    def work(connection: Connection) -> int:
        return _mark(connection, context, [(external_id, datetime.now(at().tzinfo) + timedelta(days=1))])

    in_transaction(context.engine, work)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("bird"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("skipcall"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("gone"), st.integers(0, 3), st.sampled_from(["bird", "skipcall"])),
        st.tuples(st.just("judged"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("decided"), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@given(done=steps)
def test_as_defined_after_any_steps(base: Base, office: Office, done: list[tuple[str, int, Any]]) -> None:
    """After each load, tombstone, judgement and decision the table holds what its definition says."""
    base.empty(EMPTIED)
    for number, (kind, which, how) in enumerate(done):
        if kind == "bird":
            take_in(office.context("bird"), [bird(which, which * 30, talked=20 + 10 * how)], at(number))
        elif kind == "skipcall":
            take_in(office.context("skipcall"), [skipcall(which, which * 30 + 1, 32 + 10 * how)], at(number))
        elif kind == "gone":
            vanish(office, how, f"{how[0].replace('s', 'k')}{which}")
        elif kind == "judged":
            base.connection.execute(JUDGED, {"left": f"b{which}", "right": f"k{which}", "same": how})
        else:
            base.reconcile()
        assert base.rows(UNEQUAL) == []


EMPTIED = (*EVERYTHING, "phone", "record_change", "duration_meaning")
JUDGED = """
    INSERT INTO verdict (left_provider, left_account, left_external_id, right_provider, right_account,
        right_external_id, same, held, judged_by)
    SELECT l.provider, l.account, l.external_id, r.provider, r.account, r.external_id, %(same)s, false, 'a test'
    FROM call l, call r WHERE l.external_id = %(left)s AND r.external_id = %(right)s
"""


def test_writers_at_once(base: Base, office: Office) -> None:
    """Loads of both sides of the same calls beside a reconciliation: nothing of any is lost."""
    birds, skipcalls = office.context("bird"), office.context("skipcall")
    count = 40

    def load(turn: int) -> None:
        take_in(birds, [bird(n, n * 500, talked=20 + turn) for n in range(count)], at(turn))

    def load_other(turn: int) -> None:
        take_in(skipcalls, [skipcall(n, n * 500 + 1, 40 + turn) for n in range(count)], at(turn))

    def decide(turn: int) -> None:
        reconcile(base.url, full=turn % 2 == 0)

    with ThreadPoolExecutor(3) as pool:
        for turn in range(6):
            for done in [pool.submit(work, turn) for work in (load, load_other, decide)]:
                done.result()
        assert base.rows(UNEQUAL) == []


def test_repair(base: Base, office: Office) -> None:
    """A whole run finds a stored real call that is not as its records make it, says so, and puts it right."""
    take_in(office.context("bird"), [bird(1)])
    base.reconcile()
    base.connection.execute("UPDATE unified_call SET outcome = 'missed'")
    run = Reconciliation(base.url, Ask(full=True))
    with pytest.raises(DecisionsIncomplete, match="1 real calls were stored otherwise"), run.begun():
        run.verify()
    assert base.rows(UNEQUAL) == []
