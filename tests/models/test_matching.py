"""Recognising the same call: the hard cases, each on records drawn by hand."""

import numpy as np
import pytest

from models.matching.closed import Closed
from models.matching.decide import decide
from models.vocabulary import Direction, Outcome
from tests.support.calls import BOB, CYD, DESK, LINE, SHOP, call, decided, drawn, groups, rivals, sharp

IN, OUT = Direction.INBOUND, Direction.OUTBOUND
TEN_CALLS = (0, 62.3, 103.0, 170, 251, 333, 421, 540, 660, 780)
"""Starts like those of the seed: ten calls of one pair within a quarter of an hour, the closest 40.7 seconds apart."""


def test_redials() -> None:
    """Ten calls of one pair in 14 minutes are ten real calls, each recognised in both accounts."""
    lengths = [None, 5, None, 30, None, 41, None, None, 3, 60]
    here = [call(0, at, length) for at, length in zip(TEN_CALLS, lengths, strict=True)]
    there = [call(1, at + 0.6, length) for at, length in zip(TEN_CALLS, lengths, strict=True)]

    assert groups(decided(*here, *there)) == [[i, i + 10] for i in range(10)]


def test_redials_of_which_some_are_missing_there() -> None:
    """What the other account does not hold stays alone, however near its neighbours are."""
    here = [call(0, at) for at in TEN_CALLS]
    there = [call(1, TEN_CALLS[i] + 0.4) for i in (0, 3, 9)]

    assert [group for group in groups(decided(*here, *there)) if len(group) > 1] == [[0, 10], [3, 11], [9, 12]]


def test_call_back() -> None:
    """A call back in the other direction is another call."""
    found = decided(call(0, 0), call(0, 45, 60, direction=IN), call(1, 1), call(1, 45.5, 60, direction=IN))

    assert groups(found) == [[0, 2], [1, 3]]


def test_answered_here_and_missed_there() -> None:
    """Two words for one call: the numbers and the moment outweigh them."""
    assert groups(decided(call(0, 0, 12), call(1, 0.3))) == [[0, 1]]


def test_hidden_on_one_side() -> None:
    """A number hidden on one side is recognised by our own number, when there is one call it can be."""
    found = decided(call(0, 0, 33, remote=None, direction=IN), call(1, 0.4, 33, direction=IN))

    assert groups(found) == [[0, 1]]


def test_hidden_between_two() -> None:
    """Where two calls of the same second may be the hidden one, it is ambiguous, with both named."""
    hidden = call(0, 0, remote=None, direction=IN)
    found = decided(hidden, call(1, 0.3, direction=IN), call(1, 0.3, direction=IN, remote=BOB))

    assert groups(found) == [[0], [1], [2]]
    assert rivals(found)[0] == {1, 2}


def test_hidden_on_another_line() -> None:
    """A hidden caller is found on another of our numbers where the moment and the length agree."""
    found = decided(call(0, 0, 20, remote=None, direction=IN), call(1, 0.3, 20, own=DESK, direction=IN))

    assert groups(found) == [[0, 1]]


def test_hidden_on_one_of_two_other_lines() -> None:
    """Where two calls on other numbers may be the hidden one, neither is."""
    others = (call(1, 0.3, 20, own=DESK, direction=IN), call(1, 0.3, 20, own=SHOP, remote=BOB, direction=IN))
    found = decided(call(0, 0, 20, remote=None, direction=IN), *others)

    assert groups(found) == [[0], [1], [2]]
    assert rivals(found)[0] == {1, 2}


def test_forwarded() -> None:
    """Forwarding changes our number: the other party and the moment tell."""
    passed_on = call(0, 0, 40, direction=IN, outcome=Outcome.FORWARDED)

    assert groups(decided(passed_on, call(1, 3, 37, own=DESK, direction=IN))) == [[0, 1]]


def test_mirrored() -> None:
    """Our own two systems calling each other: the same two numbers the other way round."""
    found = decided(call(0, 0, 25, remote=SHOP, own=LINE), call(1, 0.5, 25, remote=LINE, own=SHOP, direction=IN))

    assert groups(found) == [[0, 1]]


def test_mirrored_in_one_account() -> None:
    """Both ends of a call between two numbers of one account are one call: one is the other's leg."""
    found = decided(
        call(0, 0, 25, remote=SHOP, own=LINE),
        call(0, 1, 24, remote=LINE, own=SHOP, direction=IN),
        call(1, 0.5, 25, remote=SHOP, own=LINE),
    )

    assert groups(found) == [[0, 1, 2]]
    assert found.legs.root.tolist() == [0, 0, 2]


def test_parallel_dialling() -> None:
    """Calls to many numbers in the same second are never merged."""
    people = range(1000, 1040)
    found = decided(
        *(call(0, i / 50, remote=person) for i, person in enumerate(people)),
        *(call(1, 0.2 + i / 50, remote=person) for i, person in enumerate(people)),
    )

    assert groups(found) == [[i, i + 40] for i in range(40)]


def test_a_leg_under_its_parent() -> None:
    """A transfer's leg to somebody else belongs to the call it was made in; the call may be found through it."""
    found = decided(
        call(0, 0, 90, name="root", direction=IN),
        call(0, 30, 60, parent="root", remote=BOB, own=DESK),
        call(1, 30.5, 60, remote=BOB, own=DESK),
    )

    assert groups(found) == [[0, 1, 2]]


