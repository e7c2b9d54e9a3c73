"""The command `check`: each line says good, or what is wrong and what to do."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager

from flows.here import running_stack
from models.errors import CallweaveError, UsageError
from tasks.database import database_errors, one_engine
from tasks.embedded.daemon import Daemon
from tasks.home import database
from tasks.probe import Result, of_account, of_database
from tasks.probe_prefect import of_alerts, of_prefect
from tasks.providers import PROVIDERS
from tasks.run import runtime
from tasks.settings import Settings


def check(options: Namespace) -> int:
    """Exit status 1 where something is wrong with the world, 2 where it is the configuration."""
    settings = Settings()
    names = options.providers or settings.configured
    if not names:
        raise UsageError("No provider is configured: set its credentials, or try `callweave sandbox`.")
    for name in names:
        settings.account(name, with_secrets=False)
    results = list(_all(settings, names))
    for result in results:
        mark = "-" if result.is_note else "good" if result.problem is None else "WRONG"
        sys.stdout.write(f"{mark:<6} {result.what}{'' if result.problem is None else f': {result.problem}'}\n")
    for provider in PROVIDERS.values():
        if provider.name not in settings.configured:
            sys.stdout.write(f"-      {provider.title} is not configured\n")
    return int(any(result.problem for result in results))


def _all(settings: Settings, names: list[str]) -> Iterator[Result]:
    yield Result(f"configuration: {', '.join(names)}")
    try:
        with _stack(settings) as url:
            yield from _of_database(url)
            yield from _of_prefect(settings)
            for name in names:
                account = settings.account(name)
                with runtime(settings, account, url) as opened:
                    yield from of_account(opened.client, account.region)
            yield from of_alerts(settings)
    except UsageError:
        raise
    except CallweaveError as error:
        yield Result("database", str(error))


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
        yield from of_prefect(os.environ["PREFECT_API_URL"], is_ours=not settings.general.prefect_api_url)
    else:
        yield Result("Prefect: a server of our own, which runs while a command needs it, or `make up`", is_note=True)
