"""What a run of one stream is to read: its ranges, the windows open in them, and the records to ask for by id."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from models.coverage import LAG, Span
from models.request import Request
from models.vocabulary import Origin, StreamName
from tasks.database import in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.lookup import forget_settled, not_final
from tasks.ledger.planner import Planner
from tasks.ledger.scan_planner import ScanPlanner
from tasks.ledger.windows import OpenWindow


@dataclass(slots=True)
class RunPlan:
    """Of all lists of the stream. Times are by the database's clock, not by this machine's."""

    request: Request
    contexts: list[StreamContext]
    lookback: timedelta
    history: timedelta
    _ranges: list[tuple[StreamContext, Span | None]] = field(default_factory=list)

    @property
    def is_partial_view(self) -> bool:
        """Read by id or through a filter: says nothing of the stream as a whole."""
        return bool(self.request.call_ids or self.request.filters)

    @property
    def expects_records(self) -> bool:
        """Whether no record at all would be unusual: calls up to now."""
        return self.reads_calls and not self.request.backfill

    @property
    def reads_calls(self) -> bool:
        """All calls of some time."""
        return not self.is_partial_view and self.contexts[0].stream.name is StreamName.CALLS

    @property
    def begins_with_the_newest(self) -> bool:
        """Whether the newest call is looked for first: where windows are open, but not for a backfill, which asks for
        nothing but its range.
        """
        return not self.is_partial_view and not self.request.backfill and bool(self.open_windows())

    def register(self) -> None:
        """Makes the stream known to `v1.sync_status`."""
        if not self.request.filters:
            self._planner(self.contexts[0]).register()

    def open(self) -> None:
        """Opens the windows of this run, beside those that are open already; again where lists turn out otherwise."""
        self._ranges.clear()
        for context in () if self.request.call_ids else self.contexts:
            self._open(context)

    def _open(self, context: StreamContext) -> None:
        in_transaction(context.engine, context.ledger.verdicts.drop_left_empty)
        planner, paging, request = self._planner(context), context.stream.paging, self.request
        full = request.full or (bool(request.filters) and not request.backfill)
        origin = Origin.RANGE if request.until or request.backfill else Origin.LIVE
        if context.stream.name is not StreamName.CALLS:
            ScanPlanner(planner).plan(None, Origin.LIVE, paging, full=True)
            self._ranges.append((context, None))
        elif (asked := self._asked(planner)) is not None:
            if context.stream.time_filter:
                planner.plan_spans(asked, origin, full=full)
            else:
                ScanPlanner(planner).plan(asked, origin, paging, full=full)
            self._ranges.append((context, asked))

    def missing(self) -> Iterator[tuple[StreamContext, list[Span]]]:
        """Of each list, what `open` would open; a list without a time filter is read whole."""
        for context in self.contexts:
            planner = self._planner(context)
            if (asked := self._asked(planner)) is not None:
                yield context, planner.missing(asked) if context.stream.time_filter else [asked]

    def _planner(self, context: StreamContext) -> Planner:
        return Planner(context.ledger, self.lookback, context.sizes)

    def _asked(self, planner: Planner) -> Span | None:
        """The range of calls asked for, None where nothing of it is past yet."""
        now = planner.now()
        self.request.refuse_future(now)
        until = min(self.request.until, now) if self.request.until else now - LAG
        earliest = planner.earliest(None if self.request.full else Origin.LIVE)
        since = self.request.since or earliest or until - self.history
        return Span(_milliseconds(since), _milliseconds(until)) if since < until else None

    def open_windows(self) -> list[tuple[StreamContext, OpenWindow]]:
        """Windows that are not being read, the newest first."""
        return [(context, one) for context, asked in self._ranges for one in context.ledger.open_windows(asked)]

    def held_windows(self) -> int:
        """How many windows of this run another run is reading."""
        return sum(len(context.ledger.held_windows(asked)) for context, asked in self._ranges)

    def records(self) -> list[tuple[StreamContext, str]]:
        """Records to ask for by id: those named, else those that were not final when last seen."""
        if self.request.call_ids:
            return [(self.contexts[0], id_) for id_ in self.request.call_ids]
        if self.request.full or self.is_partial_view or self.request.backfill:
            return []
        for context in self.contexts:
            forget_settled(context)
        return [(context, id_) for context, asked in self._ranges if asked for id_ in not_final(context, asked)]


def _milliseconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
