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
    SELECT c.id, c.provider, c.account, c.external_id, m.unified_call_id
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
            log=cursor.execute(LOG, [record["id"], record["id"]]).fetchall(),
        )


def judge(database_url: str, one: tuple[str, str], other: tuple[str, str], *, same: bool) -> None:
    """Keeps a verdict on two records, each told by provider and id."""
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
