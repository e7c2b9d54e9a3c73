"""The queries of docs/querying.md and README.md over a million calls, as an analyst asks them of a month.

The tables are filled in SQL: two systems that share four real calls in ten, a year, and what a sync and a
reconciliation would have left behind.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench import report
from bench.ground import Ground
from tasks.database import one_engine
from tasks.identity.linker import link_people

CALLS = 1_000_000
PER_CALL = 1.4
"""Records of a real call here."""
PERSON = "+12125000007"
LOOK_UPS = ("A person's whole history", "All calls with one person")
MOST_MILLISECONDS, MOST_OF_A_MONTH = 50.0, 300.0
REPEATS = 3
HEADINGS = ("", "milliseconds", "target", "rows", "document")
HOUSE = Path(__file__).parents[1]
PAGE = (HOUSE / "docs" / "querying.md").read_text("utf-8")

FILL = (
    """
    CREATE TABLE happened AS
    SELECT n, now() - n::float8 / {real} * interval '364 days' - interval '2 hours' AS started_at,
           '+1212' || 5000000 + n * 7919 % {people} AS remote_e164, '+3314268' || 5300 + n / 10 % 50 AS own_e164,
           CASE WHEN n % 3 = 0 THEN 'outbound' ELSE 'inbound' END AS direction,
           CASE WHEN n % 5 = 0 THEN 'missed' ELSE 'answered' END AS outcome, 10 + n % 290 AS talk
    FROM generate_series(1::bigint, {real}) n
    """,
    """
    INSERT INTO call (provider, account, external_id, digest, source_updated_at, observed_at, payload, started_at,
                      answered_at, ended_at, duration_seconds, direction, outcome, is_final, remote_e164, own_e164,
                      agent)
    SELECT side.provider, 'main', n, '', now(), now(), jsonb_build_object('note', repeat('x', 600)),
           started_at + side.late,
           CASE WHEN outcome = 'answered' AND side.tells THEN started_at + side.late + interval '12 seconds' END,
           CASE WHEN side.tells THEN started_at + side.late + (12 + talk) * interval '1 second' END,
           CASE WHEN outcome = 'answered' THEN talk ELSE 0 END, direction, outcome, true, remote_e164, own_e164,
           'Agent ' || n % 40
    FROM happened JOIN (VALUES ('p0', interval '0', true, 0, 7), ('p1', interval '1 second', false, 3, 10))
        AS side (provider, late, tells, first, after) ON n % 10 >= side.first AND n % 10 < side.after
    ORDER BY started_at
    """,
    "DROP TABLE happened",
    """
    INSERT INTO call_member (call_id, unified_call_id, provider, account, speaks, confidence, by_prior, changed_at)
    SELECT id, min(id) OVER (PARTITION BY external_id), provider, account, true, 1, false, changed_at FROM call
    """,
    """
    INSERT INTO call_match (left_call_id, right_call_id, unified_call_id, rule, score, margin, prior, start, length,
                            outcome, direction, calibration_id)
    SELECT unified_call_id, call_id, unified_call_id, 'numbers', 20, 5, 0, 10, 5, 5, 0, 1
    FROM call_member WHERE call_id <> unified_call_id
    """,
    """
    INSERT INTO match_log (run_id, kind, left_call_id, right_call_id, unified_call_id, score, cause)
    SELECT 1, 'formed', left_call_id, right_call_id, unified_call_id, score, 'new record' FROM call_match
    """,
    "INSERT INTO unified_call SELECT * FROM unified_call_definition",
    """
    INSERT INTO carried_line (own_e164, provider, account)
    SELECT DISTINCT own_e164, provider, account FROM call WHERE own_e164 IS NOT NULL
    """,
    "INSERT INTO phone (e164) SELECT DISTINCT remote_e164 FROM call ORDER BY 1",
    """
    INSERT INTO contact (provider, account, external_id, digest, source_updated_at, observed_at, payload, first_name,
                         e164s, crm_ids, opted_out, first_seen_at)
    SELECT 'p0', 'main', n, '', now(), now(), '{{}}', 'Person ' || n, ARRAY['+1212' || 5000000 + n], '{{}}',
           n % 500 = 0, now() - interval '60 days'
    FROM generate_series(1, {people} / 2) n
    """,
    """
    INSERT INTO sync_stream (provider, account, stream, scope)
    SELECT provider, 'main', 'calls', '' FROM (VALUES ('p0'), ('p1')) AS side (provider)
    """,
    """
    INSERT INTO sync_window (provider, account, stream, scope, listing, filtered, origin, since, until, state, verdict)
    SELECT provider, 'main', 'calls', '', '', false, 'schedule', now() - interval '365 days', now(), 'done', 'proven'
    FROM (VALUES ('p0'), ('p1')) AS side (provider)
    """,
    """
    INSERT INTO calibration (left_provider, left_account, right_provider, right_account, version, reason, is_prior,
                             support, parameters)
    VALUES ('p0', 'main', 'p1', 'main', 1, 'learnt', false, 1000, '{{}}')
    """,
)


def run(ground: Ground) -> list[str]:
    with ground.migrated() as database:
        url = ground.server.url(database)
        fill(url, CALLS)
        with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
            measured = [(name, *_measured(connection, query)) for name, query in questions()]
    report.show(f"Asking of {CALLS:,} calls", HEADINGS, [_line(*one) for one in measured])
    return [
        f"querying, {name}: {milliseconds:.0f} ms, less than {_most(name):g} ms wanted"
        for name, milliseconds, _ in measured
        if milliseconds >= _most(name)
    ]


def fill(url: str, calls: int) -> None:
    """So many records of calls in a migrated database, with all that belongs to them."""
    numbers = {"real": int(calls / PER_CALL), "people": max(1_000, calls // 20)}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement.format(**numbers).encode())
        with one_engine(url) as engine:
            link_people(engine)
        connection.execute("VACUUM ANALYZE")


def questions() -> Iterator[tuple[str, str]]:
    """Each question of the documents with its query, for a month and a person that are there."""
    front = (HOUSE / "README.md").read_text("utf-8")
    found = re.findall(r"^### (.+?)\n.*?^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for part in re.findall(r"```sql\n(.*?)```", front, re.DOTALL)[0].split("\n\n"):
        comment, _, query = part.partition("\n")
        found.append((comment.removeprefix("-- ").partition(",")[0], query))
    for name, query in found:
        yield name, for_a_month(query)


def for_a_month(query: str) -> str:
    """The query of a month, and of a person who is there."""
    return re.sub(r"'\+\d+'", f"'{PERSON}'", query.replace("interval '90 days'", "interval '30 days'"))


def _measured(connection: psycopg.Connection[Any], query: str) -> tuple[float, int]:
    """Milliseconds, all rows read, and how many these are."""
    times, rows = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        rows = len(connection.execute(query.encode()).fetchall())
        times.append((time.perf_counter() - began) * 1_000)
    return median(times), rows


def _most(name: str) -> float:
    return MOST_MILLISECONDS if name in LOOK_UPS else MOST_OF_A_MONTH


def _line(name: str, milliseconds: float, rows: int) -> list[str]:
    document = "docs/querying.md" if f"### {name}\n" in PAGE else "README.md"
    return [name, f"{milliseconds:,.0f}", f"{_most(name):g}", f"{rows:,}", document]
