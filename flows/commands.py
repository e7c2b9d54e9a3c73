"""What the commands do. Flows are imported only once Prefect's settings stand in the environment."""

import sys
from argparse import Namespace
from functools import partial
from typing import Any

from flows import terminal
from flows.here import connected, run_all, running_stack
from models.errors import UsageError
from models.vocabulary import RunState, StreamName
from tasks.database import one_engine
from tasks.estimate import estimate
from tasks.home import database
from tasks.line import Line
from tasks.migrate import upgrade
from tasks.people import undo_merge
from tasks.providers import PROVIDERS
from tasks.run import Request, StreamRun, runtime
from tasks.settings import Account, Settings


def sync(options: Namespace) -> int:
    settings = Settings()
    streams = tuple(StreamName(name) for name in dict.fromkeys(options.streams or StreamName))
    request = Request(
        streams=(StreamName.CALLS,) if options.call_ids else streams,
        since=options.since,
        until=options.until,
        full=options.full,
        call_ids=tuple(options.call_ids),
        filters=_filters(options.filters),
        allow_deletes=options.allow_deletes,
    )
    if options.call_ids and (len(options.providers) != 1 or "all" in options.providers):
        raise UsageError("--call-id needs one provider.")
    accounts = _accounts(settings, options.providers)
    _check_filters(accounts, request)
    with running_stack(settings):
        lines = sync_lines(accounts, request)
    return _report(lines, as_json=options.json)


def sync_lines(accounts: list[Account], request: Request) -> list[Line]:
    """Runs the sync flows side by side, on a stack that is running."""
    return run_all([(account, partial(_sync_flow, account, request)) for account in accounts], request)


def backfill(options: Namespace) -> int:
    settings = Settings()
    request = Request(
        streams=(StreamName.CALLS,),
        since=options.since,
        until=options.until,
        filters=_filters(options.filters),
        backfill=True,
    )
    account = settings.account(options.provider, with_secrets=False)
    _check_filters([account], request)
    if options.dry_run:
        return _estimate(settings, options.provider, request, options)
    with running_stack(settings):
        lines = run_all([(account, partial(_backfill_flow, account, request))], request)
    return _report(lines, as_json=options.json)


def _check_filters(accounts: list[Account], request: Request) -> None:
    for account in accounts:
        for stream in account.streams(request.streams):
            request.filters_of(stream)


def _sync_flow(account: Account, request: Request) -> None:
    from flows import sync as flows

    flow = getattr(flows, f"sync_{account.provider.name}")
    flow(
        streams=list(request.streams),
        since=request.since,
        until=request.until,
        full=request.full,
        call_ids=list(request.call_ids),
        filters=dict(request.filters) or None,
        allow_deletes=request.allow_deletes,
        return_state=True,
    )


def _backfill_flow(account: Account, request: Request) -> None:
    from flows.sync import backfill

    backfill(
        provider=account.provider.name,
        since=request.since,
        until=request.until,
        filters=dict(request.filters) or None,
        return_state=True,
    )


def _report(lines: list[Line], *, as_json: bool) -> int:
    state = RunState.of([line.state for line in lines])
    for line in lines:
        if line.error:
            sys.stderr.write(f"callweave: {line.provider} {line.stream} {line.state}: {line.error}\n")
        elif line.warning:
            sys.stderr.write(f"callweave: {line.provider} {line.stream}: {line.warning}\n")
    if as_json:
        seconds = max(line.ended for line in lines) - min(line.began for line in lines)
        document = {"state": state, "seconds": round(seconds, 3), "runs": [line.receipt for line in lines]}
        terminal.show_json(document)
    else:
        terminal.show(lines)
    return 0 if state is RunState.COMPLETED else 1


def _accounts(settings: Settings, names: list[str]) -> list[Account]:
    """The accounts that `names` stand for; `all` leaves out what is not configured, and says so."""
    if "all" not in names:
        return [settings.account(name, with_secrets=False) for name in dict.fromkeys(names)]
    if missing := [PROVIDERS[name].title for name in PROVIDERS if name not in settings.configured]:
        sys.stderr.write(f"callweave: not configured, left out: {', '.join(missing)}\n")
    if not settings.configured:
        raise UsageError("No provider is configured: set its credentials, or try `callweave sandbox`.")
    return [settings.account(name, with_secrets=False) for name in settings.configured]


def _filters(given: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` texts by name; a name given again makes a list."""
    filters: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--filter {text!r}: write NAME=VALUE.")
        filters.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in filters.items()}


def migrate(_options: Namespace) -> int:
    settings = Settings()
    if url := settings.general.database_url:
        upgrade(url)
    else:
        with database(settings):
            pass
    sys.stderr.write("The database is at the newest migration.\n")
    return 0


def person(options: Namespace) -> int:
    """`person undo MERGE`, the only action there is."""
    with database(Settings()) as url, one_engine(url) as engine:
        persons = undo_merge(engine, options.merge)
    sys.stdout.write(f"Apart again, for good: persons {', '.join(map(str, persons))}\n")
    return 0


def sandbox(options: Namespace) -> int:
    from sandbox.cli import describe_faults, serve
    from sandbox.faults import FAULTS

    if unknown := [name for name in options.faults if name not in FAULTS]:
        raise UsageError(f"There is no fault {unknown[0]!r}. There are:\n{describe_faults()}")
    return serve(port=options.port, calls=options.calls, seed=options.seed, faults=options.faults)


def _estimate(settings: Settings, name: str, request: Request, options: Namespace) -> int:
    """What a backfill would ask for: windows, and requests and minutes at the account's budget."""
    with connected(settings) as url:
        account = settings.account(name)
        with runtime(settings, account, url) as opened:
            counts = estimate(StreamRun(opened, account.provider.stream(StreamName.CALLS), request, None))
    minutes = round(counts["requests"] / account.requests_per_second / 60, 1)
    if options.json:
        terminal.show_json(counts | {"minutes": minutes})
    else:
        sys.stdout.write(
            f"{counts['windows']:,} windows, about {counts['requests']:,} requests, "
            f"{minutes:,} minutes at {account.requests_per_second:g} requests a second\n"
        )
    return 0
