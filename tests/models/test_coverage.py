"""Windows of time: they cover exactly what is asked, and what was read is read again when it is due."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.coverage import (
    HISTORY_WATCHED,
    LOOK_AGAIN_HISTORY,
    NEWEST,
    SHORTEST_PIECE,
    Coverage,
    Sizes,
    Span,
    cut,
    equal_parts,
    is_due,
    merged,
    needed,
    without,
)
from tests.support.records import NOON

LOOKBACK = timedelta(hours=48)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def ago(**length: float) -> datetime:
    return NOON - timedelta(**length)


def span(since_days_ago: float, until_days_ago: float = 0) -> Span:
    return Span(ago(days=since_days_ago), ago(days=until_days_ago))


def read(span: Span, at: datetime = NOON) -> Coverage:
    return Coverage(span, at)


offsets = st.integers(0, 400 * 86_400_000)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """A span of milliseconds in the last 400 days."""
    first, second = sorted(draw(st.lists(offsets, min_size=2, max_size=2, unique=True)))
    return Span(ago(milliseconds=second), ago(milliseconds=first))


@st.composite
def readings(draw: st.DrawFn) -> Coverage:
    of = draw(spans())
    age = draw(st.integers(0, int((NOON - of.until) / timedelta(milliseconds=1))))
    return Coverage(of, ago(milliseconds=age))


def covers(spans: list[Span], moment: datetime) -> bool:
    return any(one.since <= moment < one.until for one in spans)


def edges(*groups: list[Span]) -> set[datetime]:
    """Every moment at which coverage may change, and the middles between them."""
    marks = sorted({mark for group in groups for one in group for mark in (one.since, one.until)})
    return {*marks, *(a + (b - a) / 2 for a, b in pairwise(marks))}


def is_tidy(spans: list[Span]) -> bool:
    """In order, none empty, without overlap and without two that touch."""
    return all(one.since < one.until for one in spans) and all(a.until < b.since for a, b in pairwise(spans))


def length(spans: list[Span]) -> timedelta:
    return sum((one.length for one in spans), timedelta())


@given(st.lists(spans(), max_size=8))
def test_merged(many: list[Span]) -> None:
    """Merging keeps every moment and adds none."""
    found = merged(many)

    assert is_tidy(found)
    assert all(covers(found, moment) == covers(many, moment) for moment in edges(many))


@given(st.lists(spans(), max_size=6), st.lists(spans(), max_size=6))
def test_without(many: list[Span], taken: list[Span]) -> None:
    """What is left is exactly what was there and was not taken."""
    left = without(many, taken)

    for moment in edges(many, taken):
        assert covers(left, moment) == (covers(many, moment) and not covers(taken, moment))
    assert all(one.since < one.until for one in left)


@given(st.lists(spans(), max_size=5), st.integers(1, Sizes().pieces), st.sampled_from([HOUR, DAY, LOOKBACK]))
def test_cut(many: list[Span], pieces: int, lookback: timedelta) -> None:
    """Pieces cover the spans exactly, overlap nowhere, are about as many as asked, and cross no change of age."""
    whole = merged(many)
    found = cut(whole, NOON, lookback, Sizes(pieces))

    assert merged(found) == whole
    assert length(found) == length(whole)
    assert len(found) <= 2 * pieces + 3 * len(whole)
    for one in found:
        assert not any(one.since < edge < one.until for edge in (NOON - lookback, NOON - NEWEST))
        assert one.length <= max(2 * length(whole) / pieces, 2 * SHORTEST_PIECE)


def test_cut_is_bounded() -> None:
    """Four years are first read in about as many windows as ninety days."""
    assert len(cut([span(4 * 365)], NOON, LOOKBACK, Sizes())) <= Sizes().pieces + 3
    assert len(cut([span(1 / 48)], NOON, LOOKBACK, Sizes())) == 1


@given(spans(), st.integers(1, 64))
def test_equal_parts(whole: Span, count: int) -> None:
    """Parts follow each other without gap, are at most as many as asked, and about equal."""
    parts = equal_parts(whole, count)

    assert [part.since for part in parts] == [whole.since, *(part.until for part in parts[:-1])]
    assert parts[-1].until == whole.until
    assert len(parts) <= count
    assert all(abs(part.length - whole.length / count) <= timedelta(milliseconds=2) for part in parts) or (
        whole.length < timedelta(milliseconds=2 * count)
    )


@given(spans(), st.lists(readings(), max_size=5))
def test_full(asked: Span, known: list[Coverage]) -> None:
    """A full run reads all it was asked for, whatever is known."""
    assert merged(needed(asked, known, NOON, LOOKBACK, full=True)) == [asked]


@given(spans())
def test_nothing_known(asked: Span) -> None:
    """What was never read is needed, all of it."""
    assert needed(asked, [], NOON, LOOKBACK) == [asked]


@given(spans(), st.lists(readings(), max_size=5))
def test_inside(asked: Span, known: list[Coverage]) -> None:
    """Nothing outside the range is read, and nothing twice."""
    found = needed(asked, known, NOON, LOOKBACK)

    assert is_tidy(found)
    assert all(asked.since <= one.since and one.until <= asked.until for one in found)


@given(spans(), st.lists(readings(), max_size=5))
def test_no_hole(asked: Span, known: list[Coverage]) -> None:
    """What no reading covers is always needed (airbyte#31963: gaps may exist elsewhere)."""
    found = needed(asked, known, NOON, LOOKBACK)

    assert without(without([asked], [one.span for one in known]), found) == []


@given(spans(), st.data())
def test_just_read(asked: Span, data: st.DataObject) -> None:
    """What is over the look-back and was read just now is not read again."""
    old = Span(min(asked.since, ago(days=10)), min(asked.until, ago(days=3)))
    parts = equal_parts(old, data.draw(st.integers(1, 5))) if old.since < old.until else []

    assert needed(old, [read(part) for part in parts], NOON, LOOKBACK) == [] or old.since >= old.until


@given(spans(), st.lists(readings(), max_size=4))
def test_settles(asked: Span, known: list[Coverage]) -> None:
    """Coverage what is needed leaves nothing needed but the newest hour."""
    now_read = [read(one) for one in needed(asked, known, NOON, LOOKBACK)]
    again = needed(asked, [*known, *now_read], NOON, LOOKBACK)

    assert without(again, [Span(ago(hours=1), NOON)]) == []


@pytest.mark.parametrize("days", [0.1, 1, 1.9])
def test_young_span_is_due_again(days: float) -> None:
    """A span read while its records could change is read again an hour later (airbyte#5765, matomo-postgres#96)."""
    asked = Span(ago(days=days), ago(hours=2))

    assert needed(asked, [read(asked, ago(minutes=30))], NOON, LOOKBACK) == []
    assert needed(asked, [read(asked, ago(hours=1, minutes=1))], NOON, LOOKBACK) == [asked]


def test_read_young_and_now_old() -> None:
    """A span read young and never since is due once it is old, however long ago that was."""
    asked = span(30, 29)

    assert needed(asked, [read(asked, ago(days=28.9))], NOON, LOOKBACK) == [asked]
    assert needed(asked, [read(asked, ago(days=26))], NOON, LOOKBACK) == []


def test_newest_hour() -> None:
    """The newest hour is read by every run."""
    asked = Span(ago(minutes=50), ago(minutes=1))

    assert needed(asked, [read(asked, ago(seconds=5))], NOON, LOOKBACK) == [asked]


def test_history_is_proven_anew() -> None:
    """Ninety days are read again at least each thirty days; what is older is left."""
    watched, old = span(60, 50), span(200, 150)
    once = NOON - LOOK_AGAIN_HISTORY - DAY

    assert needed(watched, [read(watched, once)], NOON, LOOKBACK) == [watched]
    assert needed(watched, [read(watched, ago(days=20))], NOON, LOOKBACK) == []
    assert needed(old, [read(old, once)], NOON, LOOKBACK) == []
    assert old.until < NOON - HISTORY_WATCHED


def test_long_reading_is_not_young_throughout() -> None:
    """Of a long span that was read young at its end, only the end is due (airbyte#31963)."""
    asked = Span(ago(days=80), ago(hours=2))
    found = needed(asked, [read(asked, ago(hours=1, minutes=30))], NOON, LOOKBACK)

    assert found
    assert found[0].since >= ago(days=4)
    assert found[-1].until == asked.until


def test_late_row_with_old_time() -> None:
    """A row committed late with an older time is seen: the look-back is read again, not only the edge (dlt#2269)."""
    first = Span(ago(days=5), ago(hours=3))
    found = needed(Span(ago(days=5), ago(minutes=1)), [read(first, ago(hours=2))], NOON, LOOKBACK)

    assert covers(found, ago(hours=4))
    assert covers(found, ago(hours=40))
    assert not covers(found, ago(days=4.5))


@given(spans(), st.integers(0, 2000))
def test_due_again_only_by_time(of: Span, hours: int) -> None:
    """A reading that is due stays due while nobody reads it, until its span leaves the watched history."""
    known, later = read(of, max(of.until, ago(days=1))), NOON + hours * HOUR
    if is_due(known, NOON, LOOKBACK) and later - of.until < HISTORY_WATCHED - DAY and later - of.until >= LOOKBACK:
        assert (
            is_due(known, later + LOOK_AGAIN_HISTORY, LOOKBACK)
            or later + LOOK_AGAIN_HISTORY - of.until >= HISTORY_WATCHED
        )
