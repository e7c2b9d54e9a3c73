"""Writes the change feed `v1.change`, announces it to listeners, and cuts off what is older than the retention.

A sequence is taken before its transaction commits, so a reader could see number 7 before number 6 and never come back
for 6. One lock, taken last in each transaction and kept until its commit, makes the order of the numbers that of the
commits.
"""

import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, Engine, Interval, bindparam, text

from models.change import Change
from models.copy_text import line
from models.vocabulary import ChangeKind, Entity
from tasks.database import in_transaction, lock, raw
from tasks.unified_calls import refresh_of_records

CHANNEL = "callweave_change"
IN_ORDER = "change feed"
"""The lock under which the feed is written."""
PAUSE = timedelta(seconds=1)
"""Least time between two announcements of one account."""
CHUNK = 10_000
"""Rows that one transaction cuts off."""

COPY = "COPY record_change (entity, provider, account, external_id, kind, unified_call_id) FROM STDIN"
# The first change of a burst waits a second, so that one announcement can speak for many.
NOTE = text("""
    INSERT INTO change_notice AS n (provider, account, pending_since)
    VALUES (:provider, :account, clock_timestamp())
    ON CONFLICT (provider, account) DO UPDATE SET
        (pending_since, notified_at) = (SELECT
            CASE WHEN NOT is_due THEN coalesce(n.pending_since, excluded.pending_since) END,
            CASE WHEN is_due THEN excluded.pending_since ELSE n.notified_at END
        FROM (SELECT greatest(coalesce(n.pending_since, excluded.pending_since), n.notified_at)
                     <= excluded.pending_since - :pause AS is_due) AS due)
    RETURNING pending_since IS NULL
""").bindparams(bindparam("pause", PAUSE, Interval))
NOTIFY = text("SELECT pg_notify(:channel, :account)")
WAIT = text("""
    SELECT extract(epoch FROM max(notified_at) + :pause - clock_timestamp())::float
    FROM change_notice WHERE pending_since IS NOT NULL
""").bindparams(bindparam("pause", PAUSE, Interval))
ANNOUNCE = text("""
    WITH sent AS (
        UPDATE change_notice SET pending_since = NULL, notified_at = clock_timestamp()
        WHERE pending_since IS NOT NULL AND coalesce(notified_at <= clock_timestamp() - :pause, true)
        RETURNING provider, account)
    SELECT pg_notify(:channel, left(provider || ':' || account, 1000)) FROM sent
""").bindparams(bindparam("pause", PAUSE, Interval))
LAST_OLD = text("""
    WITH oldest AS MATERIALIZED (SELECT sequence, changed_at FROM record_change ORDER BY sequence LIMIT :chunk),
    young AS (SELECT min(sequence) AS sequence FROM oldest WHERE changed_at >= now() - :retention)
    SELECT max(oldest.sequence) FROM oldest CROSS JOIN young
    WHERE young.sequence IS NULL OR oldest.sequence < young.sequence
""").bindparams(bindparam("retention", type_=Interval), chunk=CHUNK)
MOVE_HORIZON = text("""
    INSERT INTO change_horizon (pruned_up_to) VALUES (:last)
    ON CONFLICT (is_only) DO UPDATE SET pruned_up_to = greatest(change_horizon.pruned_up_to, excluded.pruned_up_to)
""")
CUT_OFF = text("DELETE FROM record_change WHERE sequence <= :last")


def record_changes(connection: Connection, changes: Sequence[Change]) -> None:
    """Appends `changes`, in this order, and brings the real calls of these records up to date.

    To be called last in the caller's transaction: other writers wait for it.
    """
    if not changes:
        return
    lines = b"".join([line((*one[:4], one.kind, one.unified_call_id)) for one in changes])
    lock(connection, IN_ORDER)
    _refresh_real_calls(connection, changes)
    with raw(connection).cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write(lines)
    for provider, account in sorted({(one.provider, one.account) for one in changes}):
        _note(connection, provider, account)


def _refresh_real_calls(connection: Connection, changes: Sequence[Change]) -> None:
    """Of records that were there before; a new one is in none yet."""
    known = [one for one in changes if one.entity is Entity.CALL and one.kind is not ChangeKind.INSERTED]
    for provider, account in sorted({(one.provider, one.account) for one in known}):
        ids = [one.external_id for one in known if (one.provider, one.account) == (provider, account)]
        refresh_of_records(raw(connection), provider, account, ids)


def _note(connection: Connection, provider: str, account: str) -> None:
    """Announces the account at the commit where that is due, else remembers that it has something to announce."""
    is_due = connection.execute(NOTE, {"provider": provider, "account": account}).scalar_one()
    if is_due:
        connection.execute(NOTIFY, {"channel": CHANNEL, "account": f"{provider}:{account}"[:1000]})


def announce(engine: Engine) -> None:
    """Announces what is not announced yet, when a run ends. Waits up to a second after the last announcement."""
    wait = in_transaction(engine, lambda connection: connection.execute(WAIT).scalar_one())
    if wait is not None and wait > 0:
        time.sleep(wait)
    in_transaction(engine, lambda connection: connection.execute(ANNOUNCE, {"channel": CHANNEL}))


def prune_changes(engine: Engine, retention: timedelta) -> None:
    """Cuts off the changes older than `retention`; a reader that is behind gets an error from `v1.changes_since`."""

    def work(connection: Connection) -> bool:
        last: int | None = connection.execute(LAST_OLD, {"retention": retention}).scalar_one()
        if last is None:
            return False
        connection.execute(MOVE_HORIZON, {"last": last})
        return connection.execute(CUT_OFF, {"last": last}).rowcount == CHUNK

    while in_transaction(engine, work):
        pass


def close_feed(engine: Engine, retention: timedelta) -> None:
    """What a run does for the feed when it ends."""
    announce(engine)
    prune_changes(engine, retention)