def test_orphans_of_one_parent() -> None:
    """Two legs of a conference whose parent is not held are one call, and match one call there."""
    found = decided(
        call(0, 0, 60, parent="gone"), call(0, 2, 58, parent="gone", remote=CYD), call(1, 0.3, 60), call(1, 900, 60)
    )

    assert groups(found) == [[0, 1, 2], [3]]
    assert found.legs.root.tolist()[:2] == [0, 0]


def test_legs_of_another_day() -> None:
    """A record that names a parent of hours ago is a call of its own."""
    assert groups(decided(call(0, 0, 5, name="root"), call(0, 20_000, 5, parent="root"))) == [[0], [1]]


def test_the_telephone_leg_speaks() -> None:
    """An agent's own end was picked up; what became of the call, its telephone leg says."""
    found = decided(call(0, 0, 9, client=True, name="root"), call(0, 1, parent="root"))

    assert found.legs.speaks.tolist() == [False, True]


def test_times_to_the_minute() -> None:
    """Where one account cuts its times to the minute, redials are told apart by how long they were."""
    known = sharp(20.0)
    here = [call(0, 10, 35), call(0, 75, 180)]
    there = [call(1, 0, 35), call(1, 60, 180)]

    assert groups(decided(*here, *there, known=known)) == [[0, 2], [1, 3]]


def test_twins_are_ambiguous() -> None:
    """Two calls that nothing tells apart are not guessed at: each names its rivals."""
    known = sharp(20.0)
    found = decided(call(0, 5), call(0, 25), call(1, 0), known=known)

    assert groups(found) == [[0], [1], [2]]
    assert rivals(found) == {0: {2}, 1: {2}, 2: {0, 1}}


def test_no_unanswered_attempts_there() -> None:
    """An account that logs no unanswered attempts matches the answered call, not the attempts before it."""
    here = [call(0, 0), call(0, 31), call(0, 65, 120)]

    assert groups(decided(*here, call(1, 65.4, 120))) == [[0], [1], [2, 3]]


def test_two_agree_and_the_third_contradicts() -> None:
    """A real call holds one call of each account; what contradicts it stays out, and is not forced in."""
    found = decided(call(0, 0, 50), call(1, 0.3, 50), call(2, 0.5, 50), call(2, 9, 50))

    assert groups(found) == [[0, 1, 2], [3]]


@pytest.mark.parametrize("gap", [0.2, 4.0])
def test_three_accounts(gap: float) -> None:
    """Three records of one call are one real call, every pair of them told."""
    found = decided(call(0, 0, 50), call(1, gap / 2, 50), call(2, gap, 50), known=sharp(3.0))

    assert groups(found) == [[0, 1, 2]]
    assert len(found.matches.left) == 3


def test_verdict_same() -> None:
    """What a person joined is joined, also transitively, against all evidence."""
    calls = (call(0, 0), call(1, 500, remote=BOB), call(2, 1000, remote=CYD))

    assert groups(decided(*calls, judgements=[(0, 1, True), (1, 2, True)])) == [[0, 1, 2]]


def test_verdict_different() -> None:
    """What a person parted stays apart, and the next best is taken."""
    calls = (call(0, 0, 50), call(1, 0.3, 50), call(1, 8, 50))

    assert groups(decided(*calls, judgements=[(0, 1, False)])) != [[0, 1], [2]]
    assert [0, 1] not in groups(decided(*calls, judgements=[(0, 1, False)]))


def test_verdict_different_by_way_of_a_third() -> None:
    """If A is C and A is not B, then C is not B."""
    calls = (call(0, 0, 50), call(1, 0.3, 50), call(2, 0.4, 50))
    found = groups(decided(*calls, judgements=[(0, 1, False), (0, 2, True)]))

    assert found == [[0, 2], [1]]


def test_newest_verdict_wins() -> None:
    """Of two verdicts that contradict each other the newer one holds."""
    calls = (call(0, 0, 50), call(1, 0.3, 50))

    assert groups(decided(*calls, judgements=[(0, 1, False), (0, 1, True)])) == [[0], [1]]
    assert groups(decided(*calls, judgements=[(0, 1, True), (0, 1, False)])) == [[0, 1]]


def test_verdict_within_an_account() -> None:
    """Two records of one account that a person joined: the later one becomes a leg."""
    found = decided(call(0, 0, 50), call(0, 5, 45, remote=BOB), judgements=[(0, 1, True)])

    assert groups(found) == [[0, 1]]
    assert found.legs.root.tolist() == [0, 0]


@pytest.mark.exhaustive
def test_order_does_not_matter() -> None:
    """Whatever order records come in, the same are one call."""
    records = drawn(*(call(i % 3, at * 0.7 + i % 3 * 0.2, 20 + i // 3) for i, at in enumerate(range(60))))
    calibrations = {(0, 1): sharp(), (0, 2): sharp(2.0), (1, 2): sharp()}
    first = dict(zip(records["id"].tolist(), decide(Closed(records, calibrations)).call.tolist(), strict=True))
    for seed in range(5):
        mixed = np.random.default_rng(seed).permutation(records)
        again = dict(zip(mixed["id"].tolist(), decide(Closed(mixed, calibrations)).call.tolist(), strict=True))
        assert again == first
