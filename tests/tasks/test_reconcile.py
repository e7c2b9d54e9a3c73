"""Reconciling on a real Postgres: the same real calls whatever the order, the pieces or the number of runs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.matching import measure, worlds
from bench.matching import stored as storing
from flows.rendering.matching import zone_faults
from models.errors import DecisionsIncomplete
from tasks.matching import report as reporting
from tasks.matching import run as running
from tasks.matching.explain import explain, judge, undecided
from tasks.matching.reader import ALWAYS, Piece
from tasks.matching.report import report
from tasks.matching.run import Ask, Reconciliation, decide_changes
from tasks.matching.writer import Written
from tests.support.builders import Json, at
from tests.support.calls import known_clocks
from tests.support.reconciled import DECIDED, MEMBERS, Base

PLACES = """
    SELECT 'm', call_id, 0, ctid::text, xmin::text FROM call_member
    UNION ALL SELECT 'x', left_call_id, right_call_id, ctid::text, xmin::text FROM call_match
    UNION ALL SELECT 'r', call_id, rival_call_id, ctid::text, xmin::text FROM call_rival
    UNION ALL SELECT 'l', id, 0, ctid::text, xmin::text FROM match_log ORDER BY 1, 2, 3
"""


@pytest.fixture
def base(database_url: str) -> Iterator[Base]:
    made = Base(database_url)
    known_clocks(made.connection)
    yield made
    made.connection.close()


# A real call: its person, our line, when it began, how long it was, and who saw it.
happenings = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 2),
        st.integers(0, 2000),
        st.none() | st.integers(1, 90),
        st.sets(st.sampled_from("abc"), min_size=1),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)
Happenings = list[tuple[int, int, int, int | None, set[str], bool]]


def records(happened: Happenings) -> list[tuple[str, float, int | None, Json]]:
    return [
        (
            provider,
            seconds + "abc".index(provider) * 0.3,
            length,
            {
                "external_id": f"{provider}{i}",
                "remote_e164": None if hidden and provider == "a" else f"+3360000000{person}",
                "own_e164": f"+3310000000{line}",
            },
        )
        for i, (person, line, seconds, length, seen, hidden) in enumerate(happened)
        for provider in sorted(seen)
    ]


def put_all(base: Base, rows: list[tuple[str, float, int | None, Json]]) -> None:
    for provider, seconds, length, own in rows:
        base.put(provider, seconds, length, **own)


@given(happenings, st.randoms(use_true_random=False))
def test_order(base: Base, happened: Happenings, rng: Any) -> None:
    """Whatever order records were stored in, the same records are one call."""
    rows = records(happened)
    base.empty()
    put_all(base, rows)
    base.reconcile()
    first = base.calls()
    rng.shuffle(rows)
    base.empty()
    put_all(base, rows)
    base.reconcile()

    assert base.calls() == first


@given(happenings)
def test_again(base: Base, happened: Happenings) -> None:
    """A run when nothing is new, and a whole run, write not a single row."""
    base.empty()
    put_all(base, records(happened))
    base.reconcile()
    before = base.rows(PLACES)

    assert base.reconcile() == Written()
    assert base.reconcile(full=True)[1:] == (0, 0, 0)
    assert base.rows(PLACES) == before


@given(happenings, st.integers(1, 5))
def test_pieces(base: Base, happened: Happenings, size: int) -> None:
    """Split by time into however small pieces, the answer is the one of the whole."""
    base.empty()
    put_all(base, records(happened))
    base.reconcile()
    whole = base.rows(MEMBERS)
    base.empty(DECIDED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "PIECE", size)
        base.reconcile()

    assert sorted(base.rows(MEMBERS)) == sorted(whole)


@given(happenings, st.randoms(use_true_random=False), st.integers(1, 3))
def test_step_by_step(base: Base, happened: Happenings, rng: Any, steps: int) -> None:
    """Records that arrive late, in any order, over several runs, end in the real calls of one run."""
    rows = records(happened)
    rng.shuffle(rows)
    base.empty()
    base.reconcile()
    for step in range(steps):
        put_all(base, rows[step::steps])
        base.reconcile()
    ids = base.rows(MEMBERS)
    base.reconcile(full=True)

    assert sorted(base.rows(MEMBERS)) == sorted(ids)
    base.empty(DECIDED)
    base.reconcile()
    assert sorted(base.rows(MEMBERS)) == sorted(ids)


@given(happenings)
def test_unrelated(base: Base, happened: Happenings) -> None:
    """A call of other numbers changes no real call."""
    base.empty()
    put_all(base, records(happened))
    base.reconcile()
    before = base.calls()
    base.put("a", 700, 5, remote_e164="+447400000009", own_e164="+447400000008", external_id="new")
    base.reconcile()

    assert [call for call in base.calls() if call != ["new"]] == before


@given(happenings)
def test_one_call_of_an_account(base: Base, happened: Happenings) -> None:
    """No real call holds two calls of an account, and its id is the smallest of its members'."""
    base.empty()
    put_all(base, records(happened))
    base.reconcile()

    assert (
        base.rows("SELECT FROM call_member WHERE leg_of IS NULL GROUP BY unified_call_id, provider HAVING count(*) > 1")
        == []
    )
    assert base.rows("SELECT FROM call_member GROUP BY unified_call_id HAVING min(call_id) <> unified_call_id") == []


