"""Planning: which windows of a list a run opens, beside those that are open already.

Planning alone takes a lock, for the length of one short transaction.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models.coverage import Coverage, Sizes, Span, cut, merged, needed, settled, without
from models.tables.ledger import SyncStream, Window
from models.vocabulary import Origin, Verdict, WindowState
from tasks.database import database_errors, in_transaction, lock
from tasks.ledger.windows import Ledger, Source, now_there


@dataclass(frozen=True, slots=True)
class Planner:
    """Opens windows of one list."""

    ledger: Ledger
    lookback: timedelta
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def engine(self) -> Engine:
        return self.ledger.engine

    @property
    def source(self) -> Source:
        return self.ledger.source

    def register(self) -> None:
        """Makes the stream known to `v1.sync_status`, under the scope it is read in."""
        values = {name: getattr(self.source, name) for name in ("provider", "account", "stream", "scope")}
        statement = upsert(SyncStream).values(**values)
        known = statement.on_conflict_do_update(
            index_elements=["provider", "account", "stream"],
            set_={"scope": self.source.scope},
            where=SyncStream.scope != self.source.scope,
        )
        in_transaction(self.engine, lambda connection: connection.execute(known))

    def earliest(self, origin: Origin | None = None) -> datetime | None:
        """The earliest time ever asked for, of live windows only where `origin` says so."""
        query = select(func.min(Window.since)).where(self.source.matches)
        query = query if origin is None else query.where(Window.origin == origin)
        with database_errors(), self.engine.connect() as connection:
            return connection.execute(query).scalar()

    def now(self) -> datetime:
        """By the database's clock, the only one that windows are cut by."""
        with database_errors(), self.engine.connect() as connection:
            now: datetime = connection.execute(select(now_there)).scalar_one()
            return now

    def missing(self, asked: Span, *, full: bool = False) -> list[Span]:
        """What `plan_spans` would open now, as windows."""
        with database_errors(), self.engine.connect() as connection:
            now: datetime = connection.execute(select(now_there)).scalar_one()
            return self._missing(connection, asked, now, full=full)

    def _missing(self, connection: Connection, asked: Span, now: datetime, *, full: bool) -> list[Span]:
        spans = needed(asked, self.coverage(connection, asked), now, self.lookback, full=full)
        return cut(without(spans, self._open_spans(connection)), now, self.lookback, self.sizes)

    def plan_spans(self, asked: Span, origin: Origin, *, full: bool) -> None:
        """Opens the windows of `asked` that are to be read, beside those that are open already."""

        def work(connection: Connection) -> None:
            now = self.lock(connection)
            spans = self._missing(connection, asked, now, full=full)
            self.replace_unproven(connection, spans)
            if rows := [self.source.row(origin, span) for span in spans]:
                connection.execute(insert(Window), rows)

        in_transaction(self.engine, work)

    def lock(self, connection: Connection) -> datetime:
        lock(connection, *self.source.columns.values())
        now: datetime = connection.execute(select(now_there)).scalar_one()
        return now

    def coverage(self, connection: Connection, asked: Span) -> list[Coverage]:
        """What was read of `asked` and can be built on, each scan as one."""
        group = func.coalesce(Window.scan_id, func.cast(Window.id, Window.scan_id.type))
        query = (
            select(
                func.min(Window.since),
                func.max(Window.until),
                func.max(Window.finished_at),
                func.max(Window.claimed_by),
                func.bool_and(and_(Window.state == "done", Window.verdict == Verdict.PROVEN)),
                func.bool_or(Window.moved),
            )
            .where(self.source.matches, Window.since < asked.until, Window.until > asked.since)
            .where(Window.finished_at.is_not(None) | Window.scan_id.is_not(None))
            .group_by(group)
        )
        rows = connection.execute(query).all()
        read = [
            Coverage(Span(since, until), finished_at, by, is_proven=proven, moved=moved)
            for since, until, finished_at, by, proven, moved in rows
            if finished_at is not None
        ]
        return settled(read, self.lookback)

    def _open_spans(self, connection: Connection) -> list[Span]:
        query = select(Window.since, Window.until).where(self.source.matches, Window.state == "open")
        return [Span(since, until) for since, until in connection.execute(query) if since and until]

    def replace_unproven(self, connection: Connection, spans: list[Span] | None) -> None:
        """Windows that were read and not proven make way for those that read the same again."""
        unproven = and_(self.source.matches, Window.state == "done", Window.verdict != Verdict.PROVEN)
        again = {"state": WindowState.SPLIT, "reason": "read again: " + func.coalesce(Window.reason, "")}
        if spans is None:
            connection.execute(update(Window).where(unproven).values(**again))
        for span in merged(spans or ()):
            inside = and_(unproven, Window.since >= span.since, Window.until <= span.until)
            connection.execute(update(Window).where(inside).values(**again))
