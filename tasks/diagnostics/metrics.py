"""What monitoring asks for, read from the database alone: no names of persons, no telephone numbers, no error texts."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, Engine, RowMapping, text

from tasks.database import database_errors

STATES = ("never", "ok", "partial", "failed", "running")

STREAMS = text("""
    SELECT provider, account, stream, state, open_windows, rejected_rows,
           extract(epoch FROM complete_up_to)::float AS complete_up_to,
           extract(epoch FROM now() - complete_up_to)::float AS behind,
           extract(epoch FROM last_success_at)::float AS last_success_at
    FROM v1.sync_status ORDER BY 1, 2, 3
""")
RUNS = text("""
    SELECT provider, account, stream, sum(requests)::bigint AS requests, sum(inserted)::bigint AS inserted,
           sum(updated)::bigint AS updated, sum(unchanged)::bigint AS unchanged, sum(duplicate)::bigint AS duplicate,
           sum(rejected)::bigint AS rejected, sum(deleted)::bigint AS deleted
    FROM sync_run GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
INCIDENTS = text("""
    SELECT cause, coalesce(provider, '') AS provider, coalesce(account, '') AS account, count(*) AS open
    FROM incident WHERE closed_at IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
BUDGETS = text("""
    SELECT provider, account, greatest(extract(epoch FROM free_at - clock_timestamp()), 0)::float AS queue,
           greatest(extract(epoch FROM postponed_until - clock_timestamp()), 0)::float AS postponed
    FROM request_budget ORDER BY 1, 2
""")
SETTLING = text("SELECT provider, account, count(*) AS calls FROM settling_call GROUP BY 1, 2 ORDER BY 1, 2")
FEED = text("SELECT coalesce(max(sequence), 0) AS newest FROM v1.change")

STREAM, ACCOUNT = ("provider", "account", "stream"), ("provider", "account")


class Sample(NamedTuple):
    labels: Mapping[str, str]
    value: float


class Metric(NamedTuple):
    """One family: `kind` is gauge, counter or stateset; times are Unix seconds, lengths of time seconds."""

    name: str
    kind: str
    meaning: str
    samples: list[Sample]


def metrics(engine: Engine) -> list[Metric]:
    """All families, each sample of one moment."""
    with database_errors(), engine.connect() as connection:
        return [*_of_streams(connection), *_of_runs(connection), *_of_accounts(connection), _of_feed(connection)]


def _of_streams(connection: Connection) -> Iterator[Metric]:
    rows = list(connection.execute(STREAMS).mappings())
    yield _gauge("complete_up_to_seconds", "Up to when the stream is proven complete", rows, STREAM, "complete_up_to")
    yield _gauge("behind_seconds", "Time since then: how far the stream is behind", rows, STREAM, "behind")
    yield _gauge("last_success_seconds", "When a run last completed", rows, STREAM, "last_success_at")
    yield _gauge("open_windows", "Windows still to be read", rows, STREAM, "open_windows")
    yield _gauge("rejected_rows", "Records set aside and not yet readable", rows, STREAM, "rejected_rows")
    states = [
        Sample(_labels(row, STREAM) | {"callweave_stream_state": state}, row["state"] == state)
        for row in rows
        for state in STATES
    ]
    yield Metric("callweave_stream_state", "stateset", "How the latest run stands", states)


def _of_runs(connection: Connection) -> Iterator[Metric]:
    rows = list(connection.execute(RUNS).mappings())
    requests = [Sample(_labels(row, STREAM), row["requests"]) for row in rows]
    yield Metric("callweave_requests", "counter", "HTTP requests of all runs, tokens and retries included", requests)
    fates = ("inserted", "updated", "unchanged", "duplicate", "rejected", "deleted")
    records = [Sample(_labels(row, STREAM) | {"fate": fate}, row[fate]) for row in rows for fate in fates]
    yield Metric("callweave_records", "counter", "Records of all runs, by what became of them", records)


def _of_accounts(connection: Connection) -> Iterator[Metric]:
    incidents = list(connection.execute(INCIDENTS).mappings())
    yield _gauge("incidents", "Open incidents", incidents, ("cause", *ACCOUNT), "open")
    budgets = list(connection.execute(BUDGETS).mappings())
    yield _gauge("budget_queue_seconds", "How long a request would wait for its slot", budgets, ACCOUNT, "queue")
    meaning = "Seconds until the account may be asked again, where its provider asked for a long pause"
    yield _gauge("postponed_seconds", meaning, budgets, ACCOUNT, "postponed")
    settling = list(connection.execute(SETTLING).mappings())
    yield _gauge("settling_calls", "Calls that are not final and are read again by id", settling, ACCOUNT, "calls")


def _of_feed(connection: Connection) -> Metric:
    rows = list(connection.execute(FEED).mappings())
    return _gauge("change_sequence", "Newest sequence of v1.change", rows, (), "newest")


def _gauge(name: str, meaning: str, rows: list[RowMapping], by: tuple[str, ...], value: str) -> Metric:
    samples = [Sample(_labels(row, by), row[value]) for row in rows if row[value] is not None]
    return Metric(f"callweave_{name}", "gauge", meaning, samples)


def _labels(row: RowMapping, names: tuple[str, ...]) -> dict[str, str]:
    return {name: str(row[name]) for name in names}
