"""One stream of one run: its windows and records read, its failures weighed, its receipt written."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Event
from uuid import uuid4

from models.errors import (
    AccessForbidden,
    CallweaveError,
    ClaimLost,
    CredentialsRejected,
    DatabaseUnavailable,
    ProviderError,
    RangeIgnored,
    RateLimited,
    RecordNotFound,
    RequestRefused,
    TryAgain,
)
from models.provider import Params, Stream
from models.request import Request
from tasks.change_feed import close_feed
from tasks.database import in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.left_out import LeftOut, not_proven
from tasks.extract.lookup import look_again_later, look_up
from tasks.extract.probes import as_it_is, hides_its_newest
from tasks.extract.run_plan import RunPlan
from tasks.extract.runtime import Runtime
from tasks.extract.window import WindowReader, read_otherwise
from tasks.extract.window_closing import Finished
from tasks.ledger.observations import try_next_time
from tasks.ledger.receipt import STOPPED, Listener, RunReceipt, StoredReceipt
from tasks.ledger.silence import unusual_silence
from tasks.ledger.windows import Ledger, OpenWindow, Source
from tasks.load.parser import Parser
from tasks.load.store import RecordStore

log = logging.getLogger(__name__)

FAILURES_TO_STOP = 3
"""Windows that fail for a reason that passes by itself, before the rest is left to a later run."""
DENIED_AGAIN = timedelta(hours=1)
"""What a list contradicts itself in for longer is tried no more often than this."""
STOPS_ALL = (CredentialsRejected, AccessForbidden, DatabaseUnavailable, RateLimited, RangeIgnored)


class StreamRun:
    """One stream of one run; its methods are called by several threads once it has begun."""

    def __init__(
        self,
        runtime: Runtime,
        stream: Stream,
        request: Request,
        flow_run_id: str | None = None,
        listener: Listener = lambda _receipt: None,
    ) -> None:
        account = runtime.account
        self.request, self.stream, self.account = request, stream, account
        self.stop = Event()
        self.on_opened: Callable[[], None] = lambda: None
        """Called when a window that is being read opened another."""
        self._outward = runtime.client.outward
        self.receipt = RunReceipt(account.provider.name, account.name, stream.name, listener, self._outward)
        self.contexts = list(_contexts(runtime, stream, request.filters_of(stream), self.receipt, flow_run_id))
        self.plan = RunPlan(request, self.contexts, account.lookback, runtime.settings.general.callweave_history)
        self._flow_run_id, self._failures = flow_run_id, 0
        self._stored = StoredReceipt(runtime.engine, self.receipt)
        self._close_feed = partial(close_feed, runtime.engine, runtime.settings.general.callweave_change_retention)
        self._error_kind: str | None = None
        self.left_out = LeftOut(self.plan, runtime.brake)

    def begin(self) -> None:
        """Writes the receipt's first row and makes the stream known."""
        self.plan.register()
        filtered, backfill = self.plan.is_partial_view, self.request.backfill
        self._stored.begin(filtered=filtered, backfill=backfill, flow_run_id=self._flow_run_id)

    def open(self) -> None:
        """Tries what is assumed of the provider, where that is due, and opens the windows of this run."""
        try:
            self.contexts[:] = [as_it_is(one, may_try=not self.plan.is_partial_view) for one in self.contexts]
            self.plan.open()
            if self.plan.begins_with_the_newest and any(map(hides_its_newest, self.contexts)):
                self.contexts[:] = [as_it_is(one, may_try=True, anew=True) for one in self.contexts]
                self.plan.open()
            self.receipt.windows_known = len(self.plan.open_windows())
        except ProviderError as error:
            self.failed(error)
            self.stop.set()

    def heartbeat(self) -> None:
        self._stored.renew()

    def end(self) -> None:
        if self.receipt.error is None and self.receipt.counts.fetched == 0 and self.plan.expects_records:
            _warn_of_silence(self.contexts)
        with suppress(DatabaseUnavailable):
            self.left_out.drop()
        self.receipt.close()
        held = self.left_out.held_back
        self._stored.end(error_kind=self._error_kind, **(held.columns if held else {}))
        self._close_feed()

    def abandon(self) -> None:
        """Writes the receipt of a run that was stopped by hand: no failure, the next run continues."""
        self.stop.set()
        self._error_kind = STOPPED
        self.receipt.note("stopped before its end; the next run goes on there")
        self.end()

    def read_window(self, context: StreamContext, window: OpenWindow) -> bool:
        """Claims and reads one window; returns whether others are to be read because of it.

        One that another run was quicker to take is theirs.
        """
        if self.stop.is_set() or (claim := context.ledger.claim(window.id)) is None:
            return False
        finished = _read(WindowReader(context, claim, claim.began_at - self.account.lookback, self.on_opened))
        if finished.done:
            self.receipt.window_done()
        if finished.missing:
            self.left_out.add(context, finished.missing)
        if finished.denial:
            self.receipt.note(not_proven(finished.denial))
            again = partial(try_next_time, ledger=context.ledger, unless_within=DENIED_AGAIN)
            in_transaction(context.engine, again)
        return finished.opened_more

    def confirm_deletions(self) -> None:
        """Marks as deleted what this run missed and the provider denies; doubts lists that held nothing."""
        for why in self.left_out.settle():
            log.info("%s: %s", self.contexts[0].name, self._outward(why))
            self.receipt.note(why)

    @property
    def misses_records(self) -> bool:
        """Whether the lists left out records that we hold, or held none at all."""
        return not self.left_out.is_nothing

    def read_record(self, context: StreamContext, external_id: str) -> None:
        """Reads one record by id. One that the request did not name may be gone: a scan finds out."""
        if self.stop.is_set():
            return
        try:
            look_up(context, external_id)
        except RecordNotFound:
            if self.request.call_ids:
                raise
        except CallweaveError as error:
            error.args = (self._outward(error),)
            raise
        else:
            self.receipt.record_done()
        if not self.request.call_ids:
            look_again_later(context, external_id)

    def failed(self, error: BaseException) -> None:
        """Notes a failure; what would fail everything else too stops the rest of the run."""
        self.receipt.window_failed(str(error) or type(error).__name__)
        self._error_kind = self._error_kind or type(error).__name__
        self._failures += isinstance(error, TryAgain)
        if isinstance(error, STOPS_ALL) or self._failures >= FAILURES_TO_STOP:
            log.info("%s: the rest of the run is left to a later one", self.contexts[0].name)
            self.stop.set()


