"""The command `check`: each line says good, or what is wrong and what to do."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager

from flows.cli.local import running_stack
from models.errors import CallweaveError, UsageError
from models.request import Request
from tasks.database import database_errors, one_engine
from tasks.diagnostics.checks import Result, of_account, of_behaviour, of_database
from tasks.diagnostics.prefect_checks import of_alerts, of_prefect
from tasks.embedded.daemon import Daemon
from tasks.extract.runtime import Runtime, runtime
from tasks.extract.stream_run import StreamRun
from tasks.home import database
from tasks.providers import PROVIDERS
from tasks.settings import Settings


def check(options: Namespace) -> int:
    """Exit status 1 where something is wrong with the world, 2 where it is the configuration."""
    settings = Settings()
    names = options.providers or settings.configured
    if not names:
        raise UsageError("No provider is configured: set its credentials, or try `callweave sandbox`.")
    broken = dict(_half_configured(settings, names))
    if len(broken) == len(names):
        raise UsageError(" ".join(broken.values()))
    results = [*_all(settings, [name for name in names if name not in broken])]
    results += [Result(f"configuration of {name.partition(':')[0]}", problem) for name, problem in broken.items()]
    for result in results:
        mark = "-" if result.is_note else "good" if result.problem is None else "WRONG"
        sys.stdout.write(f"{mark:<6} {result.what}{'' if result.problem is None else f': {result.problem}'}\n")
    for provider in PROVIDERS.values():
        if provider.name not in settings.configured:
            sys.stdout.write(f"-      {provider.title} is not configured\n")
    return int(any(result.problem for result in results))


def _half_configured(settings: Settings, names: list[str]) -> Iterator[tuple[str, str]]:
    """Accounts that cannot be used, and why. Raises `UsageError` on a name that no provider has."""
    for name in names:
        try:
            settings.account(name, with_secrets=False)
        except UsageError as error:
            if name.partition(":")[0] not in PROVIDERS:
                raise
            yield name, str(error)


def _all(settings: Settings, names: list[str]) -> Iterator[Result]:
    yield Result(f"configuration: {', '.join(names)}")
    has_begun = False
    try:
        with _stack(settings) as url:
            has_begun = True
            yield from _of_database(url)
            yield from _of_prefect(settings)
            for name in names:
                account = settings.account(name)
                with runtime(settings, account, url) as opened:
                    yield from _of_account(opened)
            yield from of_alerts(settings)
    except UsageError:
        raise
    except CallweaveError as error:
        yield Result("database", str(error))
        if not has_begun:
            yield from _without_database(settings, names)


def _without_database(settings: Settings, names: list[str]) -> Iterator[Result]:
    """What can be tried all the same: keys cannot, since the budget of requests is kept there."""
    yield Result(f"not tried without a database: {', '.join(names)}", is_note=True)
    if url := settings.general.prefect_api_url:
        yield from of_prefect(url, is_ours=False, with_alerts=settings.alert_url is not None)
    yield from of_alerts(settings)


def _of_account(opened: Runtime) -> Iterator[Result]:
    """Key, rights and a page of each list; then what is assumed of the lists that can be read."""
    results = list(of_account(opened.client, opened.account.region))
    yield from results
    if any(result.problem for result in results):
        return
    for stream in opened.account.provider.streams:
        for context in StreamRun(opened, stream, Request(streams=(stream.name,))).contexts:
            yield from of_behaviour(context)


def _stack(settings: Settings) -> AbstractContextManager[str]:
    """Prefect's server is started only for what stands in its blocks; one that runs is asked."""
    return running_stack(settings) if settings.uses_blocks or _has_prefect(settings) else database(settings)


def _has_prefect(settings: Settings) -> bool:
    own = Daemon(settings.home, "prefect")
    return bool(settings.general.prefect_api_url) or (settings.home.is_dir() and own.running())


def _of_database(url: str) -> Iterator[Result]:
    with one_engine(url) as engine, database_errors(), engine.connect() as connection:
        yield from of_database(connection)


def _of_prefect(settings: Settings) -> Iterator[Result]:
    if _has_prefect(settings):
        is_ours, with_alerts = not settings.general.prefect_api_url, settings.alert_url is not None
        yield from of_prefect(os.environ["PREFECT_API_URL"], is_ours=is_ours, with_alerts=with_alerts)
    else:
        yield Result("Prefect: a server of our own, which runs while a command needs it, or `make up`", is_note=True)
