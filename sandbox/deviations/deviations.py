"""Every assumption about a provider, broken on demand: how its API would speak if it were not as we assume.

A fault passes; a deviation is the provider's nature. They are independent and can be on together. A new deviation is
one entry of `DEVIATIONS`. Of those that are on, an earlier entry acts around the later ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from sandbox.deviations import pages, tables, words
from sandbox.deviations.place import Ask, Numbers, Place, Wrap
from sandbox.deviations.ranges import RANGE_WRAPS
from sandbox.providers.table import Table
from sandbox.providers.web import Answer, BadValueError, Question, RefusedError
from sandbox.switches import Switches

_COUNTED, _BOUNDED = ("sakari", "skipcall"), ("sakari", "bird")
_ALL = ("sakari", "bird", "skipcall")


@dataclass(frozen=True, slots=True)
class Deviation:
    """What is not as we assume, at which providers, and how that is served."""

    what: str
    providers: tuple[str, ...] = _ALL
    wrap: Wrap | None = None
    """Around each page of a list."""
    by_id: Wrap | None = None
    """Around each record that is asked for by its id."""
    table: tables.Change | None = None
    """What the lists hold."""
    streams: tuple[str, ...] = ("calls", "contacts")
    order: str | None = None
    """How the lists run."""
    is_read_whole: bool = False
    """Whether all that is asked for is stored all the same."""

    def concerns(self, provider: str, stream: str) -> bool:
        return provider in self.providers and stream in self.streams


DEVIATIONS = {
    "failure-in-200": Deviation("lists answer 200 with an error in the body and no records", wrap=words.failure_in_200),
    "failure-on-later-pages": Deviation(
        "the same, for every page but a list's first", wrap=words.failure_on_later_pages
    ),
    "bare-code-in-200": Deviation(
        'lists answer 200 with {"code": "API_KEY_INVALID", "details": null}', ("skipcall",), wrap=words.bare_code_in_200
    ),
    "denied-by-id": Deviation(
        "records that exist are answered 404 by id", wrap=words.denied_by_id, by_id=words.denied_by_id
    ),
    "failure-by-id": Deviation("a record asked for by id is an error in a 200", by_id=words.failure_by_id),
    "suddenly-empty": Deviation("every list is empty and says so", wrap=words.suddenly_empty),
    "nested-envelope": Deviation(
        "lists stand in data.results beside data.metadata.pagination",
        ("skipcall",),
        wrap=pages.nested_envelope,
        is_read_whole=True,
    ),
    "page-from-zero": Deviation(
        "the first page is page 0", ("skipcall",), wrap=pages.page_from_zero, is_read_whole=True
    ),
    "size-not-limit": Deviation(
        "`limit` is passed over; the page size is called `size`, by default 10",
        ("skipcall",),
        wrap=pages.size_not_limit,
        is_read_whole=True,
    ),
    "limit-capped": Deviation(
        "a page holds at most 50 records, and does not say so", wrap=pages.limit_capped, is_read_whole=True
    ),
    "page-beyond-404": Deviation(
        "a page beyond the last is answered 404", _COUNTED, wrap=pages.page_beyond_404, is_read_whole=True
    ),
    "page-beyond-400": Deviation(
        "a page beyond the last is answered 400", _COUNTED, wrap=pages.page_beyond_400, is_read_whole=True
    ),
    "empty-page-says-more": Deviation(
        "every page but the first is empty and says that more follow", _COUNTED, wrap=pages.empty_page_says_more
    ),
    "offset-cap": Deviation(
        "nothing comes from beyond the 290th record, though more is said to follow", _COUNTED, wrap=pages.offset_cap
    ),
    "empty-pages-with-tokens": Deviation(
        "each page is behind six empty ones, each with a new token",
        ("bird",),
        wrap=pages.empty_pages_with_tokens,
        is_read_whole=True,
    ),
    "range-by-day": Deviation(
        "the range is cut to whole days, without its last",
        _BOUNDED,
        wrap=RANGE_WRAPS["range-by-day"],
        is_read_whole=True,
    ),
    "range-exclusive": Deviation(
        "the range is without both of its ends", _BOUNDED, wrap=RANGE_WRAPS["range-exclusive"], is_read_whole=True
    ),
    "range-ignored": Deviation(
        "the range is passed over", _BOUNDED, wrap=RANGE_WRAPS["range-ignored"], is_read_whole=True
    ),
    "range-too-long": Deviation(
        "a range of more than 7 days is answered 400", _BOUNDED, wrap=RANGE_WRAPS["range-too-long"], is_read_whole=True
    ),
    "range-by-other-time": Deviation(
        "the range is of the time a call was last changed",
        _BOUNDED,
        table=tables.by_last_change,
        streams=("calls",),
        is_read_whole=True,
    ),
    "total-of-everything": Deviation(
        "the total is of all records, whatever range is asked for", _COUNTED, wrap=words.total_of_everything
    ),
    "total-too-large": Deviation("the total is three too high", _COUNTED, wrap=words.total_off(3)),
    "total-too-small": Deviation("the total is three too low", _COUNTED, wrap=words.total_off(-3), is_read_whole=True),
    "list-omits": Deviation("lists leave out some records, which are still answered by id", table=tables.omitting),
    "order-oldest-first": Deviation("lists run oldest first", _COUNTED, order="oldest-first", is_read_whole=True),
}


class Deviations(Switches):
    """The deviations that are on."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.numbers = Numbers()
        super().__init__("deviation", DEVIATIONS, names)

    def list_page(self, place: Place, question: Question, ask: Ask) -> Answer:
        """A page as it is served, around `ask`, which makes it as we assume."""
        wraps = [one.wrap for one in self._acting(place.provider, place.stream) if one.wrap]
        return _wrapped(wraps, place, ask)(question)

    def record(self, place: Place, question: Question, ask: Ask) -> Answer:
        """One record by its id, likewise."""
        wraps = [one.by_id for one in self._acting(place.provider, place.stream) if one.by_id]
        return _wrapped(wraps, place, ask)(question)

    def table(self, provider: str, stream: str, table: Table) -> Table:
        """A stream as the lists are to show it."""
        for one in self._acting(provider, stream):
            if one.table is not None:
                table = table.derived(one.what, partial(one.table, table, self.numbers))
        return table

    def order(self, provider: str, stream: str, usual: str) -> str:
        orders = [one.order for one in self._acting(provider, stream) if one.order]
        return orders[0] if orders else usual

    def _acting(self, provider: str, stream: str) -> list[Deviation]:
        on = [deviation for name, deviation in DEVIATIONS.items() if name in self]
        return [one for one in on if one.concerns(provider, stream)]


def _wrapped(wraps: list[Wrap], place: Place, ask: Ask) -> Ask:
    for wrap in reversed(wraps):
        ask = _around(wrap, place, ask)
    return ask


def _around(wrap: Wrap, place: Place, ask: Ask) -> Ask:
    def wrapped(question: Question) -> Answer:
        try:
            return wrap(place, question, ask)
        except BadValueError as bad:
            return place.refuse(RefusedError(400, str(bad)))

    return wrapped
