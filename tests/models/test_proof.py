"""What a reading proves, and what a whole scan proves: values in, verdicts out."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.proof import Proof, alike, denied, prove
from models.scan import MOST_DRIFTS, PartRead, ScanOutcome, Step, has_moved, judge_scan
from models.vocabulary import Verdict
from tests.support.records import at

PROVEN, UNPROVEN = Verdict.PROVEN, Verdict.UNPROVEN


@dataclass(frozen=True)
class Reading:
    ids: AbstractSet[str]
    total: int | None = None
    says_more: bool = False
    recounted: bool = False


ids = st.frozensets(st.sampled_from("abcdef"))
totals = st.none() | st.integers(0, 8)
readings = st.builds(Reading, ids, totals, st.booleans(), st.booleans())


@given(readings, st.none() | readings)
def test_never_against_the_provider(now: Reading, before: Reading | None) -> None:
    """A reading is never proven while the provider counts more, or says more follow (airbyte#33862, PostHog#93764)."""
    proof = prove(now, before)

    if now.says_more or (now.total is not None and now.total > len(now.ids)):
        assert proof.verdict is UNPROVEN
        assert proof.reason


@given(ids, st.none() | readings)
def test_the_total_came(found: frozenset[str], before: Reading | None) -> None:
    """As many distinct records as the provider counts are proven at once, whatever came before."""
    assert prove(Reading(found, total=len(found)), before) == Proof(PROVEN)


@given(ids)
def test_the_total_changed(found: frozenset[str]) -> None:
    """As many records as are counted at last prove nothing where it was another count at first: one may be missed."""
    now = Reading(found, total=len(found), recounted=True)

    assert prove(now, None).verdict is UNPROVEN
    assert prove(now, now).verdict is PROVEN


@given(ids, ids)
def test_without_a_total(first: frozenset[str], second: frozenset[str]) -> None:
    """A list without a total is proven by two readings in a row of the same records, never by one."""
    assert prove(Reading(second), None).verdict is UNPROVEN
    assert (prove(Reading(second), Reading(first)).verdict is PROVEN) == (first == second)


@given(readings, readings)
def test_denial(now: Reading, before: Reading) -> None:
    """Only the provider's own word is called a denial, and one is believed when a second reading says the same."""
    proof = prove(now, before)

    assert proof.is_denied == (
        now.ids == before.ids and denied(len(now.ids), now.total, says_more=now.says_more) is not None
    )
    assert not (proof.is_denied and proof.verdict is PROVEN)


@given(readings)
def test_reading_again(now: Reading) -> None:
    """A reading that is repeated alike is proven, or denied for good: the readings of a window come to an end."""
    proof = prove(now, now)

    assert (proof.verdict is PROVEN) != proof.is_denied


def test_more_than_counted() -> None:
    """A total that is too small proves nothing at once; read twice alike it is named in the reason."""
    many = Reading({"a", "b", "c"}, total=2)

    assert prove(many, None).verdict is UNPROVEN
    assert (
        prove(many, many) == alike(many, many) == Proof(PROVEN, "read twice alike: 3 records, more than the 2 counted")
    )


PART = PartRead(1, "0", "4", PROVEN, 0, at(), at(), 12, 12)


def parts(*pages: str, total: int | None = 12, **own: object) -> list[PartRead]:
    """Parts of a counted list, each given as the ids of its first and of its last page: "ab cd"."""
    made = []
    for i, text in enumerate(pages):
        head, tail = text.split()
        part = replace(PART, window_id=i, position=str(4 * i), end_position=str(4 * i + 4), ended_at=at(i))
        made.append(replace(part, head_ids=head, tail_ids=tail, total_before=total, total=total, **own))  # type: ignore[arg-type]
    return made


TOUCHING = ("ab cd", "cd ef", "ef gh")
TORN = ("ab cd", "xy ef", "ef gh")


def judged(some: list[PartRead], came: int = 12, *, exhaustive: bool = True, doubted: bool = False) -> ScanOutcome:
    return judge_scan(some, came, exhaustive=exhaustive, doubted=doubted)


def test_a_whole_scan() -> None:
    """Parts that touch, and as many records as the provider counts, prove a scan."""
    assert judged(parts(*TOUCHING)) == ScanOutcome(Step.JUDGED, Proof(PROVEN))


def test_torn_parts() -> None:
    """A part that shares nothing with the end of the part before is read again, and no other."""
    found = judged(parts(*TORN))

    assert found.step is Step.MEND
    assert [one.window_id for one in found.torn] == [1]


def test_torn_too_often() -> None:
    """After three readings of a torn part the scan is unproven, and says why."""
    found = judged(parts(*TORN, drifts=MOST_DRIFTS))

    assert found.step is Step.JUDGED
    assert found.proof is not None
    assert found.proof.verdict is UNPROVEN
    assert "moved" in (found.proof.reason or "")


def test_empty_parts_are_not_torn() -> None:
    """A part without a record, such as one beyond the end, is torn from nothing."""
    some = parts("ab cd", "cd ef")
    some.append(replace(PART, window_id=2, position="8", end_position="12", head_ids=(), tail_ids=()))

    assert judged(some).step is Step.JUDGED


def test_cursors_cannot_be_torn() -> None:
    """Parts of a list with cursors need not share records: the provider keeps the place."""
    some = [replace(part, end_position=None) for part in parts(*TORN)]

    assert judged(some) == ScanOutcome(Step.JUDGED, Proof(PROVEN))


@pytest.mark.parametrize("came", [11, 13])
def test_a_total_that_did_not_come(came: int) -> None:
    """Where the total did not come, each part is read until two readings are alike."""
    assert judged(parts(*TOUCHING), came) == ScanOutcome(Step.DOUBT)


def test_doubted_and_fewer() -> None:
    """Fewer than counted, also when each part was read twice alike, is the provider's own denial."""
    found = judged(parts(*TOUCHING), 11, doubted=True)

    assert found.proof is not None
    assert found.proof.is_denied


def test_doubted_and_more() -> None:
    """More than counted, each part read twice alike, leaves each part the proof it has."""
    assert judged(parts(*TOUCHING), 13, doubted=True) == ScanOutcome(Step.JUDGED)


def test_no_total() -> None:
    """A list that says no total leaves each part its own proof."""
    assert judged(parts(*TOUCHING, total=None)) == ScanOutcome(Step.JUDGED)


def test_a_scan_that_may_stop_early() -> None:
    """Of a scan that was not to read to the end and stopped before it, the total says nothing."""
    stopped = [*parts(*TOUCHING[:-1]), *parts(TOUCHING[-1], total=None)]

    assert judged(stopped, 5, exhaustive=False) == ScanOutcome(Step.JUDGED)


def test_a_scan_that_came_to_the_end() -> None:
    """A scan that might have stopped early and came to the end is judged by the total, as a whole one is."""
    assert judged(parts(*TOUCHING), 12, exhaustive=False) == ScanOutcome(Step.JUDGED, Proof(PROVEN))
    assert judged(parts(*TOUCHING), 5, exhaustive=False) == ScanOutcome(Step.DOUBT)


@given(st.integers(0, 20), totals, st.booleans(), st.booleans(), st.booleans())
def test_a_scan_is_never_proven_against_the_provider(
    came: int, total: int | None, says_more: bool, doubted: bool, exhaustive: bool
) -> None:
    """No scan is proven while the newest total is another than what came, or more follow by the provider's word."""
    some = parts(*TOUCHING, total=total)
    some[-1] = replace(some[-1], says_more=says_more)
    found = judged(some, came, exhaustive=exhaustive, doubted=doubted)

    is_proven = found.proof is not None and found.proof.verdict is PROVEN
    assert is_proven == (came == total and not says_more)


@pytest.mark.parametrize("change", [{"total": 13}, {"total_before": 11}, {"moved": True}])
def test_a_list_that_moved(change: dict[str, int]) -> None:
    """The total of a list that moved proves nothing though it came true: one may have slid to a page read before."""
    some = parts(*TOUCHING)
    some[0] = replace(some[0], ended_at=at(99), **change)  # type: ignore[arg-type]

    assert judged(some, some[0].total or 0) == ScanOutcome(Step.DOUBT)
    assert has_moved(some)
    assert not has_moved(parts(*TOUCHING))
