"""What stands in the database of real calls, as people are told it."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg.rows import dict_row

from models.matching.calibration import Calibration
from models.matching.records import Floats
from models.matching.report import interval
from tasks.database import connect
from tasks.matching.reading import moment_of

PAIRS = """
    SELECT p.left_provider, p.left_account, p.right_provider, p.right_account,
           (SELECT count(*) FROM call_member m WHERE (m.provider, m.account) = (p.left_provider, p.left_account)
               AND m.leg_of IS NULL) AS left_calls,
           (SELECT count(*) FROM call_member m WHERE (m.provider, m.account) = (p.right_provider, p.right_account)
               AND m.leg_of IS NULL) AS right_calls,
           (SELECT count(*) FROM call_member l JOIN call_member r USING (unified_call_id)
            WHERE (l.provider, l.account, r.provider, r.account)
                = (p.left_provider, p.left_account, p.right_provider, p.right_account)
              AND l.leg_of IS NULL AND r.leg_of IS NULL) AS matched
    FROM (SELECT DISTINCT left_provider, left_account, right_provider, right_account FROM calibration) p
    ORDER BY 1, 2, 3, 4
"""
CALIBRATIONS = """
    SELECT DISTINCT ON (left_provider, left_account, right_provider, right_account) left_provider, left_account,
           right_provider, right_account, version, adopted_at, reason, is_prior, support, parameters,
           lag(parameters) OVER (PARTITION BY left_provider, left_account, right_provider, right_account
               ORDER BY version) AS before
    FROM calibration ORDER BY left_provider, left_account, right_provider, right_account, version DESC
"""
REASONS = "SELECT provider, account, reason, count(*) FROM v1.unmatched_call GROUP BY 1, 2, 3 ORDER BY 1, 2, 4 DESC"
LATEST = "SELECT records, changed, formed, dissolved FROM reconcile_run ORDER BY id DESC LIMIT 1"
VERDICTS = "SELECT count(*) FILTER (WHERE same) AS right, count(*) AS asked FROM verdict WHERE held"
GAPS = """
    SELECT a.provider || ':' || a.account, b.provider || ':' || b.account,
           extract(epoch FROM b.started_at - a.started_at)::float8, b.started_at
    FROM (SELECT * FROM call_match WHERE rule IN ('numbers', 'remote') ORDER BY left_call_id DESC LIMIT 5000) x
    JOIN call a ON a.id IN (x.left_call_id, x.right_call_id) JOIN call b ON b.id IN (x.left_call_id, x.right_call_id)
    WHERE (a.provider, a.account) < (b.provider, b.account)
"""


class Precision(NamedTuple):
    """Of the matches that people judged, so many were right."""

    right: int
    asked: int

    @property
    def told(self) -> str:
        if not self.asked:
            return "nobody has judged a match yet (`callweave judge`)"
        low, high = interval(self.right, self.asked)
        share = self.right / self.asked
        return f"{share:.1%} of {self.asked} judged matches were right (95 % interval {low:.1%} to {high:.1%})"


@dataclass(frozen=True, slots=True)
class Report:
    pairs: list[dict[str, Any]]
    calibrations: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    precision: Precision
    gaps: tuple[Floats, Floats]
    """Start gaps of matches before and after calibration, seconds."""


def report(database_url: str) -> Report:
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        known = cursor.execute(CALIBRATIONS).fetchall()
        judged = cursor.execute(VERDICTS).fetchone() or {"right": 0, "asked": 0}
        return Report(
            pairs=[_with_shares(row) for row in cursor.execute(PAIRS).fetchall()],
            calibrations=[described(row) for row in known],
            reasons=cursor.execute(REASONS).fetchall(),
            precision=Precision(judged["right"], judged["asked"]),
            gaps=_gaps(connection, known),
        )


def latest(database_url: str) -> dict[str, int]:
    """The counts of the newest run."""
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(LATEST).fetchone() or {}


def calibrations(database_url: str) -> list[dict[str, Any]]:
    """The newest calibration of each pair of accounts, in words."""
    with connect(database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return [described(row) for row in cursor.execute(CALIBRATIONS).fetchall()]


SHOWN = {
    "offset_seconds": "offset s",
    "change_seconds": "change s",
    "spread_seconds": "spread s",
    "time_zone_fault_minutes": "zone min",
    "drifts": "drifts",
    "durations": "durations",
    "rounding": "rounding",
    "pairs": "pairs",
    "is_prior": "prior",
    "version": "version",
}
"""Of a calibration, and how it is headed where there is little room."""


def brief(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calibrations for people: accounts by their provider's name alone where that tells them apart."""
    accounts = {row[side] for row in rows for side in ("left", "right")}
    providers = [account.partition(":")[0] for account in accounts]
    named = {name: name if providers.count(name.partition(":")[0]) > 1 else name.partition(":")[0] for name in accounts}
    return [
        {"clock": f"{named[row['right']]} against {named[row['left']]}"}
        | {short: row[name] for name, short in SHOWN.items()}
        for row in rows
    ]


