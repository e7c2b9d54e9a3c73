"""The REST API of the embedded Prefect server, asked with its key."""

import httpx

from tasks.embedded import Stack
from tests.support.patience import PATIENCE


def basic_auth(key: str) -> httpx.BasicAuth:
    """`key` is `user:password`."""
    user, _, password = key.partition(":")
    return httpx.BasicAuth(user, password)


def api_client(servers: Stack) -> httpx.Client:
    return httpx.Client(base_url=servers.prefect_api_url, auth=basic_auth(servers.prefect_key), timeout=PATIENCE)
