"""The commands that only look: `status` and `health`."""

import sys
from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from flows.rendering import terminal
from models.alerts.incident import Incident
from models.errors import CallweaveError
from models.matching.summary import named_by_provider
from models.wording import counted
from tasks.alerts.store import as_json, read_open
from tasks.diagnostics.status import GIVEN_UP, REASONS, STATUS, read, unreconciled
from tasks.embedded.daemon import Daemon
from tasks.extract.lookup import GIVEN_UP_AFTER
from tasks.home import database, refuse_behind
from tasks.settings import Settings

MOST_REASONS = 20
"""That are shown to people; a long outage may leave many."""


def status(options: Namespace) -> int:
    from flows.cli.matching import show_calibrations
    from tasks.matching.report import calibrations

    settings = Settings()
    with database(settings) as url:
        streams, holes, given_up = read(url, STATUS), read(url, REASONS), read(url, GIVEN_UP)
        clocks, incidents = calibrations(url), read_open(url)
        note = None if options.json else unreconciled(url)
    wrong = int(options.check and _is_wrong(streams, incidents))
    if options.json:
        document = {"streams": streams, "holes": holes, "never_final": given_up, "calibrations": clocks}
        document["incidents"] = [as_json(one) for one in incidents]
        terminal.show_json(document)
        return wrong
    if not streams:
        sys.stdout.write("Nothing was synced yet: try `callweave sync all`.\n")
        return wrong
    _name_accounts([*streams, *holes, *given_up])
    headings = ["account", "stream", "state", "complete from", "complete up to", "not proven", "rejected", "last error"]
    terminal.show_rows(headings, [_status_row(row, holes) for row in streams])
    show_incidents(incidents)
    if holes:
        sys.stdout.write("\nNot proven:\n")
        headings = ["account", "stream", "windows", "from", "to", "reason"]
        terminal.show_rows(headings, [_hole_row(row) for row in holes[:MOST_REASONS]])
        if (more := len(holes) - MOST_REASONS) > 0:
            sys.stdout.write(f"and {counted(more, 'other reason')}: `callweave status --json`\n")
    if given_up:
        sys.stdout.write(f"\nNot final after {GIVEN_UP_AFTER.days} days, and no longer asked for by id:\n")
        headings = ["account", "calls", "from", "to", "for example"]
        terminal.show_rows(headings, [_given_up_row(row) for row in given_up])
    show_calibrations(clocks)
    sys.stdout.write(f"\n{note}\n" if note else "")
    return wrong


def health(_options: Namespace) -> int:
    """Exit status 0 where the database answers and is at this version's migration. Asks neither Prefect nor providers.

    The embedded database is not started for it: where none runs, that is the answer.
    """
    settings = Settings()
    if url := settings.general.database_url:
        refuse_behind(url)
    elif not (settings.home.is_dir() and Daemon(settings.home, "postgres").running()):
        raise CallweaveError("DATABASE_URL is not set and the embedded Postgres does not run.")
    sys.stdout.write("ok\n")
    return 0


def _is_wrong(streams: list[dict[str, Any]], incidents: list[Incident]) -> bool:
    """Nothing was synced, an incident is open, or the last run of a stream did not complete."""
    return not streams or bool(incidents) or any(row["state"] not in {"ok", "running"} for row in streams)


def show_incidents(incidents: list[Incident]) -> None:
    if incidents:
        sys.stdout.write("\nOpen incidents (docs/operating.md says what to do):\n")
        rows = [[_short(one.since), one.cause, " ".join(filter(None, one.key[1:])), one.detail] for one in incidents]
        terminal.show_rows(["since", "incident", "where", "what happened"], rows)


def _name_accounts(rows: list[dict[str, Any]]) -> None:
    """`sakari` where that is one account, else `sakari:acme`, as commands take it."""
    names = named_by_provider({f"{row['provider']}:{row['account']}" for row in rows})
    for row in rows:
        row["named"] = names[f"{row['provider']}:{row['account']}"]


def _status_row(row: dict[str, Any], holes: list[dict[str, Any]]) -> list[str]:
    its = [one["windows"] for one in holes if (one["named"], one["stream"]) == (row["named"], row["stream"])]
    counts = [f"{sum(its):,}", f"{row['rejected_rows']:,}"]
    times = [_short(row["complete_from"]), _short(row["complete_up_to"])]
    return [row["named"], row["stream"], row["state"], *times, *counts, row["last_error"] or ""]


def _hole_row(row: dict[str, Any]) -> list[str]:
    times = [_short(row["since"]), _short(row["until"])]
    return [row["named"], row["stream"], f"{row['windows']:,}", *times, row["reason"]]


def _given_up_row(row: dict[str, Any]) -> list[str]:
    times = [_short(row["since"]), _short(row["until"])]
    return [row["named"], f"{row['calls']:,}", *times, ", ".join(row["examples"])]


def _short(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else "-"
