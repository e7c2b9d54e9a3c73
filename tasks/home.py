"""The database a command works on: the one that is configured, else the embedded one, migrated by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import UsageError
from tasks.embedded import postgres
from tasks.migrate import is_behind, upgrade
from tasks.settings import Settings


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """A libpq URL that is up to date. Raises `UsageError` on a database of the user's own that is behind."""
    if url := settings.general.database_url:
        refuse_behind(url)
        yield url
        return
    with postgres(settings.home) as embedded:
        url = embedded.url("callweave")
        if is_behind(url):
            upgrade(url)
        yield url


def refuse_behind(database_url: str) -> None:
    """A database of the user's own is migrated when they say so."""
    if is_behind(database_url):
        raise UsageError("The database of DATABASE_URL is behind this version: run `callweave migrate`.")
