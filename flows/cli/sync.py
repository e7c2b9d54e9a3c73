"""What the commands do. Flows are imported only once Prefect's settings stand in the environment."""

import sys
from argparse import Namespace
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import func, select

from flows.cli.local import connected, run_all, running_stack
from flows.rendering import terminal
from flows.rendering.terminal import Receipts
from models.errors import DatabaseUnavailable, UsageError
from models.request import Request
from models.vocabulary import RunState, StreamName
from tasks.database import database_errors, one_engine
from tasks.diagnostics.status import unreconciled
from tasks.extract.estimate import estimate
from tasks.extract.runtime import runtime
from tasks.extract.stream_run import StreamRun
from tasks.ledger.receipt import RunReceipt
from tasks.providers import PROVIDERS
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
    _refuse_future(settings, request)
    with running_stack(settings) as url:
        receipts = sync_all(accounts, request)
        note = None if options.json else _waiting(url)
    return _report(receipts, note, as_json=options.json)


def sync_all(accounts: list[Account], request: Request) -> list[RunReceipt]:
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
    _refuse_future(settings, request)
    if options.dry_run:
        return _estimate(settings, options.provider, request, options)
    with running_stack(settings) as url:
        receipts = run_all([(account, partial(_backfill_flow, account, request))], request)
        note = None if options.json else _waiting(url)
    return _report(receipts, note, as_json=options.json)


def _refuse_future(settings: Settings, request: Request) -> None:
    """By the database's clock: an embedded one has this machine's, another is asked where this machine says future."""
    now = datetime.now(UTC)
    if request.since and request.since >= now and (url := settings.general.database_url):
        with one_engine(url) as engine, database_errors(), engine.connect() as connection:
            now = connection.execute(select(func.clock_timestamp())).scalar_one()
    request.refuse_future(now)


def _check_filters(accounts: list[Account], request: Request) -> None:
    for account in accounts:
        for stream in account.streams(request.streams):
            request.filters_of(stream)


def _sync_flow(account: Account, request: Request, observer: Receipts) -> Any:
    from flows.sync import make_sync

    return make_sync(account.provider, observer)(
        streams=list(request.streams),
        since=request.since,
        until=request.until,
        full=request.full,
        call_ids=list(request.call_ids),
        filters=dict(request.filters) or None,
        allow_deletes=request.allow_deletes,
        return_state=True,
    )


def _backfill_flow(account: Account, request: Request, observer: Receipts) -> Any:
    from flows.sync import make_backfill

    return make_backfill(observer)(
        provider=account.provider.name,
        since=request.since,
        until=request.until,
        filters=dict(request.filters) or None,
        return_state=True,
    )


def _waiting(url: str) -> str | None:
    """What is left to reconcile; nothing is said of it where the database went away, which the receipts say."""
    with suppress(DatabaseUnavailable):
        return unreconciled(url)
    return None


def _report(receipts: list[RunReceipt], note: str | None, *, as_json: bool) -> int:
    state = RunState.of([one.state for one in receipts])
    for one in receipts:
        if one.error:
            sys.stderr.write(f"callweave: {one.provider} {one.stream} {one.state}: {one.error}\n")
        elif one.warning:
            sys.stderr.write(f"callweave: {one.provider} {one.stream}: {one.warning}\n")
    if as_json:
        seconds = max(one.ended for one in receipts) - min(one.began for one in receipts)
        documents = [one.document for one in receipts]
        terminal.show_json({"state": state, "seconds": round(seconds, 3), "runs": documents})
    else:
        terminal.show(receipts)
        sys.stdout.write(f"\n{note}\n" if note else "")
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


def _estimate(settings: Settings, name: str, request: Request, options: Namespace) -> int:
    """What a backfill would ask for: windows, and requests and minutes at the account's budget."""
    with connected(settings) as url:
        account = settings.account(name)
        with runtime(settings, account, url) as opened:
            counts = estimate(StreamRun(opened, account.provider.stream(StreamName.CALLS), request))
    minutes = round(counts["requests"] / account.requests_per_second / 60, 1)
    if options.json:
        terminal.show_json(counts | {"minutes": minutes})
    else:
        sys.stdout.write(
            f"{counts['windows']:,} windows, about {counts['requests']:,} requests, "
            f"{minutes:,} minutes at {account.requests_per_second:g} requests a second\n"
        )
    return 0
