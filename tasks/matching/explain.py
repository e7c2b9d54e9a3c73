"""Which real call a record belongs to, why, and what it might have been one with; and what people say of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from getpass import getuser
from typing import Any

import psycopg
from psycopg.rows import dict_row

from models.errors import CallweaveError, UsageError
from tasks.database import connect

FIND = """
    SELECT c.id, c.provider, c.account, c.external_id, c.started_at, c.remote_e164, m.unified_call_id, m.confidence
    FROM call c LEFT JOIN call_member m ON m.call_id = c.id
    WHERE c.provider = %s AND c.external_id = %s AND (%s = '' OR c.account = %s)
"""
MEMBERS = """
    SELECT c.provider, c.account, c.external_id, c.started_at, c.direction, c.outcome, c.duration_seconds,
           c.remote_e164, c.own_e164, m.leg_of IS NOT NULL AS is_leg
    FROM call_member m JOIN call c ON c.id = m.call_id WHERE m.unified_call_id = %s ORDER BY c.started_at, c.id
"""
PAIRS = """
    SELECT x.* FROM v1.call_match x
    WHERE x.unified_call_id = %s ORDER BY x.score DESC
"""
RIVALS = """
    SELECT c.provider, c.account, c.external_id, c.started_at, c.outcome, c.duration_seconds, c.remote_e164
    FROM call_rival x JOIN call c ON c.id = x.rival_call_id WHERE x.call_id = %s ORDER BY c.started_at, c.id
"""
NEAREST = """
    SELECT min(abs(extract(epoch FROM c.started_at - %s)))::float8
    FROM call c LEFT JOIN call_member m ON m.call_id = c.id
    WHERE c.remote_e164 = %s AND c.started_at BETWEEN %s - interval '1 day' AND %s + interval '1 day'
      AND c.deleted_at IS NULL AND c.vanished_at IS NULL AND m.unified_call_id IS DISTINCT FROM %s
"""
"""Seconds to the nearest other call of the same number, within a day."""
UNDECIDED = """
    WITH pair AS (
        SELECT least(x.call_id, x.rival_call_id) AS one, greatest(x.call_id, x.rival_call_id) AS other
        FROM call_rival x GROUP BY 1, 2)
    SELECT l.provider, l.account, l.external_id, r.provider AS other_provider, r.account AS other_account,
           r.external_id AS other_external_id, l.started_at, r.started_at AS other_started_at, l.outcome,
           r.outcome AS other_outcome, l.duration_seconds AS seconds, r.duration_seconds AS other_seconds,
           (SELECT count(*) FROM call_rival y WHERE y.call_id IN (pair.one, pair.other)) AS rivals
    FROM pair JOIN call l ON l.id = pair.one JOIN call r ON r.id = pair.other
    WHERE NOT EXISTS (SELECT FROM verdict v WHERE (v.left_external_id, v.right_external_id) IN (
        (l.external_id, r.external_id), (r.external_id, l.external_id)))
    ORDER BY rivals, greatest(l.duration_seconds, r.duration_seconds) DESC NULLS LAST, l.started_at DESC LIMIT %s
"""
"""The pairs of which one verdict settles most, the longest calls first."""
UNMATCHED = "SELECT reason, detail FROM v1.unmatched_call WHERE (provider, account, external_id) = (%s, %s, %s)"
LOG = """
    SELECT l.happened_at, l.kind, l.cause, c.provider, c.external_id FROM match_log l
    JOIN call c ON c.id = CASE WHEN l.left_call_id = %s THEN l.right_call_id ELSE l.left_call_id END
    WHERE %s IN (l.left_call_id, l.right_call_id) ORDER BY l.id DESC LIMIT 10
"""
VERDICTS = """
    COPY (SELECT left_provider, left_account, left_external_id, right_provider, right_account, right_external_id, same,
                 held, judged_by, judged_at FROM verdict ORDER BY id) TO STDOUT (FORMAT csv, HEADER)
"""
JUDGE = "SELECT v1.judge(%s, %s, %s, %s, %s, %s, %s, %s)"

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Explanation:
    record: dict[str, Any]
    members: Rows
    pairs: Rows
    rivals: Rows
    unmatched: dict[str, Any] | None
    log: Rows
    nearest: float | None
    """Seconds to the nearest other call of the same number; None: none within a day."""


def explain(database_url: str, provider: str, external_id: str) -> Explanation:
    """Raises `CallweaveError` where there is no such record."""
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        record = _found(cursor, provider, external_id)
        key = [record["provider"], record["account"], record["external_id"]]
        return Explanation(
            record=record,
            members=cursor.execute(MEMBERS, [record["unified_call_id"]]).fetchall(),
            pairs=cursor.execute(PAIRS, [record["unified_call_id"]]).fetchall(),
            rivals=cursor.execute(RIVALS, [record["id"]]).fetchall(),
            unmatched=cursor.execute(UNMATCHED, key).fetchone(),
            nearest=_nearest(cursor, record),
            log=cursor.execute(LOG, [record["id"], record["id"]]).fetchall(),
        )


def _nearest(cursor: psycopg.Cursor[dict[str, Any]], record: dict[str, Any]) -> float | None:
    at, number = record["started_at"], record["remote_e164"]
    row = cursor.execute(NEAREST, [at, number, at, at, record["unified_call_id"]]).fetchone()
    return row["min"] if row else None


def undecided(database_url: str, limit: int) -> Rows:
    """Pairs of records that may be one call and were not joined, those first of which a verdict settles most."""
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(UNDECIDED, [limit]).fetchall()


def judge(database_url: str, one: tuple[str, str], other: tuple[str, str], *, same: bool) -> None:
    """Keeps a verdict on two records, each named by provider and id."""
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        left, right = (_found(cursor, *named) for named in (one, other))
        if left["id"] == right["id"]:
            raise UsageError("A verdict needs two records; these are one and the same.")
        keys = [record[name] for record in (left, right) for name in ("provider", "account", "external_id")]
        cursor.execute(JUDGE, [*keys, same, getuser()])


def verdicts(database_url: str) -> Iterator[str]:
    """All that people said, as CSV with a heading, the newest last: `held` is what the rules had said until then."""
    with connect(database_url) as connection, connection.cursor().copy(VERDICTS) as copy:
        for part in copy:
            yield bytes(part).decode()


def _found(cursor: psycopg.Cursor[dict[str, Any]], provider: str, external_id: str) -> dict[str, Any]:
    name, _, account = provider.partition(":")
    rows = cursor.execute(FIND, [name, external_id, account, account]).fetchall()
    if not rows:
        raise CallweaveError(f"There is no call {external_id!r} of {provider}.")
    if len(rows) > 1:
        accounts = " or ".join(f"{row['provider']}:{row['account']}" for row in rows)
        raise UsageError(f"Several accounts hold a call {external_id!r}: write {accounts}.")
    return rows[0]
