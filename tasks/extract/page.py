"""A page of a list: asked for, opened, its records identified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from models.arrivals import Arrival, RecordPage, Rejection
from models.coverage import Span
from models.errors import ContractBroken, RangeIgnored, Rejected
from models.json_text import fields, page, value
from models.pagination import Page, Position
from models.provider import Provider
from models.rows import CallRow
from models.wording import minute
from tasks.client.redaction import outward
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext

AROUND, AROUND_DAYS = timedelta(minutes=1), timedelta(days=1)
"""How far beyond a range its calls may lie: by rounding of its ends, and where they are cut to days."""


def open_page(provider: Provider, body: str, items: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """A page's envelope without its records, and the records as they stand.

    Raises the error that the envelope reports, or `ContractBroken`.
    """
    try:
        parts, records = _parts(body, items)
    except ValueError as error:
        raise ContractBroken(f"a list answered something else than a JSON object with a list in it ({error})") from None
    refuse_failure(provider, parts)
    if records is None:
        where = ".".join(items)
        raise ContractBroken(f"a list answered without {where!r}; it has {', '.join(sorted(parts)) or 'nothing'}")
    return parts, records


def _parts(body: str, items: tuple[str, ...]) -> tuple[dict[str, Any], list[str] | None]:
    """The object with everything in it but the array at `items`, and that array."""
    first, *rest = items
    if not rest:
        parts, records = page(body, first)
        return {name: value(text) for name, text in parts.items()}, records
    outer = fields(body)
    inner, records = _parts(outer.pop(first, "{}"), tuple(rest))
    return {name: value(text) for name, text in outer.items()} | {first: inner}, records


def refuse_failure(provider: Provider, envelope: Mapping[str, Any]) -> None:
    """Raises what an answer with a good status says that failed, in the vendor's words."""
    if "id" not in envelope and (failure := provider.failure(envelope)) is not None:
        said = ": ".join(part for part in (failure.code, failure.message) if part) or "no explanation"
        raise failure.kind(f"{provider.title} answered that it failed: {outward(said)}")


@dataclass(slots=True)
class PageRequester:
    """Asks for the pages of one window. Pages that are to be read a second time are known again by their bytes."""

    context: StreamContext
    span: Span | None
    will_be_read_twice: bool
    """Whether the window is read again although its list says how many records it holds."""
    tally: Tally
    _known: dict[bytes, RecordPage] = field(default_factory=dict)

    def get(self, position: Position) -> RecordPage:
        """One page. Raises the `ProviderError` that says what to do."""
        context = self.context
        params = context.params(self.span) | context.stream.paging.params(position)
        answer = context.client.get(context.listing.path, params, self.tally)
        mark = blake2b(answer.text.encode(), digest_size=16).digest() if self._known else b""
        if known := self._known.get(mark):
            return known
        return self._opened(answer.text, answer.sent_at, is_first=position == context.stream.paging.start)

    def _opened(self, body: str, sent_at: datetime, *, is_first: bool) -> RecordPage:
        context = self.context
        envelope, records = open_page(context.provider, body, context.stream.items)
        found = [context.parser.identify(record, sent_at, context.listing.scope) for record in records]
        ends = self._ends(len(found), is_first=is_first)
        to_time = range(len(found)) if self._is_unbounded else ends
        arrivals = [timed(context, one) if place in to_time else one for place, one in enumerate(found)]
        ids = [one.external_id or one.digest.hex() for one in arrivals]
        unnamed = frozenset(id_ for id_, one in zip(ids, arrivals, strict=True) if not one.external_id)
        opened = RecordPage(envelope, arrivals, ids, unnamed, ends=[arrivals[place] for place in ends])
        if self._may_come_again(opened):
            mark = blake2b(body.encode(), digest_size=16).digest()
            self._known[mark] = opened._replace(arrivals=(), is_repeated=True)
        return opened

    def _ends(self, count: int, *, is_first: bool) -> list[int]:
        """Where the list begins and where this page ends, of one asked for by time: compared with the range."""
        is_bounded = self.span is not None and self.context.stream.time_filter is not None
        return sorted({0, count - 1} if is_first else {count - 1}) if is_bounded and count else []

    @property
    def _is_unbounded(self) -> bool:
        """A list that cannot be bounded is compared with the range by the times of its records."""
        return self.span is not None and self.context.stream.time_filter is None

    def _may_come_again(self, opened: RecordPage) -> bool:
        counted = self.context.stream.paging.total(Page(opened.envelope, 0, 0)) is not None
        whole = all(isinstance(one, Arrival) for one in opened.arrivals)
        return whole and not self._is_unbounded and (self.will_be_read_twice or not counted)


def timed(context: StreamContext, arrival: Arrival | Rejection) -> Arrival | Rejection:
    """The record with its row and the time its list is sorted by; as it is, where it cannot be read or was already."""
    if isinstance(arrival, Rejection) or arrival.row is not None:
        return arrival
    stream, parser = context.stream, context.parser
    try:
        fields = parser.parse(arrival.text)
        sorted_at = stream.sorted_by(fields) if stream.sorted_by else None
        return arrival._replace(row=parser.to_row(fields), sorted_at=sorted_at)
    except Rejected:
        return arrival


def refuse_ignored_range(context: StreamContext, span: Span, arrivals: Sequence[Arrival | Rejection]) -> None:
    """Raises `RangeIgnored` where all calls of a page began outside of the range that was asked for."""
    began = _began(context, arrivals)
    if began and len(astray := _astray(context, span, began)) == len(began):
        raise RangeIgnored(f"{_said(span, astray)}; the next run tries why")


def stray(context: StreamContext, span: Span, arrivals: Sequence[Arrival | Rejection]) -> str | None:
    """Why a window is not proven in which calls from outside of its range came: others of it stand elsewhere then."""
    astray = _astray(context, span, _began(context, arrivals)) if context.stream.time_filter else []
    return _said(span, astray) if astray else None


def _began(context: StreamContext, arrivals: Sequence[Arrival | Rejection]) -> list[datetime]:
    rows = [one.row for one in (timed(context, one) for one in arrivals) if isinstance(one, Arrival)]
    return [row.started_at for row in rows if isinstance(row, CallRow)]


def _astray(context: StreamContext, span: Span, began: list[datetime]) -> list[datetime]:
    time_filter = context.stream.time_filter
    around = AROUND_DAYS if time_filter and time_filter.by_day else AROUND
    return [one for one in began if not span.since - around <= one < span.until + around]


def _said(span: Span, came: list[datetime]) -> str:
    asked, others = f"{minute(span.since)} to {minute(span.until)}", f"{minute(min(came))} to {minute(max(came))}"
    return f"calls of {asked} were asked for and those of {others} came"


def within(span: Span | None, arrivals: Sequence[Arrival | Rejection]) -> list[Arrival | Rejection]:
    """Without the calls that are known to have begun outside of `span`."""
    return [one for one in arrivals if span is None or not _is_outside(span, one)]


def _is_outside(span: Span, one: Arrival | Rejection) -> bool:
    row = one.row if isinstance(one, Arrival) else None
    return isinstance(row, CallRow) and not span.since <= row.started_at < span.until