def test_the_database_refuses_two_calls_of_an_account(base: Base) -> None:
    """The rule is a constraint, whoever writes."""
    base.put("a", 0)
    base.put("a", 500)
    base.reconcile()
    with pytest.raises(psycopg.errors.UniqueViolation):
        base.connection.execute("UPDATE call_member SET unified_call_id = 1")


def test_a_row_that_comes_hours_late(base: Base) -> None:
    """A record that arrives after a run joins the call it belongs to, and the log says why."""
    base.put("a", 0, 40, external_id="a")
    base.reconcile()
    base.put("b", 0.4, 40, external_id="b")

    written = base.reconcile()
    assert (written.records, written.formed, written.dissolved) == (2, 1, 0)
    assert base.calls() == [["a", "b"]]
    assert base.rows("SELECT kind, cause FROM match_log") == [("formed", "new record")]


def test_a_number_corrected_later(base: Base) -> None:
    """A record whose number changes leaves its call and joins another; both are in the log."""
    base.put("a", 0, 40, external_id="a")
    base.put("b", 0.4, 40, external_id="b")
    base.put("c", 0.4, 40, remote_e164="+33600000009", external_id="c")
    base.reconcile()
    assert base.calls() == [["a", "b"], ["c"]]
    base.connection.execute(
        "UPDATE call SET remote_e164 = '+33600000009', changed_at = clock_timestamp() WHERE external_id = 'b'"
    )
    base.reconcile()

    assert base.calls() == [["a"], ["b", "c"]]
    assert base.rows("SELECT kind, cause FROM match_log ORDER BY id")[1:] == [
        ("dissolved", "record changed"),
        ("formed", "record changed"),
    ]


def test_a_deleted_record(base: Base) -> None:
    """A deleted record leaves its call at once, and the others are decided anew."""
    for provider, seconds in (("a", 0), ("b", 0.3), ("c", 0.5)):
        base.put(provider, seconds, 40, external_id=provider)
    base.reconcile()
    base.connection.execute("UPDATE call SET vanished_at = now(), changed_at = now() WHERE external_id = 'a'")
    base.reconcile()

    assert base.calls() == [["b", "c"]]
    assert base.rows("SELECT external_id, unified_call_id FROM v1.call ORDER BY 1") == [("a", None), ("b", 2), ("c", 2)]


def test_variants_of_one_line(base: Base) -> None:
    """Two spellings of a Mexican number are one line."""
    base.put("a", 0, 40, remote_e164="+5215512345678", external_id="a")
    base.put("b", 0.4, 40, remote_e164="+525512345678", external_id="b")
    base.reconcile()

    assert base.calls() == [["a", "b"]]


def test_verdicts(base: Base) -> None:
    """What people say wins, at once and for ever, and gives a measured precision."""
    for provider, seconds in (("a", 0), ("b", 0.3), ("b", 900)):
        base.put(provider, seconds, 40, external_id=f"{provider}{seconds}")
    base.reconcile()
    judge(base.url, ("a", "a0"), ("b", "b0.3"), same=False)
    judge(base.url, ("a:main", "a0"), ("b", "b900"), same=True)
    decide_changes(base.url)

    assert base.calls() == [["a0", "b900"], ["b0.3"]]
    base.reconcile(full=True)
    assert base.calls() == [["a0", "b900"], ["b0.3"]]
    assert report(base.url).precision[:2] == (0, 1)
    assert [pair["rule"] for pair in explain(base.url, "a", "a0").pairs] == ["verdict"]


