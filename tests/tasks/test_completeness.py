"""Receipts and completeness as SQL: what a consumer can ask the database instead of a person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sandbox.server import Sandbox
from tests.support.builders import CALLS, CONTACTS, Office

BOUNDS = "SELECT complete_from AS since, complete_up_to AS until FROM v1.sync_status WHERE stream = 'calls'"


def one(office: Office, query: str, *values: Any) -> Any:
    (row,) = office.rows(query, *values)
    (value,) = row.values()
    return value


def test_a_receipt_per_stream(own_office: Office) -> None:
    """`v1.sync_run` holds the numbers that the run itself reports (lessons section 4, 5: a sync receipt)."""
    runs = [own_office.sync("skipcall", stream) for stream in (CALLS, CONTACTS)]
    rows = {row["stream"]: row for row in own_office.rows("SELECT * FROM v1.sync_run")}

    for run in runs:
        document, row = run.receipt.document, rows[str(run.stream.name)]
        assert {name: row[name] for name in document if name != "seconds"} == {
            name: value for name, value in document.items() if name != "seconds"
        }
        assert row["seconds"] == pytest.approx(document["seconds"], abs=1)
        assert row["ended_at"] > row["started_at"]


def test_the_receipt_of_a_killed_run(own_office: Office) -> None:
    """A run that gave no sign of life for two minutes is shown as failed, without an end."""
    run = own_office.run("skipcall")
    run.begin()
    own_office.change("UPDATE sync_run SET heartbeat_at = now() - interval '3 minutes'")
    (row,) = own_office.rows("SELECT state, ended_at, error FROM v1.sync_run")

    assert (row["state"], row["ended_at"]) == ("failed", None)
    assert "killed" in row["error"]


def test_complete_over_all_accounts(own_office: Office) -> None:
    """`v1.complete` is true only for a stretch that every account has proven (lessons section 4, 6)."""
    assert one(own_office, "SELECT v1.complete('2026-01-01', '2026-01-02')") is False
    assert one(own_office, "SELECT v1.complete_up_to()") is None
    own_office.sync("skipcall")
    (bounds,) = own_office.rows(BOUNDS)
    since, until = bounds["since"], bounds["until"]
    assert one(own_office, "SELECT v1.complete(%s, %s)", since, until) is True
    assert one(own_office, "SELECT v1.complete(%s, %s)", since, until + timedelta(seconds=1)) is False
    assert one(own_office, "SELECT v1.complete_up_to()") == until

    own_office.sync("bird", since=until - timedelta(days=2))
    assert one(own_office, "SELECT v1.complete(%s, %s)", since, until) is False
    ends = [row["until"] for row in own_office.rows(BOUNDS)]
    assert len(ends) == 2
    assert one(own_office, "SELECT v1.complete_up_to()") == min(ends)


def test_an_account_without_a_proof(own_office: Office) -> None:
    """One account that was never read to an end keeps the whole from being complete."""
    own_office.sync("skipcall")
    own_office.run("bird").begin()

    assert one(own_office, "SELECT v1.complete_up_to()") is None
    assert one(own_office, "SELECT v1.complete(now() - interval '2 days', now() - interval '1 day')") is False


@pytest.mark.parametrize("until", ["2026-01-01T00:00Z", "2025-01-01T00:00Z"])
def test_a_stretch_that_is_none(database_url: str, until: str) -> None:
    """A stretch that ends before it begins is refused in words, not answered (nocturne#1057)."""
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.DataError, match="since must be before"):
        connection.execute("SELECT v1.complete('2026-01-01T00:00Z', %s)", [until])


def test_hours(own_office: Office, own_sandbox: Sandbox) -> None:
    """`v1.coverage_by_hour` holds every call once, and an hour is complete exactly where its windows are proven."""
    own_office.sync("skipcall")
    (bounds,) = own_office.rows(BOUNDS)
    hours = own_office.rows("SELECT * FROM v1.coverage_by_hour ORDER BY hour")
    held = own_office.rows("SELECT started_at FROM v1.call WHERE deleted_at IS NULL")

    begun: dict[datetime, int] = {}
    for row in held:
        hour = row["started_at"].astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        begun[hour] = begun.get(hour, 0) + 1
    assert sum(begun.values()) > 50
    assert {row["hour"]: row["calls"] for row in hours if row["calls"]} == begun
    proven = {row["hour"] for row in hours if row["complete"]}
    ends = timedelta(hours=1)
    assert proven == {
        row["hour"] for row in hours if bounds["since"] <= row["hour"] and row["hour"] + ends <= bounds["until"]
    }
    assert len(proven) > 1_000


def test_hours_of_a_hole(own_office: Office) -> None:
    """The hours of a window that is open again are not complete, the others are."""
    own_office.sync("bird")
    own_office.change(
        "UPDATE sync_window SET verdict = 'unproven' WHERE id = (SELECT id FROM sync_window ORDER BY since LIMIT 1)"
    )
    rows = own_office.rows("SELECT complete, count(*) FROM v1.coverage_by_hour GROUP BY 1")

    assert {row["complete"] for row in rows} == {True, False}
