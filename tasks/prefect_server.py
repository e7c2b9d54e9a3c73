"""Prefect's server, asked through Prefect's own client: the one place that knows how that client fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import httpx

from models.errors import PrefectUnavailable

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

T = TypeVar("T")

STRANGER = "https://stranger.example"
SECONDS = 10.0


class Door(NamedTuple):
    """Whom Prefect's API answers."""

    answers_anybody: bool
    """Without a password."""
    answers_pages: bool
    """Pages of other sites too, in the browser of anybody who can reach it."""


def door(api_url: str) -> Door:
    """Asks as a page of another site would: from a foreign origin, without a password. Raises `PrefectUnavailable`."""
    try:
        answer = httpx.post(f"{api_url}/deployments/count", json={}, headers={"Origin": STRANGER}, timeout=SECONDS)
    except httpx.HTTPError as error:
        raise PrefectUnavailable(f"Prefect's server does not answer ({type(error).__name__})") from error
    return Door(answer.is_success, answer.headers.get("access-control-allow-origin") in {"*", STRANGER})


@contextmanager
def prefect_client() -> Iterator["SyncPrefectClient"]:
    """A client of the server that Prefect's settings name.

    Raises `PrefectUnavailable`, also from inside the block, where the server does not answer or refuses: Prefect's
    client lets httpx's errors through, and makes a `RuntimeError` of some failed connections.
    """
    from prefect import get_client  # noqa: PLC0415 - a second of import, only where Prefect is asked

    with prefect_errors(), get_client(sync_client=True) as client:
        yield client


@contextmanager
def prefect_errors() -> Iterator[None]:
    """Names a server that does not answer or refuses as such, around whatever asks it through Prefect's own client."""
    try:
        yield
    except (httpx.HTTPError, RuntimeError) as error:
        raise PrefectUnavailable(
            f"Prefect's server does not answer or refuses its key ({type(error).__name__}): start it, or correct "
            "PREFECT_API_URL and PREFECT_API_AUTH_STRING."
        ) from error


def all_parts(ask: Callable[[int], list[T]]) -> Iterator[T]:
    """All of a list of Prefect's server, which gives at most 200 at once unless it is configured otherwise.

    `ask`: offset → the part of the list that begins there.
    """
    offset = 0
    while part := ask(offset):
        yield from part
        offset += len(part)