def described(row: dict[str, Any]) -> dict[str, Any]:
    known = Calibration.from_json(row["parameters"])
    before = Calibration.from_json(row["before"]) if row["before"] else None
    offset, zone = _offset(known), known.track.zone
    return {
        "left": f"{row['left_provider']}:{row['left_account']}",
        "right": f"{row['right_provider']}:{row['right_account']}",
        "version": row["version"],
        "adopted_at": row["adopted_at"],
        "reason": row["reason"],
        "is_prior": row["is_prior"],
        "pairs": row["support"],
        "offset_seconds": offset,
        "change_seconds": round(offset - _offset(before), 1) if before else None,
        "spread_seconds": round(known.spread, 1),
        "time_zone_fault_minutes": round(zone / 60) or None,
        "drifts": known.track.knots.size > 1,
        "durations": _durations(known),
        "rounding": "/".join(str(step) for step in known.rounding),
        "coverage": "/".join(f"{share:.0%}" for share in known.coverage),
    }


def zone_faults(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence per account whose clock stands in the wrong time zone; where two disagree, nobody can say which."""
    told = []
    accounts = sorted({row[side] for row in rows for side in ("left", "right")})
    faults = {one: [row for row in rows if one in (row["left"], row["right"])] for one in accounts}
    faulty = [one for one, found in faults.items() if all(row["time_zone_fault_minutes"] for row in found)]
    for one in faulty:
        row = faults[one][0]
        minutes = row["time_zone_fault_minutes"] * (1 if row["right"] == one else -1)
        others = [other for other in faulty if other != one]
        doubt = f", or that of {others[0]} by as much the other way" if len(accounts) == 2 else ""
        told.append(f"The clock of {one} is {minutes:+d} minutes off{doubt}: a time-zone fault, corrected for here.")
    return told[:1] if len(accounts) == 2 else told


def _with_shares(row: dict[str, Any]) -> dict[str, Any]:
    shares = {f"{side}_share": f"{row['matched'] / max(row[f'{side}_calls'], 1):.1%}" for side in ("left", "right")}
    return row | shares


def _offset(known: Calibration) -> float:
    """At the newest knot."""
    return round(float(known.track.offsets[-1]), 1)


def _durations(known: Calibration) -> str:
    measure = known.measure
    return "not compared" if measure.kind == "none" else f"{measure.left} against {measure.right}"


def _gaps(connection: psycopg.Connection[Any], known: list[dict[str, Any]]) -> tuple[Floats, Floats]:
    rows = connection.execute(GAPS).fetchall()
    tracks = {
        (
            f"{row['left_provider']}:{row['left_account']}",
            f"{row['right_provider']}:{row['right_account']}",
        ): Calibration.from_json(row["parameters"]).track
        for row in known
    }
    before = np.array([seconds for *_, seconds, _ in rows], float)
    offsets = [float(tracks[left, right].at(np.array([moment_of(at)]))[0]) for left, right, _, at in rows]
    return before, before - np.array(offsets, float)