def test_report_of_the_newest(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that looked at changes only is reported by the newest calls, a whole run by all of them."""
    monkeypatch.setattr(reporting, "NEWEST", 5)
    for hour in range(4):
        base.put("a", hour * 3600, 40)
        base.put("b", hour * 3600 + 0.4, 40)
    base.put("a", 5 * 3600, 40)
    base.reconcile()
    told = [report(base.url), report(base.url, whole=False)]

    counted = [[(pair["left_calls"], pair["right_calls"], pair["matched"]) for pair in one.pairs[:1]] for one in told]
    assert counted == [[(5, 4, 4)], [(3, 2, 2)]]
    assert [one.since for one in told] == [None, at(2 * 3600)]
    assert [sum(row["count"] for row in one.reasons) for one in told] == [1, 1]


@pytest.mark.parametrize(
    ("piece", "name"),
    [
        (Piece(*ALWAYS), "all calls"),
        (Piece(at(0), ALWAYS[1]), "all calls from 2026-11-20 12:00Z"),
        (Piece(ALWAYS[0], at(60)), "all calls to 2026-11-20 12:01Z"),
        (Piece(at(0), at(60)), "all calls from 2026-11-20 12:00Z to 2026-11-20 12:01Z"),
        (Piece(at(0), at(60), np.arange(1200)), "1,200 calls from 2026-11-20 12:00Z to 2026-11-20 12:01Z"),
    ],
)
def test_name_of_a_piece(piece: Piece, name: str) -> None:
    """A piece is named by what it is about; where it has no end, none is made up."""
    assert piece.name == name


def test_a_verdict_across_pieces(base: Base) -> None:
    """A whole run in small pieces carries out a verdict on records that lie far apart."""
    for i in range(9):
        base.put("a", i * 9000, 5, external_id=f"a{i}")
    base.put("b", 60_000, 5, remote_e164="+33600000007", external_id="b")
    base.reconcile()
    judge(base.url, ("a", "a4"), ("b", "b"), same=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "PIECE", 2)
        base.reconcile(full=True)

    assert ["a4", "b"] in base.calls()


def test_a_leg_in_the_next_piece(base: Base) -> None:
    """A leg that begins hours later, and in another piece, still belongs to its parent."""
    base.put("a", 0, 9000, external_id="root")
    base.put("a", 8000, 900, parent_external_id="root", remote_e164="+33600000005", external_id="leg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "PIECE", 1)
        base.reconcile()

    assert base.calls() == [["leg", "root"]]


def test_verdicts_from_downstream(base: Base) -> None:
    """Other programs write verdicts through a function, and nothing else."""
    base.put("a", 0, 40, external_id="a")
    base.put("b", 900, 40, external_id="b")
    base.connection.execute("SET ROLE callweave_judge")
    base.connection.execute("SELECT v1.judge('a', 'main', 'a', 'b', 'main', 'b', true)")
    with pytest.raises(psycopg.errors.NoDataFound):
        base.connection.execute("SELECT v1.judge('a', 'main', 'nobody', 'b', 'main', 'b', true)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        base.connection.execute("DELETE FROM verdict")
    base.connection.execute("RESET ROLE")
    base.reconcile()

    assert base.calls() == [["a", "b"]]


def window(base: Base, provider: str, since: float, until: float) -> None:
    """A proven stretch of calls."""
    base.connection.execute(
        "INSERT INTO sync_stream VALUES (%s, 'main', 'calls', '') ON CONFLICT DO NOTHING", [provider]
    )
    base.connection.execute(
        "INSERT INTO sync_window (provider, account, stream, scope, listing, filtered, origin, since, until,"
        " state, verdict)"
        " VALUES (%s, 'main', 'calls', '', '', false, 'live', %s, %s, 'done', 'proven')",
        [provider, at(since), at(until)],
    )


def test_reasons(base: Base) -> None:
    """Why a record is alone: the first reason that holds."""
    window(base, "a", -1000, 9000)
    window(base, "b", 0, 5000)
    base.put("a", 10, 5, external_id="open", is_final=False)
    base.put("a", -500, 5, external_id="outside")
    base.put("a", 100, 5, external_id="hidden", remote_e164=None)
    base.put("a", 6000, 5, external_id="waiting")
    base.put("a", 700, 5, external_id="alone")
    base.put("a", 2000, external_id="twin1")
    base.put("b", 2004, external_id="twins")
    base.put("a", 2008, external_id="twin2")
    base.reconcile()

    assert base.reasons() == {
        "open": "not_final",
        "outside": "outside_coverage",
        "hidden": "hidden_number",
        "waiting": "other_side_not_synced_yet",
        "alone": "only_here",
        "twin1": "ambiguous",
        "twin2": "ambiguous",
        "twins": "ambiguous",
    }
    (detail,) = base.rows("SELECT detail FROM v1.unmatched_call WHERE external_id = 'twin1'")[0]
    assert [rival["external_id"] for rival in detail["rivals"]] == ["twins"]


def test_side_by_side(base: Base) -> None:
    """The newest day of two accounts: a call that both hold, and one that only one does."""
    base.put("a", 0, 40)
    base.put("b", 0.4, 40)
    base.put("a", 3000, 20)
    base.reconcile()
    day = report(base.url).day

    assert [(row["started"] is not None, row["other_started"] is not None) for row in day] == [
        (True, False),
        (True, True),
    ]


def test_undecided(base: Base) -> None:
    """What may be one call and was not joined is listed once, and no more once a person has judged it."""
    for external_id, seconds in (("one", 0), ("two", 4), ("three", 8)):
        base.put("a" if external_id != "two" else "b", seconds, external_id=external_id)
    base.reconcile()
    pairs = [(row["external_id"], row["other_external_id"]) for row in undecided(base.url, 10)]
    assert pairs
    judge(base.url, ("a", "one"), ("b", "two"), same=False)

    assert ("one", "two") not in [(row["external_id"], row["other_external_id"]) for row in undecided(base.url, 10)]


@pytest.mark.parametrize("when", ["first", "later", "of a load that began before the last run"])
def test_a_record_left_out_is_seen(base: Base, when: str) -> None:
    """A live record without a real call fails the run that ought to have decided it, by name."""
    if when != "first":
        base.put("a", 100, 5)
        base.reconcile()
    base.put("a", 0, 5, external_id="lost")
    if when.startswith("of a load"):
        base.connection.execute(
            "UPDATE call SET changed_at = changed_at - interval '5 minutes' WHERE external_id = 'lost'"
        )
    run = Reconciliation(base.url, Ask())
    with pytest.raises(DecisionsIncomplete, match="lost"), run.begun():
        run.verify()


def test_unified_call(base: Base) -> None:
    """Numbers and times are the fullest root's, the outcome is the best, and a telephone leg speaks for its client."""
    base.put("a", 0, external_id="root", outcome="answered", own_raw="client:ann", ended_at=None)
    base.put("a", 1, external_id="leg", parent_external_id="root", outcome="busy")
    base.put("b", 0.5, external_id="other", outcome="busy")
    base.reconcile()
    (row,) = base.rows("SELECT outcome, started_at, providers, record_count, provisional FROM v1.unified_call")

    assert row == ("busy", at(0.5), ["a", "b"], 3, False)


def test_provisional(base: Base) -> None:
    """A single final record is sure; one that is not final is provisional."""
    base.put("a", 0, 5, external_id="done")
    base.put("a", 900, 5, external_id="open", is_final=False)
    base.reconcile()

    assert base.rows("SELECT confidence, provisional FROM v1.unified_call ORDER BY started_at") == [
        (1, False),
        (1, True),
    ]


def test_range(base: Base) -> None:
    """A run over a range decides its calls and leaves the others."""
    base.put("a", 0, 5, external_id="early")
    base.put("a", 5000, 5, external_id="late")
    base.reconcile(since=at(4000), until=at(6000))

    assert base.calls() == [["late"]]


@pytest.mark.parametrize("setting", worlds.WORLDS, ids=lambda setting: setting.name)
def test_a_world(base: Base, setting: worlds.Setting) -> None:
    """In the database the same real calls come out as in memory, in pieces and with the last records late."""
    world = worlds.make(setting, 700, 3)
    storing.store(base.url, world, payload="{}", last=len(world.records) - 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "PIECE", 300)
        base.reconcile()
        storing.store(base.url, world, payload="{}", first=len(world.records) - 40)
        base.reconcile()
    scores = measure.total(measure.score(world.records, world.truth, np.array(storing.found(base.url, world))))

    assert scores.precision >= 0.99
    assert scores.f1 >= 0.94


def test_time_zone_fault_is_told(base: Base) -> None:
    """An account an hour off is corrected for, named, and its calls are recognised."""
    (setting,) = [one for one in worlds.WORLDS if one.name == "an hour off"]
    world = worlds.make(setting, 600, 4)
    storing.store(base.url, world, payload="{}")
    base.reconcile()
    (sentence,) = zone_faults(report(base.url).calibrations)

    assert sentence.startswith(f"The clock of {world.names[1]}:main is +60 minutes off")


def test_change_feed(base: Base) -> None:
    """The feed says of each record that it was matched, matched otherwise, or is matched no more, and nothing twice."""
    feed = "SELECT external_id, kind FROM v1.change WHERE sequence > %s ORDER BY external_id"
    last = "SELECT coalesce(max(sequence), 0) FROM v1.change"
    ids = [base.put(name, 0, 60) for name in "ab"]
    base.reconcile()
    assert base.rows(feed, 0) == [(id_, "matched") for id_ in sorted(ids)]
    ((seen,),) = base.rows(last)
    base.reconcile(full=True)
    assert base.rows(feed, seen) == []

    third = base.put("c", 1, 60)
    base.reconcile()
    assert base.rows(feed, seen) == sorted([(third, "matched"), *((id_, "rematched") for id_ in ids)])
    ((seen,),) = base.rows(last)
    gone = [ids[1], third]
    base.connection.execute(
        "UPDATE call SET deleted_at = now(), changed_at = clock_timestamp() WHERE external_id = ANY (%s)", [gone]
    )
    base.reconcile()
    assert (ids[0], "unmatched") in base.rows(feed, seen)
