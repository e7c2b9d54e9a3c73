"""One look of the watchdog at everything that can be wrong."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from models.alerts.incident import Cause, Change, Finding, Key
from models.alerts.rules import Deployed, Place, of_schedules, without_runs
from tasks.alerts.queries import (
    of_behaviour,
    of_clocks,
    of_freshness,
    of_reconciling,
    of_rejected_records,
    of_silence,
    of_windows,
)
from tasks.alerts.run_queries import of_ended_runs
from tasks.alerts.schedules import dues, without_receipt
from tasks.alerts.store import settle

START_WITHIN = timedelta(minutes=10)
"""A scheduled run that waits longer is not only queued."""
OF_SCHEDULES = frozenset({Cause.NOT_RUNNING, Cause.SWITCHED_OFF, Cause.NOT_BEGUN})


def look(engine: Engine, deployments: Sequence[Deployed] | None, now: datetime, *, catching_up: bool = False) -> Change:
    """Opens, renews and closes incidents; without `deployments`, where Prefect does not answer, theirs stay.

    `catching_up`: after an outage of the worker everything is late for a moment, so lateness is not judged.
    """
    unknown = OF_SCHEDULES if deployments is None or catching_up else frozenset()
    causes = set(Cause) - {Cause.CHANNEL} - unknown - ({Cause.STALE} if catching_up else set())

    def find(connection: Connection) -> list[Finding]:
        return [one for one in _findings(connection, deployments or (), now) if one.key.cause in causes]

    return settle(engine, causes, find)


def _findings(connection: Connection, deployments: Sequence[Deployed], now: datetime) -> Iterator[Finding]:
    deployments = list(without_receipt(connection, deployments))
    explained = without_runs(deployments, now, START_WITHIN)
    for finding in [*of_ended_runs(connection), *of_windows(connection)]:
        explained.add(_place(finding.key))
        yield finding
    yield from of_schedules(deployments, now, START_WITHIN)
    yield from of_freshness(connection, dues(deployments), explained, now)
    yield from of_rejected_records(connection)
    yield from of_behaviour(connection)
    yield from of_silence(connection)
    yield from of_clocks(connection)
    yield from of_reconciling(connection)


def _place(key: Key) -> Place:
    return key.provider, key.account, key.stream


def note_channel(engine: Engine, problem: str | None, now: datetime) -> Change:
    """Opens or closes the incident that no alert can be delivered."""
    found = [] if problem is None else [Finding(key=Key(Cause.CHANNEL), since=now, detail=problem)]
    return settle(engine, [Cause.CHANNEL], lambda _connection: found)
