"""The table of incidents: opened, renewed and closed under one lock; each opening and recovery is sent once."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, or_, select, update

from models.alerts.incident import Cause, Change, Finding, Incident, Key, compare
from models.tables import incidents as tables
from tasks.alerts.impact import consequence
from tasks.database import database_errors, in_transaction, lock, one_engine

SENT_WITHIN = timedelta(days=1)
"""What was over for longer than this before it could be sent is not sent any more."""

Row = tables.Incident
Find = Callable[[Connection], Iterable[Finding]]
Send = Callable[[list[Incident], bool], bool]
"""(incidents of one message, whether it is their recovery) → whether it was delivered."""


def settle(engine: Engine, causes: Iterable[Cause], find: Find, account: dict[str, str] | None = None) -> Change:
    """Compares what `find` finds with the open incidents of `causes`, of one account or of all, and writes the change.

    Finding and writing happen under one lock, so that no process closes what another has just found.
    """

    def work(connection: Connection) -> Change:
        lock(connection, "incidents")
        change = compare(find(connection), _open_keys(connection, causes, account))
        for finding in change.opened:
            connection.execute(insert(Row).values(**_columns(finding), consequence=consequence(connection, finding)))
        for finding in change.renewed:
            seen = _changing(finding) | {"last_seen_at": func.clock_timestamp()}
            connection.execute(update(Row).where(_is_open(finding.key)).values(**seen))
        for key in change.closed:
            connection.execute(update(Row).where(_is_open(key)).values(closed_at=func.clock_timestamp()))
        return change

    return in_transaction(engine, work)


def _open_keys(connection: Connection, causes: Iterable[Cause], account: dict[str, str] | None) -> list[Key]:
    query = select(Row.cause, Row.provider, Row.account, Row.stream)
    query = query.where(Row.closed_at.is_(None), Row.cause.in_(list(causes)))
    for name, value in (account or {}).items():
        query = query.where(getattr(Row, name) == value)
    return [Key(Cause(cause), *where) for cause, *where in connection.execute(query)]


def _is_open(key: Key) -> ColumnElement[bool]:
    same = (getattr(Row, name) == value for name, value in key._asdict().items())
    return and_(Row.closed_at.is_(None), *same)


def _columns(finding: Finding) -> dict[str, Any]:
    return finding.key._asdict() | {"since": finding.since} | _changing(finding)


def _changing(finding: Finding) -> dict[str, Any]:
    """What of an incident may change while it is open; since when it is there does not."""
    return {"times": finding.times, "detail": finding.detail, "flow_run_id": finding.flow_run_id}


def _read(connection: Connection, condition: ColumnElement[bool]) -> list[Incident]:
    query = select(Row.__table__).where(condition).order_by(Row.opened_at, Row.id)
    rows = connection.execute(query).mappings()
    return [Incident(**{**row, "cause": Cause(row["cause"])}) for row in rows]


def send_pending(engine: Engine, send: Send) -> bool:
    """Sends what was not sent yet, one message for what opened or ended together; False where one was not delivered.

    One process at a time: another waits, and finds nothing left. A message is noted in the transaction it is sent in.
    """
    while True:
        delivered = in_transaction(engine, lambda connection: _send_next(connection, send))
        if delivered is not True:
            return delivered is None


def _send_next(connection: Connection, send: Send) -> bool | None:
    """None: nothing is left to send."""
    lock(connection, "alerts")
    recent = Row.closed_at > func.clock_timestamp() - SENT_WITHIN
    # An incident of the channel itself is sent once the channel works again: with its recovery.
    opened = and_(Row.opening_sent_at.is_(None), Row.closed_at.is_(None), Row.cause != Cause.CHANNEL)
    ended = and_(Row.recovery_sent_at.is_(None), recent)
    waiting = _read(connection, or_(opened, ended))
    if not waiting:
        return None
    group = _together(waiting)
    is_over = group[0].closed_at is not None
    if not send(group, is_over):
        return False
    sent: dict[str, Any] = {"opening_sent_at": func.coalesce(Row.opening_sent_at, func.clock_timestamp())}
    sent |= {"recovery_sent_at": func.clock_timestamp()} if is_over else {}
    connection.execute(update(Row).where(Row.id.in_([one.id for one in group])).values(**sent))
    return True


def _together(waiting: list[Incident]) -> list[Incident]:
    """The incidents of the next message: of one cause and account, all begun or all over."""

    def kind(one: Incident) -> tuple[bool, Cause, str, str, bool]:
        return one.closed_at is None, one.cause, one.provider, one.account, one.opening_was_sent

    _, group = next(groupby(sorted(waiting, key=kind), kind))
    return list(group)


def as_json(incident: Incident) -> dict[str, Any]:
    """For `callweave status --json`."""
    hidden = {"id", "closed_at", "recovery_sent_at"}
    return {name: value for name, value in asdict(incident).items() if name not in hidden}


def read_open(database_url: str) -> list[Incident]:
    with one_engine(database_url) as engine, database_errors(), engine.connect() as connection:
        return _read(connection, Row.closed_at.is_(None))
