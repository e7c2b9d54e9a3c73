"""What is assumed of a provider where its documentation is silent, and what was found when it was tried.

An observation that differs from the assumption is used: it makes of a declared stream the one that is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from models.coverage import DAY, EDGE, Sizes
from models.pagination import OffsetPaging, PagePaging
from models.provider import Stream, TimeFilter


class Assumption(StrEnum):
    """A question that a few requests answer."""

    ENVELOPE = "envelope"  # where in the answer the records and the total stand
    PAGE_SIZE = "page_size"  # whether the page size that is asked for is obeyed, and what its parameter is called
    LARGEST_PAGE = "largest_page"  # whether a page holds as many records as are asked for
    PAGE_BASE = "page_base"  # whether pages count from 1 or from 0
    END = "end"  # whether a list ends where it says so
    RANGE = "range"  # whether a range of time holds the calls that began in it
    TOTAL = "total"  # whether the total counts the range that was asked for
    LONGEST_RANGE = "longest_range"  # whether a range is refused for its length


class Standing(StrEnum):
    """What trying an assumption came to."""

    AS_ASSUMED = "as_assumed"
    OTHERWISE = "otherwise"
    UNCLEAR = "unclear"  # it does not hold, and how it is instead was not found out: nothing is proven
    NOT_TESTABLE = "not_testable"  # there is too little to try it on


@dataclass(frozen=True, slots=True)
class Observation:
    """What was found of one assumption, of one list."""

    assumption: Assumption
    standing: Standing
    value: str
    """As a setting: how it is."""
    words: str
    """For people."""

    @property
    def is_conclusive(self) -> bool:
        return self.standing is not Standing.NOT_TESTABLE

    def differs_from(self, before: "Observation") -> bool:
        """Whether the list is otherwise than it was, or was held to be as long as it could not be tried."""
        if not self.is_conclusive:
            return False
        return self.value != before.value if before.is_conclusive else self.standing is not Standing.AS_ASSUMED


BY_DAY, IGNORED = "by_day", "ignored"
WHOLE_LIST = "whole_list"
FIXED = "fixed:"
"""Before the number of records of a page whose size cannot be chosen."""


def adapted(stream: Stream, observations: Iterable[Observation]) -> Stream:
    """The stream as it is to be read by what was found."""
    for one in observations:
        if one.standing is Standing.OTHERWISE:
            stream = _adapted(stream, one)
    return stream


def _adapted(stream: Stream, one: Observation) -> Stream:
    paging = stream.paging
    if one.assumption is Assumption.RANGE:
        return _with_range(stream, one.value)
    if one.assumption is Assumption.TOTAL and isinstance(paging, OffsetPaging | PagePaging):
        return replace(stream, paging=replace(paging, total_at=NOWHERE))
    if isinstance(paging, PagePaging):
        return _with_pages(stream, paging, one)
    return stream


NOWHERE = ("",)
"""No answer has a part of this name."""


def _with_range(stream: Stream, value: str) -> Stream:
    if value == IGNORED:
        return replace(stream, time_filter=None)
    assert stream.time_filter is not None
    return replace(stream, time_filter=TimeFilter(stream.time_filter.since, stream.time_filter.until, by_day=True))


def _with_pages(stream: Stream, paging: PagePaging, one: Observation) -> Stream:
    if one.assumption is Assumption.PAGE_BASE:
        return replace(stream, paging=replace(paging, start=one.value))
    if one.assumption is Assumption.LARGEST_PAGE:
        return replace(stream, paging=replace(paging, limit=int(one.value)))
    if one.assumption is Assumption.PAGE_SIZE and one.value.startswith(FIXED):
        return replace(stream, paging=replace(paging, limit=int(one.value.removeprefix(FIXED))))
    if one.assumption is Assumption.PAGE_SIZE:
        return replace(stream, paging=replace(paging, size_param=one.value))
    if one.assumption is Assumption.ENVELOPE and stream.variants:
        its = next(each for each in stream.variants.envelopes if ".".join(each.items) == one.value)
        return replace(stream, paging=its.applied(paging), items=its.items)
    return stream


def sizes_by(sizes: Sizes, observations: Iterable[Observation]) -> Sizes:
    """With windows as long as the provider takes, and no narrower than helps."""
    for one in observations:
        if one.standing is Standing.UNCLEAR:
            sizes = replace(sizes, narrowest=timedelta.max)
        elif one.assumption is Assumption.RANGE and one.value == BY_DAY:
            sizes = replace(sizes, narrowest=2 * DAY)
        elif one.assumption is Assumption.LONGEST_RANGE and one.standing is Standing.OTHERWISE:
            sizes = replace(sizes, longest=timedelta(seconds=float(one.value)) - 2 * EDGE)
    return sizes


def distrust(observations: Iterable[Observation]) -> str | None:
    """Why nothing that is read can be proven, where an assumption does not hold and nothing known takes its place."""
    return next((one.words for one in observations if one.standing is Standing.UNCLEAR), None)
