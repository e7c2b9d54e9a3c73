"""Connections to a provider: through the proxy of the environment, and none longer than its answer may take."""

import os
import ssl
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from models.errors import UsageError
from tasks.client.proxies import proxy_for


class Until(float):
    """A timeout of httpcore in seconds, for each read, that besides ends at a moment of the monotonic clock."""

    moment: float

    @classmethod
    def after(cls, seconds: float, each: float) -> "Until":
        until = cls(each)
        until.moment = time.monotonic() + seconds
        return until

    @property
    def left(self) -> float:
        return self.moment - time.monotonic()


class BoundedStream(httpcore.NetworkStream):
    """A stream whose reads obey `Until`: one byte a second would else go on for ever."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not isinstance(timeout, Until):
            return self._inner.read(max_bytes, timeout)
        if timeout.left <= 0:
            raise httpcore.ReadTimeout
        return self._inner.read(max_bytes, min(float(timeout), timeout.left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "BoundedStream":
        return BoundedStream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class BoundedBackend(httpcore.SyncBackend):
    """Opens bounded streams."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> BoundedStream:
        return BoundedStream(super().connect_tcp(host, port, timeout, local_address, socket_options))


def open_transport(base_url: str, connections: int) -> httpx.HTTPTransport:
    """Where requests to `base_url` leave. Raises `UsageError` for a proxy or certificates that cannot be used."""
    limits = httpx.Limits(max_connections=connections)
    # httpx reads the proxies of the environment only where it makes the transport (encode/httpx#1122).
    proxy = proxy_for(base_url)
    try:
        transport = httpx.HTTPTransport(verify=certificates(), limits=limits, retries=0, proxy=proxy)
    except (ImportError, ValueError, httpx.InvalidURL):
        raise UsageError(
            f"The proxy for {base_url} cannot be used: HTTP_PROXY and HTTPS_PROXY take http:// and https:// addresses."
        ) from None
    # httpx has no parameter for it; httpcore's pools take it, under this name.
    transport._pool._network_backend = BoundedBackend()  # noqa: SLF001
    return transport


def certificates() -> ssl.SSLContext:
    """Of the authorities that are trusted, by `SSL_CERT_FILE` or `SSL_CERT_DIR` where they are set.

    Raises `UsageError` where they cannot be read.
    """
    return _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=2)
def _certificates(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Reading them takes longer than many a request; httpx looks at the same two variables."""
    try:
        return httpx.create_ssl_context()
    except OSError:
        name, value = ("SSL_CERT_FILE", file) if file else ("SSL_CERT_DIR", folder)
        raise UsageError(f"{name}: {value} holds no certificates that can be read; it takes PEM.") from None
