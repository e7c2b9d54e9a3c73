"""How Postgres answers the queries of docs/querying.md and README.md: by the calls asked for, not by all."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bench.querying import HOUSE, fill, for_a_month
from tasks.embedded import EmbeddedPostgres
from tasks.migrate import upgrade
from tests.support.fixtures import new_database

CALLS = 100_000
MOST_READ = 0.3
"""Share of the records that a question of a month may read; a year is stored."""
DOCUMENTS = ("docs/querying.md", "README.md")


def statements() -> list[str]:
    """Every query of the documents that stands for itself."""
    texts = [(HOUSE / name).read_text("utf-8") for name in DOCUMENTS]
    blocks = [block for text in texts for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)]
    parts = [re.sub(r"--.*", "", part).strip() for block in blocks for part in block.split(";\n")]
    return [for_a_month(part) for part in parts if part and "$" not in part]


@pytest.fixture(scope="module")
def connection(cluster: EmbeddedPostgres) -> Iterator[psycopg.Connection[Any]]:
    url = new_database(cluster)
    upgrade(url)
    fill(url, CALLS)
    with psycopg.connect(url, autocommit=True) as made:
        yield made


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan.get("Relation Name") == "call":
        yield plan
    for inner in plan.get("Plans", ()):
        yield from scans(inner)


def read(scan: dict[str, Any]) -> float:
    """Rows that a scan looked at, over all its loops."""
    dropped = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return float(scan["Actual Loops"] * (scan["Actual Rows"] + dropped))


@pytest.mark.parametrize("statement", statements(), ids=lambda text: " ".join(text.split())[:60])
def test_no_scan_of_all_calls(connection: psycopg.Connection[Any], statement: str) -> None:
    """Calls are found by index, and what the indexes give is a part of the calls, whichever way the planner goes."""
    ((explained,),) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode()).fetchall()
    found = list(scans(explained[0]["Plan"]))

    assert [scan["Node Type"] for scan in found if "Seq Scan" in scan["Node Type"]] == []
    assert max((read(scan) for scan in found), default=0) <= MOST_READ * CALLS


def test_a_scan_of_all_calls_is_seen(connection: psycopg.Connection[Any]) -> None:
    """A query without a range is what the others are measured against."""
    ((explained,),) = connection.execute(
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT agent, count(*) FROM v1.call GROUP BY 1"
    )
    (scan,) = scans(explained[0]["Plan"])
    assert "Seq Scan" in scan["Node Type"]
    assert read(scan) > MOST_READ * CALLS
