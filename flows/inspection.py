"""The commands that only look: `status` and `check`."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from flows import terminal
from flows.here import connected
from models.errors import CallweaveError, UsageError
from models.incidents import Incident
from models.provider import Stream
from tasks.client import Client, Tally
from tasks.database import database_errors, one_engine
from tasks.home import database
from tasks.incidents import as_json, read_open
from tasks.intake import open_page
from tasks.lookup import GIVEN_UP_AFTER
from tasks.providers import PROVIDERS
from tasks.run import runtime
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


class Finding(NamedTuple):
    what: str
    problem: str | None


def check(options: Namespace) -> int:
    """Exit status 1 where something is wrong with the world, 2 where it is the configuration."""
    settings = Settings()
    names = options.providers or settings.configured
    if not names:
        raise UsageError("No provider is configured: set its credentials, or try `callweave sandbox`.")
    for name in names:
        settings.account(name, with_secrets=False)
    findings = list(_check_all(settings, names))
    for finding in findings:
        mark = "good" if finding.problem is None else "WRONG"
        sys.stdout.write(f"{mark:<6} {finding.what}{'' if finding.problem is None else f': {finding.problem}'}\n")
    for provider in PROVIDERS.values():
        if provider.name not in settings.configured:
            sys.stdout.write(f"-      {provider.title} is not configured\n")
    return int(any(finding.problem for finding in findings))


def _check_all(settings: Settings, names: list[str]) -> Iterator[Finding]:
    try:
        with connected(settings) as url:
            yield Finding("database: reachable and at the newest migration", None)
            for name in names:
                account = settings.account(name)
                with runtime(settings, account, url) as opened:
                    for stream in account.provider.streams:
                        yield _tried(f"{account.provider.title} {stream.name}", lambda: _ask(opened.client, stream))  # noqa: B023 - called at once
    except UsageError:
        raise
    except CallweaveError as error:
        yield Finding("database", str(error))


def _tried(what: str, attempt: Callable[[], None]) -> Finding:
    try:
        attempt()
    except CallweaveError as error:
        return Finding(what, str(error))
    return Finding(what, None)


def _ask(client: Client, stream: Stream) -> None:
    """One small page of each list, read as a sync would read it."""
    paging: Any = replace(stream.paging, limit=1)  # type: ignore[type-var]  # each paging is a dataclass
    for listing in stream.listings(client.account.credentials):
        answer = client.get(listing.path, listing.params | paging.params(paging.start), Tally())
        open_page(answer.text, stream.items)