def _read(reader: WindowReader) -> Finished:
    """Reads a window; leaves it to another run that took it, or open with what went wrong."""
    context, claim = reader.context, reader.claim
    try:
        return reader.run()
    except ClaimLost:
        log.info("%s %s: another run has taken it over", context.name, claim)
        return Finished(done=False)
    except CallweaveError as error:
        if isinstance(error, RequestRefused | RecordNotFound) and (otherwise := read_otherwise(context, claim, error)):
            return otherwise
        if isinstance(error, RangeIgnored):
            in_transaction(context.engine, partial(try_next_time, ledger=context.ledger))
        error.args = (context.client.outward(error),)  # the flow's engine logs it as it is
        log.info("%s %s: left open: %s", context.name, claim, error)
        context.ledger.release(claim, str(error))
        raise


def _warn_of_silence(contexts: list[StreamContext]) -> None:
    """Where nothing came and something always did."""
    for context in contexts:
        if warning := unusual_silence(context.ledger):
            context.receipt.warn(warning)


def _contexts(
    runtime: Runtime, stream: Stream, filters: Params, receipt: RunReceipt, flow_run_id: str | None
) -> Iterator[StreamContext]:
    """One for each list that the stream is read from."""
    account, holder = runtime.account, f"{flow_run_id or 'run'}:{uuid4().hex[:8]}"
    scope = account.scope(stream) + "".join(f";{name}={filters[name]}" for name in sorted(filters))
    parser = Parser(stream, account.region)
    store = RecordStore(runtime.engine, account.key, stream.name, parser, runtime.numbers)
    for listing in stream.listings(account.credentials):
        source = Source(**account.key, stream=stream.name, scope=scope, listing=listing.scope, filtered=bool(filters))
        ledger = Ledger(runtime.engine, source, holder)
        yield StreamContext(
            runtime.engine, runtime.client, stream, listing, filters, store, ledger, receipt, runtime.sizes
        )
