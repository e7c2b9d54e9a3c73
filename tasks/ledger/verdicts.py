"""What is thought of windows after they were read: confirmed by id, believed or doubted by what came later."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from models.coverage import Span
from models.proof import NOTHING_CAME
from models.tables.ledger import Run, Window
from models.vocabulary import Verdict, WindowState

DEAD = timedelta(minutes=2)
"""Without a heartbeat for so long, a run's process is gone; `v1.sync_status` judges alike."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of the windows of one list, in the caller's transaction; `holder` is the run."""

    its: ColumnElement[bool]
    holder: str

    def confirm(self, connection: Connection, window_id: int, scan_id: str | None, reason: str | None) -> None:
        """Proves a window, or the scan that it is a part of, once what did not come was asked for by id."""
        read = Window.scan_id == scan_id if scan_id else Window.id == window_id
        self._rule(connection, Verdict.PROVEN, reason, read)

    def holds_empty(self, connection: Connection) -> bool:
        """Whether this run read what held no record, and was not judged yet."""
        found = select(Window.id).where(self._done, self._empty)
        return connection.execute(select(found.exists())).scalar_one()

    def believe_empty(self, connection: Connection) -> None:
        """Proves what this run read that held no record."""
        self._rule(connection, Verdict.PROVEN, None, self._empty)

    def drop_empty(self, connection: Connection) -> None:
        """Gives up what this run read that held no record and was never decided: it is as if it was not read."""
        self._drop(connection, self._empty)

    def drop_left_empty(self, connection: Connection) -> None:
        """The same of runs that were killed: of whom nobody lives who had begun by then."""
        same = (Run.provider == Window.provider, Run.account == Window.account, Run.stream == Window.stream)
        alive = and_(Run.finished_at.is_(None), Run.heartbeat_at > func.clock_timestamp() - DEAD)
        reader = select(Run.id).where(*same, alive, Run.started_at <= Window.finished_at)
        self._drop(connection, and_(Window.reason == NOTHING_CAME.reason, ~reader.exists()))

    def doubt(self, connection: Connection, scan_id: str | None, span: Span | None, reason: str) -> bool:
        """Takes back the proof of all that was read of `span`, or of a scan that has none: it is read again.

        Returns whether there was any.
        """
        within = Window.scan_id == scan_id if span is None else overlaps(span)
        return self._rule(connection, Verdict.UNPROVEN, reason, within)

    def doubt_empty(self, connection: Connection, reason: str) -> None:
        """Takes back the proof of what this run read that held no record."""
        held_none = and_(Window.claimed_by == self.holder, Window.fetched == 0)
        self._rule(connection, Verdict.UNPROVEN, reason, held_none)

    def doubt_run(self, connection: Connection, reason: str) -> bool:
        """Takes back the proof of all that this run read. Returns whether there was any."""
        return self._rule(connection, Verdict.UNPROVEN, reason, Window.claimed_by == self.holder)

    def doubt_since(self, connection: Connection, age: timedelta, reason: str) -> None:
        """Takes back the proof of what was read within `age`."""
        self._rule(connection, Verdict.UNPROVEN, reason, Window.finished_at > func.clock_timestamp() - age)

    @property
    def _done(self) -> ColumnElement[bool]:
        return and_(self.its, Window.state == "done")

    @property
    def _empty(self) -> ColumnElement[bool]:
        return and_(Window.claimed_by == self.holder, Window.reason == NOTHING_CAME.reason)

    def _drop(self, connection: Connection, which: ColumnElement[bool]) -> None:
        dropped = {"state": WindowState.SPLIT, "reason": "given up: its run ended before the list had shown a record"}
        connection.execute(update(Window).where(self._done, which).values(**dropped))

    def _rule(self, connection: Connection, verdict: Verdict, reason: str | None, which: ColumnElement[bool]) -> bool:
        ruled = update(Window).where(self._done, which).values(verdict=verdict, reason=reason)
        return connection.execute(ruled).rowcount > 0


def overlaps(span: Span) -> ColumnElement[bool]:
    """Of windows, in time."""
    return and_(Window.since < span.until, Window.until > span.since)
