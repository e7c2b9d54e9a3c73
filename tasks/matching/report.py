"""What stands in the database of real calls, for people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg.rows import dict_row

from models.calibration.calibration import Calibration
from models.calibration.columns import SECOND, Floats
from models.matching.summary import ends, interval
from tasks.database import connect, scalar
from tasks.matching.reader import moment_of
from tasks.matching.side_by_side import newest_day
from tasks.matching.sql import NEWEST_SINCE

NEWEST_OF_ALL, NEWEST = 100_000, 5_000
"""Records that a whole run is reported by, and one that looked at changes only: of a million, the report would take
longer than the run."""

PAIRS = """
    WITH held AS MATERIALIZED (
        SELECT m.provider, m.account, m.unified_call_id FROM call c JOIN call_member m ON m.call_id = c.id
        WHERE c.started_at >= %(since)s AND m.leg_of IS NULL),
    counted AS (SELECT provider, account, count(*) AS calls FROM held GROUP BY provider, account),
    matched AS (
        SELECT l.provider, l.account, r.provider AS other_provider, r.account AS other_account, count(*) AS calls
        FROM held l JOIN held r USING (unified_call_id)
        WHERE (l.provider, l.account) < (r.provider, r.account) GROUP BY 1, 2, 3, 4)
    SELECT p.left_provider, p.left_account, p.right_provider, p.right_account, coalesce(l.calls, 0) AS left_calls,
           coalesce(r.calls, 0) AS right_calls, coalesce(m.calls, 0) AS matched
    FROM (SELECT DISTINCT left_provider, left_account, right_provider, right_account FROM calibration) p
    LEFT JOIN counted l ON (l.provider, l.account) = (left_provider, left_account)
    LEFT JOIN counted r ON (r.provider, r.account) = (right_provider, right_account)
    LEFT JOIN matched m ON (m.provider, m.account, other_provider, other_account)
        = (left_provider, left_account, right_provider, right_account)
    ORDER BY 1, 2, 3, 4
"""
CALIBRATIONS = """
    SELECT DISTINCT ON (left_provider, left_account, right_provider, right_account) left_provider, left_account,
           right_provider, right_account, version, adopted_at, reason, is_prior, support, parameters,
           lag(parameters) OVER (PARTITION BY left_provider, left_account, right_provider, right_account
               ORDER BY version) AS before
    FROM calibration ORDER BY left_provider, left_account, right_provider, right_account, version DESC
"""
REASONS = """
    SELECT provider, account, reason, count(*) FROM unmatched_record WHERE started_at >= %(since)s
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 4 DESC
"""
VERDICTS = "SELECT count(*) FILTER (WHERE same) AS right, count(*) AS asked FROM verdict WHERE held"
GAPS = """
    SELECT l.provider || ':' || l.account, r.provider || ':' || r.account, l.started_at, r.started_at
    FROM (SELECT * FROM call_match WHERE rule IN ('numbers', 'remote') ORDER BY left_call_id DESC LIMIT 1000) x
    JOIN call l ON l.id = x.left_call_id JOIN call r ON r.id = x.right_call_id
"""


class Precision(NamedTuple):
    """Of the matches that people judged, so many were right."""

    right: int
    asked: int

    @property
    def words(self) -> str:
        if not self.asked:
            return "no match has been judged yet (`callweave judge`)"
        low, high = interval(self.right, self.asked)
        share = self.right / self.asked
        return f"{share:.1%} of {self.asked} judged matches were right (95 % interval {low:.1%} to {high:.1%})"


@dataclass(frozen=True, slots=True)
class Report:
    since: datetime | None
    """Of calls that began then or later; None: of all."""
    pairs: list[dict[str, Any]]
    calibrations: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    precision: Precision
    gaps: tuple[Floats, Floats]
    """Start gaps of matches before and after calibration, seconds."""
    day: list[dict[str, Any]]
    """The newest day of two accounts side by side; of a whole run only."""


def report(database_url: str, *, whole: bool = True) -> Report:
    """Of the newest calls, more of them for a run that was `whole`."""
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        since = scalar(connection, NEWEST_SINCE, {"most": NEWEST_OF_ALL if whole else NEWEST})
        stretch = {"since": since or "-infinity"}
        known = cursor.execute(CALIBRATIONS).fetchall()
        judged = cursor.execute(VERDICTS).fetchone() or {"right": 0, "asked": 0}
        return Report(
            since=since,
            pairs=[_with_shares(row) for row in cursor.execute(PAIRS, stretch).fetchall()],
            calibrations=[described(row) for row in known],
            reasons=cursor.execute(REASONS, stretch).fetchall(),
            precision=Precision(judged["right"], judged["asked"]),
            gaps=_gaps(connection, known),
            day=newest_day(cursor) if whole else [],
        )


def calibrations(database_url: str) -> list[dict[str, Any]]:
    """The newest calibration of each pair of accounts, in words."""
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return [described(row) for row in cursor.execute(CALIBRATIONS).fetchall()]


def described(row: dict[str, Any]) -> dict[str, Any]:
    known = Calibration.from_json(row["parameters"])
    before = Calibration.from_json(row["before"]) if row["before"] else None
    offset, zone = _offset(known), known.track.zone
    left, right = ends(row)
    return {
        "left": left,
        "right": right,
        "version": row["version"],
        "adopted_at": row["adopted_at"],
        "reason": row["reason"],
        "is_prior": known.is_prior,
        "pairs": row["support"],
        "offset_seconds": offset,
        "change_seconds": round(offset - _offset(before), 1) if before and not before.is_prior else None,
        "shares_calls": not known.is_prior,
        "spread_seconds": round(known.spread, 1),
        "time_zone_fault_minutes": round(zone / 60) or None,
        "start_steps_seconds": [one.step for one in known.stamps],
        "starts_are_ends": [one.at_end for one in known.stamps],
        "half_of_day_missing": any(one.half for one in known.stamps),
        "drifts": known.track.knots.size > 1,
        "durations": _durations(known),
        "rounding": "/".join(str(step) for step in known.rounding),
        "coverage": _coverage(known),
    }


def _with_shares(row: dict[str, Any]) -> dict[str, Any]:
    shares = {f"{side}_share": f"{row['matched'] / max(row[f'{side}_calls'], 1):.1%}" for side in ("left", "right")}
    return row | shares


def _offset(known: Calibration) -> float:
    """At the newest knot."""
    return round(float(known.track.offsets[-1]), 1)


def _durations(known: Calibration) -> str:
    return "not compared" if known.is_prior else " against ".join(known.readings)


def _coverage(known: Calibration) -> str:
    """Of the left account's calls the share that the right one holds, and the other way round."""
    return "/".join(f"{float(np.mean(shares.usual[:2])):.0%}" for shares in known.shares)


def _gaps(connection: psycopg.Connection[Any], known: list[dict[str, Any]]) -> tuple[Floats, Floats]:
    tracks = {ends(row): Calibration.from_json(row["parameters"]).track for row in known}
    started: dict[tuple[str, str], list[tuple[int, int]]] = {pair: [] for pair in tracks}
    for one, other, first, second in connection.execute(GAPS).fetchall():
        if (one, other) in tracks:
            started[one, other].append((moment_of(first), moment_of(second)))
        else:
            started[other, one].append((moment_of(second), moment_of(first)))
    before, after = [np.empty(0)], [np.empty(0)]
    for pair, both in started.items():
        left, right = np.array(both, np.int64).reshape(-1, 2).T
        before.append((right - left) / SECOND)
        after.append(before[-1] - tracks[pair].at(right))
    return np.concatenate(before), np.concatenate(after)
