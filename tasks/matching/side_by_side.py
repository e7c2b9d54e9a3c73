"""The newest day of two systems side by side: what both hold of a call, and what only one does."""

from typing import Any

import psycopg

MOST = 60
"""Calls that a person reads through."""
DAY = """
    WITH newest AS (
        SELECT DISTINCT ON (left_provider, left_account, right_provider, right_account) left_provider, left_account,
               right_provider, right_account, is_prior, support
        FROM calibration ORDER BY left_provider, left_account, right_provider, right_account, version DESC),
    pair AS (SELECT * FROM newest WHERE NOT is_prior ORDER BY support DESC LIMIT 1),
    held AS MATERIALIZED (
        SELECT m.unified_call_id, c.provider, c.account, c.started_at, c.outcome, c.duration_seconds, c.remote_e164
        FROM call c JOIN call_member m ON m.call_id = c.id
        WHERE c.started_at >= (SELECT max(started_at) FROM call) - interval '1 day' AND m.leg_of IS NULL
          AND c.deleted_at IS NULL AND c.vanished_at IS NULL),
    one AS (SELECT h.* FROM held h JOIN pair p ON (h.provider, h.account) = (p.left_provider, p.left_account)),
    other AS (SELECT h.* FROM held h JOIN pair p ON (h.provider, h.account) = (p.right_provider, p.right_account))
    SELECT coalesce(one.remote_e164, other.remote_e164) AS number,
           (SELECT left_provider FROM pair) AS one, one.started_at AS started, one.outcome,
           one.duration_seconds AS seconds, (SELECT right_provider FROM pair) AS other,
           other.started_at AS other_started, other.outcome AS other_outcome, other.duration_seconds AS other_seconds
    FROM one FULL JOIN other USING (unified_call_id)
    ORDER BY coalesce(one.started_at, other.started_at) DESC LIMIT %s
"""


def newest_day(cursor: psycopg.Cursor[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the two accounts that share most calls, the newest first; empty where no two share any."""
    return cursor.execute(DAY, [MOST]).fetchall()
