"""The proxies of the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in upper or lower case."""

from collections.abc import MutableMapping
from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def proxy_for(url: str) -> str | None:
    """The proxy that requests to `url` go through; never one for this machine, which a proxy cannot mean."""
    parts, proxies = urlsplit(url), getproxies()
    host = parts.hostname or ""
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def spare_loopback(environ: MutableMapping[str, str]) -> None:
    """Adds this machine to `NO_PROXY`, for the libraries that ask for it: Prefect's client and the alerts' library."""
    if not any(name.lower().endswith("_proxy") for name in environ):
        return
    for name in ("NO_PROXY", "no_proxy"):
        known = [part.strip() for part in environ.get(name, environ.get("NO_PROXY", "")).split(",") if part.strip()]
        environ[name] = ",".join([*known, *(host for host in LOOPBACK if host not in known)])
