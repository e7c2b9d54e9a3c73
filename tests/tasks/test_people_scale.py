"""The README's question at scale: which way Postgres takes to the calls with one person."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tasks.database import engine_for
from tasks.identity.linker import link_people

README = Path(__file__).parents[2] / "README.md"
ASKED = "-- All calls with one person"
OTHER_WAYS = (
    ("person", "person_id = 7"),
    ("person", "e164s @> ARRAY['+12120000007']"),
    ("contact", "person_id = 7"),
    ("call", "remote_person_id = 7"),
    ("unified_call", "person_id = 7"),
    ("unified_call", "unified_call_id = 7"),
    ("unified_call", "started_at > timestamptz '2026-10-01 12:00Z' - interval '20 seconds'"),
    ("unlinked_phone", "e164 = '+33142685300'"),
)
PEOPLE, CALLS = 50_000, 200_000
FILL = (
    """
    INSERT INTO phone (e164) SELECT '+1' || (2120000000 + n) FROM generate_series(1, {people}) n
    """,
    """
    INSERT INTO contact (provider, account, external_id, digest, source_updated_at, observed_at, payload, first_name,
                         e164s, crm_ids)
    SELECT 'p', 'a', n, '', now(), now(), '{{}}', 'Person ' || n,
           ARRAY['+1' || (2120000000 + n), '+1' || (2120000000 + n + {people} / 2)], '{{}}'
    FROM generate_series(1, {people} / 2) n
    """,
    """
    INSERT INTO call (provider, account, external_id, digest, source_updated_at, observed_at, payload, started_at,
                      direction, outcome, is_final, remote_e164, own_e164)
    SELECT 'p' || n % 3, 'a', n, '', now(), now(), '{{}}', timestamptz '2026-10-01 12:00Z' - n * interval '1 second',
           'inbound', 'answered', true, '+1' || (2120000001 + n % {people}), '+33142685300'
    FROM generate_series(1, {calls}) n
    """,
    """
    INSERT INTO call_member (call_id, unified_call_id, provider, account, speaks, confidence, by_prior, changed_at)
    SELECT id, id, provider, account, true, 1, false, changed_at FROM call
    """,
    "INSERT INTO unified_call SELECT * FROM unified_call_definition",
    "ANALYZE",
)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Many calls with people of two numbers each."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in FILL[:-1]:
            connection.execute(statement.format(people=PEOPLE, calls=CALLS))
        engine = engine_for(database_url)
        link_people(engine)
        engine.dispose()
        connection.execute(FILL[-1])
        yield connection


def query(number: str) -> str:
    """The README's query, for a number of this world."""
    text = README.read_text("utf-8")
    statement = text[text.index(ASKED) :].partition(";")[0]
    return re.sub(r"'\+\d+'", f"'{number}'", statement)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def test_by_index(connection: psycopg.Connection[Any]) -> None:
    """All calls with a person are found by either number, over all systems, and no table is read from end to end.

    So are a person, its contacts and its calls from each other.
    """
    found = [connection.execute(query(f"+1{number}")).fetchall() for number in (2120000007, 2120000007 + PEOPLE // 2)]
    ((explained,),) = connection.execute("EXPLAIN (FORMAT JSON) " + query("+12120000007")).fetchall()
    plan = list(nodes(explained[0]["Plan"]))

    assert len(found[0]) == 2 * CALLS // PEOPLE
    assert found[0] == found[1]
    assert {provider for row in found[0] for provider in row[1]} == {"p0", "p1", "p2"}
    assert [node["Relation Name"] for node in plan if "Seq Scan" in node["Node Type"]] == []
    assert {node["Relation Name"] for node in plan if "Relation Name" in node} == {"phone", "unified_call"}

    for view, condition in OTHER_WAYS:
        ((explained,),) = connection.execute(f"EXPLAIN (FORMAT JSON) SELECT * FROM v1.{view} WHERE {condition}")
        assert connection.execute(f"SELECT count(*) FROM v1.{view} WHERE {condition}").fetchone() != (0,)
        assert [node for node in nodes(explained[0]["Plan"]) if "Seq Scan" in node["Node Type"]] == [], condition
