"""Connections of one account, open for the time of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine

from models.coverage import Sizes
from models.request import Brake
from tasks.client.client import Client, RetryPolicy
from tasks.client.rate_limit import Budget
from tasks.database import engine_for
from tasks.settings import Account, Settings

KEEP_HISTORY = "callweave.keep_history"
"""The setting of a session by which the trigger of `call` keeps what a record said before."""


@dataclass(slots=True)
class Runtime:
    account: Account
    settings: Settings
    engine: Engine
    budget_engine: Engine
    client: Client
    sizes: Sizes = field(default_factory=Sizes)
    numbers: set[str] = field(default_factory=set)
    """Telephone numbers that are registered, of all streams."""

    @property
    def brake(self) -> Brake:
        return Brake(*self.settings.general.callweave_delete_brake)

    def close(self) -> None:
        self.client.close()
        self.engine.dispose()
        self.budget_engine.dispose()


def open_runtime(  # noqa: PLR0913 - two of them are for tests that take smaller steps
    settings: Settings,
    account: Account,
    database_url: str,
    *,
    bulk: bool = False,
    sizes: Sizes | None = None,
    retry: RetryPolicy | None = None,
) -> Runtime:
    """Opens an account; with `bulk` its requests yield to those of other runs."""
    workers = settings.general.callweave_workers
    budget_engine = engine_for(database_url, 2, {"synchronous_commit": "off"})
    limits = settings.limits
    rate, pause = account.requests_per_second, limits.pause_seconds
    budget = Budget(budget_engine, account.key, rate, longest_pause=pause, bulk=bulk)
    client = Client(account, budget, workers, retry or RetryPolicy(), limits)
    engine = engine_for(database_url, workers + 2, {KEEP_HISTORY: settings.general.callweave_keep_history})
    return Runtime(account, settings, engine, budget_engine, client, sizes or Sizes())


@contextmanager
def runtime(settings: Settings, account: Account, database_url: str, *, bulk: bool = False) -> Iterator[Runtime]:
    opened = open_runtime(settings, account, database_url, bulk=bulk)
    try:
        yield opened
    finally:
        opened.close()
