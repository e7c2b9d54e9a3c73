"""The alert channel: an Apprise URL, which can be tried without a message; the heartbeat for a dead-man's switch."""

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx

from models.alerts.messages import Message

TIMEOUT_SECONDS = 5.0


class Channel:
    """An Apprise URL. Importing Apprise takes half a second: made only where there is a message to send."""

    def __init__(self, url: str) -> None:
        from apprise import Apprise  # noqa: PLC0415 - see above

        self._apprise = Apprise()
        self.is_understood = bool(self._apprise.add(url))

    def send(self, message: Message) -> bool:
        """Whether it was delivered."""
        title, body, kind = message.title, message.body, str(message.severity)
        return self.is_understood and bool(self._apprise.notify(body, title, kind))

    def problem(self) -> str | None:
        """Why nothing could be delivered now, without sending a message; None where it could, or is unknown."""
        if not self.is_understood:
            return "CALLWEAVE_ALERT_URL is no URL that Apprise understands"
        for service in self._apprise:
            if (address := _address(service)) is None:
                continue
            try:
                socket.create_connection(address, timeout=TIMEOUT_SECONDS).close()
            except OSError as error:
                return f"the host of CALLWEAVE_ALERT_URL does not answer ({type(error).__name__})"
        return None


def _address(service: Any) -> tuple[str, int] | None:
    """Where a service of Apprise sends to: the vendor's own address, else the host of the URL."""
    vendor = urlsplit(str(getattr(service, "notify_url", None) or ""))
    if vendor.hostname:
        return (vendor.hostname, 443 if vendor.scheme == "https" else 80) if "{" not in vendor.hostname else None
    if not any("{host}" in template for template in getattr(service, "templates", ())):
        return None  # what stands in the place of a host is a token
    return service.host, service.port or (443 if service.secure else 80)


def beat(url: str) -> str | None:
    """Reports to the dead-man's switch that all is well; returns why that failed, if it did."""
    try:
        httpx.get(url, timeout=TIMEOUT_SECONDS, follow_redirects=True).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return type(error).__name__
    return None
