"""One stream of one run: what is asked of it, its windows, and its receipt."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ValidationError
from sqlalchemy import func, insert, update

from models.errors import (
    AccessForbidden,
    CallweaveError,
    CredentialsRejected,
    DatabaseUnavailable,
    RecordNotFound,
    TryAgain,
    UsageError,
)
from models.provider import Params, Stream
from models.tables import Run
from models.vocabulary import Origin, RunState, StreamName
from models.window import LAG, Span
from tasks.budget import Budget
from tasks.client import Client
from tasks.database import engine_for, in_transaction
from tasks.fetch import WindowReader
from tasks.intake import Desk
from tasks.ledger import ClaimLost, Ledger, Source
from tasks.line import Line
from tasks.lookup import forget_settled, look_again_later, look_up, not_final
from tasks.plan import Planner
from tasks.reader import Reader
from tasks.settings import Account, Settings
from tasks.silence import unusual_silence
from tasks.vanish import Brake, Held, bury

FAILURES_TO_STOP = 3
"""Windows that fail for a reason that passes by itself, before the rest is left to a later run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run is asked to do, as the flows' parameters spell it. Raises `UsageError` for what cannot be meant."""

    streams: tuple[StreamName, ...] = tuple(StreamName)
    since: datetime | None = None
    until: datetime | None = None
    full: bool = False
    call_ids: tuple[str, ...] = ()
    filters: Mapping[str, Any] = field(default_factory=dict)
    allow_deletes: bool = False
    backfill: bool = False

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.tzinfo is None:
                raise UsageError(f"{name}: {moment.isoformat()} has no time zone; write 2026-01-31T00:00:00Z.")
        if self.since and self.since >= now:
            raise UsageError(f"since: {self.since.isoformat()} lies in the future.")
        if self.since and self.until and self.since >= self.until:
            raise UsageError(f"since must be before until; {self.since.isoformat()} is not.")

    def filters_of(self, stream: Stream) -> Params:
        """The filters as query parameters of `stream`. Raises `UsageError` where it does not document one."""
        if not self.filters:
            return {}
        try:
            given = stream.filters.model_validate(self.filters)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            known = ", ".join(_documented(stream.filters)) or "none"
            raise UsageError(
                f"filter {first['loc'][0]}: {first['msg']}. Documented for {stream.name}: {known}."
            ) from None
        return given.model_dump(mode="json", by_alias=True, exclude_none=True)


def _documented(filters: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in filters.model_fields.items()]


class Runtime:
    """Connections of one account, open for the time of a run."""

    def __init__(self, settings: Settings, account: Account, database_url: str, *, bulk: bool = False) -> None:
        workers = settings.general.callweave_workers
        self.account, self.history = account, settings.general.callweave_history
        self.brake = Brake(*settings.general.callweave_delete_brake)
        self.engine = engine_for(database_url, pool_size=workers + 2)
        self._budget_engine = engine_for(database_url, pool_size=2, synchronous_commit=False)
        budget = Budget(self._budget_engine, account.key, account.requests_per_second, bulk=bulk)
        self.client = Client(account, budget, connections=workers)
        self.registered: set[str] = set()

    def close(self) -> None:
        self.client.close()
        self.engine.dispose()
        self._budget_engine.dispose()


@contextmanager
def runtime(settings: Settings, account: Account, database_url: str, *, bulk: bool = False) -> Iterator[Runtime]:
    """`bulk`: leaves the request budget to whoever else works on the account."""
    opened = Runtime(settings, account, database_url, bulk=bulk)
    try:
        yield opened
    finally:
        opened.close()


BEGUN: ContextVar[list["StreamRun"] | None] = ContextVar("BEGUN", default=None)
"""Who keeps the runs that begin here, to stop them: a command, where a worker stops its own process."""


