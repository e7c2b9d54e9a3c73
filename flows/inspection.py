"""The command that only looks: `status`."""

import sys
from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from flows import terminal
from models.incidents import Incident
from tasks.database import database_errors, one_engine
from tasks.home import database
from tasks.incidents import as_json, read_open
from tasks.lookup import GIVEN_UP_AFTER
from tasks.settings import Settings

STATUS = text("SELECT * FROM v1.sync_status ORDER BY provider, account, stream")
REASONS = text("""
    SELECT provider, account, stream, coalesce(reason, 'waiting to be read') AS reason, count(*) AS windows,
           min(since) AS since, max(until) AS until
    FROM sync_window WHERE NOT filtered AND (state = 'open' OR (state = 'done' AND verdict <> 'proven'))
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 5 DESC LIMIT 20
""")
GIVEN_UP = text("""
    SELECT provider, account, 'calls' AS stream, count(*) AS calls, min(started_at) AS since, max(started_at) AS until,
           (array_agg(external_id ORDER BY started_at DESC))[\\:3] AS examples
    FROM call WHERE NOT is_final AND deleted_at IS NULL AND vanished_at IS NULL AND started_at <= now() - :age
    GROUP BY 1, 2 ORDER BY 1, 2
""").bindparams(age=GIVEN_UP_AFTER)


def status(options: Namespace) -> int:
    from flows.matching import show_calibrations
    from tasks.matching.reporting import calibrations

    settings = Settings()
    with database(settings) as url:
        streams, holes, given_up = _rows(url, STATUS), _rows(url, REASONS), _rows(url, GIVEN_UP)
        clocks, incidents = calibrations(url), read_open(url)
    if options.json:
        document = {"streams": streams, "holes": holes, "never_final": given_up, "calibrations": clocks}
        document["incidents"] = [as_json(one) for one in incidents]
        terminal.show_json(document)
        return 0
    if not streams:
        sys.stdout.write("Nothing was synced yet: try `callweave sync all`.\n")
        return 0
    headings = ["provider", "stream", "state", "complete from", "complete up to", "open", "rejected", "last error"]
    terminal.show_rows(headings, [_status_row(row) for row in streams])
    show_incidents(incidents)
    if holes:
        sys.stdout.write("\nNot proven:\n")
        headings = ["provider", "stream", "windows", "from", "to", "reason"]
        terminal.show_rows(headings, [_hole_row(row) for row in holes])
    if given_up:
        sys.stdout.write(f"\nNot final after {GIVEN_UP_AFTER.days} days, and no longer asked for by id:\n")
        headings = ["provider", "calls", "from", "to", "for example"]
        terminal.show_rows(headings, [_given_up_row(row) for row in given_up])
    show_calibrations(clocks)
    return 0


def show_incidents(incidents: list[Incident]) -> None:
    if incidents:
        sys.stdout.write("\nOpen incidents (docs/operating.md tells what to do):\n")
        rows = [[_short(one.since), one.cause, " ".join(filter(None, one.key[1:])), one.detail] for one in incidents]
        terminal.show_rows(["since", "incident", "where", "what happened"], rows)


def _rows(url: str, query: Any) -> list[dict[str, Any]]:
    with one_engine(url) as engine, database_errors(), engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _status_row(row: dict[str, Any]) -> list[str]:
    counts = [f"{row['open_windows']:,}", f"{row['rejected_rows']:,}"]
    times = [_short(row["complete_from"]), _short(row["complete_up_to"])]
    return [row["provider"], row["stream"], row["state"], *times, *counts, row["last_error"] or ""]


def _hole_row(row: dict[str, Any]) -> list[str]:
    times = [_short(row["since"]), _short(row["until"])]
    return [row["provider"], row["stream"], f"{row['windows']:,}", *times, row["reason"]]


def _given_up_row(row: dict[str, Any]) -> list[str]:
    times = [_short(row["since"]), _short(row["until"])]
    return [row["provider"], f"{row['calls']:,}", *times, ", ".join(row["examples"])]


def _short(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else "-"
