"""A run of the reconciliation: what it is about, its pieces, its receipt."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from models.calibration.columns import Ints
from models.errors import DatabaseUnavailable
from models.matching.decide import CAREFUL
from tasks.database import connect, scalar
from tasks.matching.calibrate import Adopted, accounts_of, calibrate, lines_of, versions
from tasks.matching.durations import learn_durations
from tasks.matching.reader import ALWAYS, Knowledge, Piece, want
from tasks.matching.sql import CHANGED, CLEAR, GONE, LOCK, VERDICTS
from tasks.matching.verify import every_record_is_decided, real_calls_are_as_defined
from tasks.matching.writer import Written, feed, logged_so_far, reconcile_piece

PATIENCE = "10min"
PIECE = 20_000
"""Records of one piece: what bounds the memory."""
TOUCHED_PIECE = 5_000
OPTIONS = {"synchronous_commit": "off", "work_mem": "64MB", "max_parallel_workers_per_gather": "0"}
"""What a crash takes back, the next run does again."""
LONGEST_LOAD = timedelta(minutes=10)
"""A load that another role has under way is not seen when a run begins: what it commits then is from before."""
MANY = 10_000
"""Changes after which the statistics of the tables are made again (ANALYZE)."""

BEGIN = """
    INSERT INTO reconcile_run (flow_run_id, state, cause, whole, horizon)
    SELECT %s, 'running', %s, %s, least(now(), min(xact_start)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() RETURNING id
"""
FINISH = """
    UPDATE reconcile_run SET state = %s, finished_at = now(), records = %s, changed = %s, formed = %s, dissolved = %s,
        error = %s
    WHERE id = %s
"""
LAST = "SELECT max(horizon) FROM reconcile_run WHERE state = 'completed' AND whole"
COUNT = "SELECT count(*) FROM call WHERE started_at >= %(since)s AND started_at < %(until)s"
CUTS = """
    SELECT percentile_disc(%(shares)s::float8[]) WITHIN GROUP (ORDER BY started_at)
    FROM call TABLESAMPLE SYSTEM (%(percent)s) WHERE started_at >= %(since)s AND started_at < %(until)s
"""
ENOUGH = 50_000
"""Records by which a range is cut into pieces that are about equal; where they lie changes nothing."""
TOUCHED = "SELECT id, started_at FROM call WHERE id IN (SELECT id FROM wanted) ORDER BY started_at, id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a run is asked to do: by default what has changed since the last one."""

    since: datetime | None = None
    until: datetime | None = None
    full: bool = False
    join: float = CAREFUL
    """The probability from which records are joined."""


@dataclass
class Reconciliation:
    """One run on one database."""

    database_url: str
    ask: Ask
    flow_run_id: str | None = None
    adopted: dict[str, Adopted] = field(default_factory=dict)
    written: Written = field(default_factory=Written)
    run_id: int = 0
    durations_moved: bool = False
    """What an account's durations count was found to be otherwise than it was held to be."""
    is_whole: bool = False
    """Every call was looked at, not only what has changed, or a range."""

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Holds the lock and keeps the receipt; what fails in between is written into it."""
        with lock_held(self.database_url), connect(self.database_url, OPTIONS) as receipt:
            self.run_id = scalar(receipt, BEGIN, [self.flow_run_id, self.cause, not self._is_range])
            receipt.commit()
            try:
                yield
            except Exception as error:
                self._finish(receipt, "failed", str(error))
                raise
            except BaseException:
                # Ctrl-C, cancelled, or its worker is ending: the next run does it.
                self._finish(receipt, "stopped", None)
                raise
            self._finish(receipt, "completed", None)
            if self.written.changed > MANY:
                receipt.execute("ANALYZE call_member, call_match, call_rival, unified_call")
                receipt.commit()

    def _finish(self, receipt: psycopg.Connection[Any], state: str, error: str | None) -> None:
        receipt.execute(FINISH, [state, *self.written, error, self.run_id])
        receipt.commit()

    @property
    def cause(self) -> str:
        if self.adopted:
            return "calibration"
        return "whole run" if self.ask.full else "range" if self._is_range else "judgement or neighbour"

    @property
    def _is_range(self) -> bool:
        return self.ask.since is not None or self.ask.until is not None

    def calibrate(self) -> dict[str, Adopted]:
        with connect(self.database_url, OPTIONS) as connection:
            accounts = accounts_of(connection)
            self.adopted = calibrate(connection, accounts, full=self.ask.full)
            self.durations_moved = learn_durations(connection, accounts, versions(connection, accounts))
        return self.adopted

    def knowledge(self) -> Knowledge:
        with connect(self.database_url, OPTIONS) as connection:
            accounts = accounts_of(connection)
            known, lines = versions(connection, accounts), lines_of(connection)
            judgements = tuple((left, right, same) for left, right, same in connection.execute(VERDICTS).fetchall())
        return Knowledge(
            accounts=accounts,
            calibrations={pair: version.calibration for pair, version in known.items()},
            calibration_ids={pair: version.id for pair, version in known.items()},
            judgements=judgements,
            lines=lines,
            join=self.ask.join,
        )

    def pieces(self) -> tuple[list[Piece], Ints | None]:
        """The pieces, and the ids the run is about; None for every record."""
        with connect(self.database_url, OPTIONS) as connection:
            last = scalar(connection, LAST)
            horizon = ALWAYS[0] if self.ask.full or last is None else last
            logged = logged_so_far(connection)
            real_calls = [id_ for (id_,) in connection.execute(GONE, {"since": horizon}).fetchall()]
            gone = connection.execute(CLEAR, {"run": self.run_id, "since": horizon}).rowcount
            feed(connection, logged, real_calls)
            self.written += Written(dissolved=gone)
            since = self._decide_anew_since(last)
            self.is_whole = since == ALWAYS[0] and self.ask.until is None
            if since is not None:
                return _ranges(connection, since, self.ask.until or ALWAYS[1]), None
            touched = np.array([id_ for (id_,) in connection.execute(CHANGED, {"since": last}).fetchall()], np.int64)
            return _chunks(connection, touched), touched

    def _decide_anew_since(self, last: datetime | None) -> datetime | None:
        """From when on everything is decided again; None where only what has changed is."""
        if self._is_range:
            return self.ask.since or ALWAYS[0]
        return ALWAYS[0] if self.ask.full or last is None or self._knows_better else None

    @property
    def _knows_better(self) -> bool:
        return bool(self.adopted) or self.durations_moved

    def verify(self) -> None:
        """Raises `DecisionsIncomplete` where a live record was left out, or a stored real call was not as it should."""
        if self._is_range:
            return
        with connect(self.database_url, OPTIONS) as connection:
            # What had changed before the last run was looked at when that one ended.
            last = None if self.is_whole else scalar(connection, LAST)
            every_record_is_decided(connection, self.run_id, last - LONGEST_LOAD if last else ALWAYS[0])
            if self.ask.full:
                real_calls_are_as_defined(connection)

    def work(self, piece: Piece, touched: Ints | None, knowledge: Knowledge) -> Written:
        with connect(self.database_url, OPTIONS) as connection:
            return reconcile_piece(connection, piece, touched, knowledge, (self.run_id, self.cause))


@contextmanager
def lock_held(database_url: str) -> Iterator[None]:
    """No other reconciliation works meanwhile. Held by a transaction: a pooler gives a session to others after each."""
    holding = {"lock_timeout": PATIENCE, "idle_in_transaction_session_timeout": "0"}
    with connect(database_url, holding) as holder:
        try:
            holder.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        except psycopg.errors.LockNotAvailable:
            raise DatabaseUnavailable("Another reconciliation has been at work for ten minutes.") from None
        yield


def decide_changes(database_url: str, join: float = CAREFUL) -> Written:
    """What has changed since the last run, decided at once, under the calibrations as they are."""
    run = Reconciliation(database_url, Ask(join=join))
    with connect(database_url) as connection:
        if scalar(connection, LAST) is None:
            return run.written
    with run.begun():
        knowledge = run.knowledge()
        pieces, touched = run.pieces()
        for piece in pieces:
            run.written += run.work(piece, touched, knowledge)
        run.verify()
    return run.written


def _ranges(connection: psycopg.Connection[Any], since: datetime, until: datetime) -> list[Piece]:
    span = {"since": since, "until": until}
    count = scalar(connection, COUNT, span)
    pieces = -(-count // PIECE)
    if pieces < 2:
        return [Piece(since, until)] * pieces
    values = {"shares": [i / pieces for i in range(1, pieces)], "percent": min(100.0, 100.0 * ENOUGH / count)}
    cuts = sorted({since, *(scalar(connection, CUTS, span | values) or [])})
    return [Piece(*ends) for ends in zip(cuts, [*cuts[1:], until], strict=True)]


def _chunks(connection: psycopg.Connection[Any], touched: Ints) -> list[Piece]:
    want(connection, touched)
    rows = connection.execute(TOUCHED).fetchall()
    parts = [rows[i : i + TOUCHED_PIECE] for i in range(0, len(rows), TOUCHED_PIECE)]
    return [Piece(part[0][1], part[-1][1], np.array([id_ for id_, _ in part], np.int64)) for part in parts]