class StreamRun:
    """One stream of one run."""

    def __init__(self, runtime: Runtime, stream: Stream, request: Request, flow_run_id: str | None) -> None:
        self.request, self.stream, self.account = request, stream, runtime.account
        self.stop = Event()
        self.on_opened: Callable[[], None] = lambda: None
        """Told when a window that is being read opened another."""
        self._engine, self._history, self._failures = runtime.engine, runtime.history, 0
        self._flow_run_id, self._run_id = flow_run_id, 0
        self._ranges: list[tuple[Desk, Span | None]] = []
        self.line = Line.of(runtime.account.provider.name, runtime.account.name, stream.name)
        self.desks = list(self._desks(runtime, request.filters_of(stream)))
        self._brake = runtime.brake
        self._error_kind: str | None = None
        self._held: Held | None = None
        self._missing: dict[Desk, list[str]] = {desk: [] for desk in self.desks}

    def _desks(self, runtime: Runtime, filters: Params) -> Iterator[Desk]:
        account, holder = runtime.account, f"{self._flow_run_id or 'run'}:{uuid4().hex[:8]}"
        scope = account.scope(self.stream) + "".join(f";{name}={filters[name]}" for name in sorted(filters))
        reader = Reader(self.stream, account.region)
        for listing in self.stream.listings(account.credentials):
            source = Source(
                **account.key, stream=self.stream.name, scope=scope, listing=listing.scope, filtered=bool(filters)
            )
            ledger = Ledger(runtime.engine, source, holder)
            place = (self.stream, listing, filters, reader, ledger, self.line)
            yield Desk(runtime.engine, runtime.client, *place, runtime.registered)

    @property
    def is_partial_view(self) -> bool:
        """Read by id or through a filter: says nothing of the stream as a whole."""
        return bool(self.request.call_ids or self.request.filters)

    def begin(self) -> None:
        """Writes the receipt's first line and makes the stream known."""
        if not self.request.filters:
            self._planner(self.desks[0]).register()
        statement = insert(Run).values(
            **self.account.key,
            stream=self.stream.name,
            state=RunState.RUNNING,
            filtered=self.is_partial_view,
            backfill=self.request.backfill,
            flow_run_id=self._flow_run_id,
        )
        self._run_id = in_transaction(
            self._engine, lambda connection: connection.execute(statement.returning(Run.id)).scalar_one()
        )
        if (begun := BEGUN.get()) is not None:
            begun.append(self)

    def heartbeat(self, **values: Any) -> None:
        receipt = self.line.receipt
        columns = {name: receipt[name] for name in COUNTED}
        statement = (
            update(Run).where(Run.id == self._run_id).values(heartbeat_at=func.clock_timestamp(), **columns, **values)
        )
        in_transaction(self._engine, lambda connection: connection.execute(statement))

    def end(self) -> None:
        if self.line.error is None and not self.is_partial_view and self.line.counts.fetched == 0:
            self.line.warning = self._silence()
        self.line.close()
        told = self.line.error or self.line.warning
        held = self._held.columns if self._held else {}
        ended = {"state": self.line.state, "error": told, "error_kind": self._error_kind}
        self.heartbeat(**ended, **held, finished_at=func.clock_timestamp())

    def abandon(self) -> None:
        """Writes the receipt of a run that somebody stopped: no trouble, the next one goes on."""
        self.stop.set()
        self._error_kind = STOPPED
        self.line.note("stopped before its end; the next run goes on there")
        self.end()

    def _silence(self) -> str | None:
        """A warning, where nothing came and something always did."""
        if self.stream.name is not StreamName.CALLS or self.request.backfill:
            return None
        return next((told for desk in self.desks if (told := unusual_silence(desk))), None)

    def plan(self) -> None:
        """Opens the windows of this run, beside those that wait already; finds out what is to be asked by id."""
        if self.request.call_ids:
            return
        for desk in self.desks:
            self._plan(desk)
        self.line.windows_known = len(self.open_windows())

    def _plan(self, desk: Desk) -> None:
        planner, paging = self._planner(desk), desk.stream.paging
        full = self.request.full or (bool(self.request.filters) and not self.request.backfill)
        origin = Origin.RANGE if self.request.until or self.request.backfill else Origin.LIVE
        if self.stream.name is not StreamName.CALLS:
            planner.plan_scan(None, Origin.LIVE, paging, full=True)
            self._ranges.append((desk, None))
        elif (asked := self._asked(desk)) is not None:
            if self.stream.time_filter:
                planner.plan_spans(asked, origin, full=full)
            else:
                planner.plan_scan(asked, origin, paging, full=full)
            self._ranges.append((desk, asked))

    def _planner(self, desk: Desk) -> Planner:
        return Planner(self._engine, desk.ledger.source, self.account.lookback)

    def missing(self) -> list[tuple[Desk, list[Span]]]:
        """Of each list, what `plan` would open; a list without a time filter is read whole."""
        return [
            (desk, self._planner(desk).missing(asked) if desk.stream.time_filter else [asked])
            for desk in self.desks
            if (asked := self._asked(desk)) is not None
        ]

    def _asked(self, desk: Desk) -> Span | None:
        """The range of calls asked for, None where nothing of it is past yet."""
        now = datetime.now(UTC)
        until = min(self.request.until, now) if self.request.until else now - LAG
        earliest = self._planner(desk).earliest(None if self.request.full else Origin.LIVE)
        since = self.request.since or earliest or until - self._history
        return Span(_milliseconds(since), _milliseconds(until)) if since < until else None

    def open_windows(self) -> list[tuple[Desk, int]]:
        """Windows that nobody reads yet, the newest first."""
        return [(desk, id_) for desk, asked in self._ranges for id_ in desk.ledger.open_windows(asked)]

    def held_windows(self) -> int:
        """How many windows of this run another run is reading."""
        return sum(len(desk.ledger.held_windows(asked)) for desk, asked in self._ranges)

    def records(self) -> list[tuple[Desk, str]]:
        """Records to ask for by id: those named, else those that were not final when last seen."""
        if self.request.call_ids:
            return [(self.desks[0], id_) for id_ in self.request.call_ids]
        if self.request.full or self.is_partial_view or self.request.backfill:
            return []
        for desk in self.desks:
            forget_settled(desk)
        return [(desk, id_) for desk, asked in self._ranges if asked for id_ in not_final(self._engine, desk, asked)]

    def read_window(self, desk: Desk, window_id: int) -> bool:
        """Claims and reads one window; returns whether others are to be read because of it.

        One that another run was quicker to take is theirs.
        """
        if self.stop.is_set() or (claim := desk.ledger.claim(window_id)) is None:
            return False
        try:
            finished = WindowReader(desk, claim, self.on_opened).run()
        except ClaimLost:
            return False
        except CallweaveError as error:
            desk.ledger.release(claim, str(error))
            raise
        if finished.done:
            self.line.window_done()
        self._missing[desk].extend(finished.missing)
        return finished.opened_more

    def bury_missing(self) -> None:
        """Marks as deleted what the proven windows of this run missed and the provider denies."""
        for desk, candidates in self._missing.items():
            if candidates and (
                held := bury(desk, sorted(set(candidates)), self._brake, allow=self.request.allow_deletes)
            ):
                self._held = held
                self.line.note(str(held))

    @property
    def misses_records(self) -> bool:
        return any(self._missing.values())

    def read_record(self, desk: Desk, external_id: str) -> None:
        """Reads one record by id. One that nobody named may be gone: a scan will tell."""
        if self.stop.is_set():
            return
        try:
            look_up(desk, external_id)
        except RecordNotFound:
            if self.request.call_ids:
                raise
        else:
            self.line.record_done()
        if not self.request.call_ids:
            look_again_later(desk, external_id)

    def failed(self, error: BaseException) -> None:
        """Notes a failure; what would fail everything else too stops the rest of the run."""
        self.line.window_failed(str(error) or type(error).__name__)
        self._error_kind = self._error_kind or type(error).__name__
        self._failures += isinstance(error, TryAgain)
        if isinstance(error, STOPS_ALL) or self._failures >= FAILURES_TO_STOP:
            self.stop.set()


COUNTED = (
    "windows",
    "requests",
    "fetched",
    "inserted",
    "updated",
    "unchanged",
    "duplicate",
    "rejected",
    "deleted",
)
STOPPED = "Stopped"
"""In place of an error's kind: cancelled, or its worker was told to end."""
STOPS_ALL = (CredentialsRejected, AccessForbidden, DatabaseUnavailable)


def _milliseconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
