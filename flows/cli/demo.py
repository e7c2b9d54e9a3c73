"""The command `demo`: everything brought up, shown and stopped again."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from urllib.request import urlopen

from sqlalchemy import Engine, text

from flows.cli.local import running_stack
from flows.cli.matching import reconciled, show
from flows.cli.processes import beside, say
from flows.cli.sync import sync_all
from flows.rendering import terminal
from models.errors import CallweaveError
from models.request import Request
from models.vocabulary import RunState, StreamName
from tasks.database import one_engine
from tasks.migrate import upgrade
from tasks.providers import PROVIDERS
from tasks.settings import Settings, environment

DEMO_CALLS = 3_000

BUSIEST = text("""
    SELECT display_name, e164s[1] AS e164, array_to_string(providers, ', ') AS providers, call_count, last_call_at
    FROM v1.person WHERE display_name IS NOT NULL AND call_count > 0 ORDER BY call_count DESC, person_id LIMIT 3
""")
HELD = text("""
    SELECT provider, 'calls' AS stream, count(*) FROM v1.call GROUP BY 1
    UNION ALL SELECT provider, 'contacts', count(*) FROM v1.contact GROUP BY 1
""")


def demo(_options: Namespace) -> int:
    """Three fake providers into an embedded Postgres of its own; compares what arrived with what was there."""
    say("Starting three fake providers, an embedded Postgres and a Prefect server ...")
    with ExitStack() as stack:
        url = stack.enter_context(sandbox_process(DEMO_CALLS))
        os.environ |= {"CALLWEAVE_HOME": str(Settings().home / "demo"), "DATABASE_URL": "", "PREFECT_API_URL": ""}
        os.environ |= {f"{name.upper()}_REQUESTS_PER_SECOND": "200" for name in PROVIDERS}
        settings = Settings()
        database_url = stack.enter_context(running_stack(settings))
        _empty(database_url)
        accounts = [settings.account(name) for name in PROVIDERS]
        say(f"Syncing all of them at once; Prefect's UI meanwhile: {ui(settings)}.\n")
        first = sync_all(accounts, Request(full=True))
        terminal.show(first)
        say("\nOnce more, every window again: what is known is not written a second time.\n")
        second = sync_all(accounts, Request(full=True))
        terminal.show(second)
        with one_engine(database_url) as engine:
            agrees = _summary(engine, url)
        say("\nEvery call, once: recognising the same call in all of them.\n")
        show(reconciled(Request(streams=(StreamName.CALLS,))))
        with one_engine(database_url) as engine:
            _show_busiest(engine)
            show_score(engine, url)
    say("\nEverything is stopped again. What next:\n" + NEXT)
    return 0 if agrees and RunState.of([one.state for one in first + second]) is RunState.COMPLETED else 1


def _empty(database_url: str) -> None:
    """The world of an earlier demo was another one."""
    with one_engine(database_url) as engine, engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS v1 CASCADE"))
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    upgrade(database_url)


NEXT = """\
  make up                        the same stack left running, with schedules and Prefect's UI
  .venv/bin/callweave --help     every command; README.md says how to point it at real accounts
"""


def _summary(engine: Engine, sandbox_url: str) -> bool:
    """Whether Postgres holds as many records as the providers do."""
    with urlopen(f"{sandbox_url}/_truth/counts") as answer:  # noqa: S310 - our own sandbox
        truth = json.load(answer)
    with engine.connect() as connection:
        held = {(provider, stream): count for provider, stream, count in connection.execute(HELD)}
    wrong = [
        f"{provider} {stream}: {held.get((provider, stream), 0)} in Postgres, {count} at the provider"
        for provider, streams in truth.items()
        for stream, count in streams.items()
        if held.get((provider, stream), 0) != count
    ]
    total = sum(held.values())
    outcome = "\n".join(wrong) or f"Postgres holds {total:,} records, exactly what the three providers hold."
    sys.stdout.write(f"\n{outcome}\n")
    return not wrong


def _show_busiest(engine: Engine) -> None:
    with engine.connect() as connection:
        busiest = connection.execute(BUSIEST).all()
    sys.stdout.write("\nWho is called most, each real call counted once (v1.person):\n")
    rows = [
        [row.display_name, row.e164, row.providers, str(row.call_count), f"{row.last_call_at:%F %H:%M}"]
        for row in busiest
    ]
    terminal.show_rows(["name", "number", "known to", "calls", "last call"], rows)


def ui(settings: Settings) -> str:
    """The address of Prefect's UI; of the embedded server's, one that logs the browser in."""
    address = os.environ["PREFECT_API_URL"].removesuffix("/api")
    is_ours = not settings.general.prefect_api_url
    return f"{address}/open#{os.environ['PREFECT_API_AUTH_STRING']}" if is_ours else address


@contextmanager
def sandbox_process(calls: int) -> Iterator[str]:
    """The sandbox in a process of its own, and everything pointed at it and nothing else."""
    with beside(["-m", "flows", "sandbox", "--calls", str(calls)], stdout=subprocess.PIPE) as process:
        prefixes = tuple(f"{name.upper()}_" for name in PROVIDERS)
        os.environ |= {name: "" for name in environment() if name.startswith(prefixes)}
        exports = _exports(process)
        os.environ |= exports
        yield next(value for name, value in exports.items() if name.endswith("_BASE_URL"))


def _exports(process: subprocess.Popen[str]) -> dict[str, str]:
    """The `export` lines the sandbox begins with; the last comes before the line on what it serves."""
    assert process.stdout is not None
    found: dict[str, str] = {}
    while line := process.stdout.readline().removeprefix("export ").strip():
        name, _, value = line.partition("=")
        found[name] = value
        if name == "CALLWEAVE_HISTORY":
            return found
    raise CallweaveError("The sandbox did not start.")


Record = tuple[str, str]
Pair = tuple[Record, Record]
MEMBERS = text("SELECT provider, external_id, unified_call_id FROM v1.call WHERE unified_call_id IS NOT NULL")


def show_score(engine: Engine, sandbox_url: str) -> None:
    """Precision and recall of pairs of records, those of one provider aside."""
    with urlopen(f"{sandbox_url}/_truth/unified") as answer:  # noqa: S310 - our own sandbox
        same = [[(provider, id_) for provider, id_ in records] for records in json.load(answer)]
    with engine.connect() as connection:
        rows = connection.execute(MEMBERS).all()
    held = {(row.provider, row.external_id) for row in rows}
    calls: dict[int, list[Record]] = {}
    for row in rows:
        calls.setdefault(row.unified_call_id, []).append((row.provider, row.external_id))
    true = _pairs([[record for record in records if record in held] for records in same])
    said = _pairs(list(calls.values()))
    sys.stdout.write(
        f"\n{len(rows):,} records are {len(calls):,} real calls. Of {len(true):,} pairs that the sandbox knows to be "
        f"one call, {len(said & true):,} were found ({_share(len(said & true), len(true))}); "
        f"{_share(len(said & true), len(said))} of those found are right.\n"
    )


def _pairs(calls: list[list[Record]]) -> set[Pair]:
    return {pair for records in calls for pair in combinations(sorted(records), 2) if pair[0][0] != pair[1][0]}


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "none"
