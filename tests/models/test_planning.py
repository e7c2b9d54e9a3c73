"""Runs over weeks, as values: what is read and proven, what moved, and what the next run has to read."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from models.coverage import DAY, HOUR, NEWEST, Coverage, Sizes, Span, cut, needed, settled
from tests.support.records import NOON

LOOKBACK = timedelta(hours=48)
SIZES = Sizes(pieces=8)


class Planning(RuleBasedStateMachine):
    """A stream that is read by many runs, some of which fail in part or see the list move."""

    @initialize(days=st.integers(1, 40))
    def begin(self, days: int) -> None:
        self.now, self.since = NOON, NOON - days * DAY
        self.readings: list[Coverage] = []
        self.runs = 0

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(data=st.data(), moved=st.booleans())
    def read_some(self, data: st.DataObject, moved: bool) -> None:
        """A run that reads some of its windows, and of those proves some."""
        windows = self.windows()
        fates = data.draw(st.lists(st.sampled_from(["read", "unproven", "failed"]), min_size=len(windows)))
        for window, fate in zip(windows, fates, strict=False):
            if fate != "failed":
                self.note(window, is_proven=fate == "read", moved=moved)
        self.runs += 1

    @rule()
    def read_all(self) -> None:
        """A run that reads all it planned leaves nothing to be read now but the newest hour."""
        for window in self.windows():
            self.note(window)
        self.runs += 1

        left = needed(self.asked, settled(self.readings, LOOKBACK), self.now, LOOKBACK)
        assert all(self.now - span.since <= NEWEST for span in left)

    @property
    def asked(self) -> Span:
        return Span(self.since, self.now)

    def windows(self) -> list[Span]:
        spans = needed(self.asked, settled(self.readings, LOOKBACK), self.now, LOOKBACK)
        return cut(spans, self.now, LOOKBACK, SIZES)

    def note(self, window: Span, *, is_proven: bool = True, moved: bool = False) -> None:
        self.readings.append(Coverage(window, self.now, str(self.runs), is_proven=is_proven, moved=moved))

    def is_built_on(self, moment: datetime) -> bool:
        """Whether any reading of this moment was proven by a run that did not see the list move."""
        moving = {one.by for one in self.readings if one.moved}
        return any(
            one.is_proven and one.by not in moving and one.span.since <= moment < one.span.until
            for one in self.readings
        )

    @invariant()
    def no_hole(self) -> None:
        """What no proven reading holds is read by the next run, whatever happened before (airbyte#31963)."""
        windows = self.windows()
        hours = range(int((self.now - self.since) / HOUR))
        for moment in (self.since + hour * HOUR + HOUR / 2 for hour in hours):
            settled_here = any(one.span.since <= moment < one.span.until for one in settled(self.readings, LOOKBACK))
            assert settled_here or any(window.since <= moment < window.until for window in windows)
            assert settled_here or not self.is_built_on(moment)


TestPlanning = Planning.TestCase
TestPlanning.settings = settings(max_examples=15, stateful_step_count=12)
