"""HTTP to one account: paced by the budget, retried below the authentication, errors named by what to do."""

import email.utils
import math
import re
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import httpx
from httpx_retries import Retry, RetryTransport

from models.errors import ContractBroken, CredentialsRejected, ProviderUnavailable, RateLimited, error_for_status
from models.json_text import clean
from models.provider import Params
from tasks.budget import Budget
from tasks.settings import Account, credential_variables

TIMEOUT = httpx.Timeout(30, connect=10)
TRIES_AGAIN = 4
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 120.0
"""Seconds a request may be told to wait; a longer wait ends the window and leaves it to a later run."""
RETRIED = {408, 429, *range(500, 600)}
ONCE = Retry(total=0)
"""For a provider that is down, until it answers again: what is asked then need not find that out anew."""

PHONE = re.compile(r"\+?\d[\d\s().\-]{5,}\d")


class Answer(NamedTuple):
    """The body, cleaned for Postgres, and when the request for it was sent, by the database's clock."""

    text: str
    sent_at: datetime
    date: str | None = None
    """When the provider says that it answered."""


class Tally:
    """How many requests were sent, retries and tokens included."""

    def __init__(self) -> None:
        self.requests = 0


class PacedTransport(httpx.BaseTransport):
    """Under the retries: every try takes its slot, is counted, and hands the provider's wishes to the budget."""

    def __init__(self, inner: httpx.BaseTransport, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent_at = self._budget.wait_for_slot()
        request.extensions["tally"].requests += 1
        response = self._inner.handle_request(request)
        # Read here, so that a connection lost in the middle of a body is retried too.
        response.read()
        response.extensions["sent_at"] = sent_at
        self._heed(response)
        return response

    def _heed(self, response: httpx.Response) -> None:
        wait = asked_to_wait(response)
        if wait is None:
            return
        if wait > LONGEST_PAUSE and response.is_error:
            raise RateLimited(f"the provider asked for a pause of {wait:.0f} seconds", retry_after=wait)
        self._budget.push(wait)
        response.headers["Retry-After"] = str(math.ceil(wait))

    def close(self) -> None:
        self._inner.close()


def asked_to_wait(response: httpx.Response) -> float | None:
    """Seconds the provider asks for: `Retry-After` in either form, or a spent `X-RateLimit` until its reset."""
    headers = response.headers
    refused = response.status_code in {429, 503}
    if refused and (wait := _retry_after(headers.get("Retry-After"), _server_time(headers))) is not None:
        return wait
    if response.status_code == 429 or headers.get("X-RateLimit-Remaining", "").strip() == "0":
        return _until_reset(headers)
    return None


def _retry_after(value: str | None, now: float) -> float | None:
    if not value:
        return None
    try:
        return max(float(value), 0) if value.strip()[:1].isdigit() else max(seconds(value) - now, 0)
    except (TypeError, ValueError):
        return None


def _until_reset(headers: httpx.Headers) -> float | None:
    """The reset is a Unix time; some vendors send seconds from now instead."""
    try:
        reset = float(headers["X-RateLimit-Reset"])
    except (KeyError, ValueError):
        return None
    return max(reset - _server_time(headers), 0) if reset > 1e6 else max(reset, 0)


def _server_time(headers: httpx.Headers) -> float:
    try:
        return seconds(headers["Date"])
    except (KeyError, TypeError, ValueError):
        return time.time()


def seconds(date: str) -> float:
    """An HTTP date, since the epoch. Raises `ValueError` where it is none."""
    return email.utils.parsedate_to_datetime(date).timestamp()


@cache
def certificates() -> ssl.SSLContext:
    """Of the authorities that are trusted: reading them takes longer than many a request."""
    return httpx.create_ssl_context()


class Client:
    """Asks one account for pages and records. Shared by the threads of a run."""

    def __init__(self, account: Account, budget: Budget, connections: int) -> None:
        self.account = account
        self._is_down = False
        retry = Retry(
            total=TRIES_AGAIN,
            backoff_factor=FIRST_PAUSE,
            backoff_jitter=0.5,
            max_backoff_wait=LONGEST_PAUSE,
            allowed_methods=["GET", "POST"],
            status_forcelist=RETRIED,
        )
        limits = httpx.Limits(max_connections=connections)
        inner = httpx.HTTPTransport(verify=certificates(), limits=limits, retries=0)
        self._http = httpx.Client(
            base_url=account.base_url,
            auth=account.provider.auth(account.credentials),
            headers={"User-Agent": "callweave", "Accept": "application/json", **account.provider.headers},
            timeout=TIMEOUT,
            transport=RetryTransport(transport=PacedTransport(inner, budget), retry=retry),
        )

    def get(self, path: str, params: Params, tally: Tally) -> Answer:
        """One GET. Raises the `ProviderError` that says what to do."""
        extensions = {"tally": tally} | ({"retry": ONCE} if self._is_down else {})
        response = self._translate(lambda: self._http.get(path, params=params, extensions=extensions))
        self._is_down = response.is_server_error
        if response.is_success:
            return Answer(clean(response.content), response.extensions["sent_at"], response.headers.get("Date"))
        raise self._refusal(response, path)

    def close(self) -> None:
        self._http.close()

    def _translate(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        title = self.account.provider.title
        try:
            return send()
        except RateLimited as error:
            raise RateLimited(f"{title}: {error}; try again later.", retry_after=error.retry_after) from None
        except httpx.TransportError as error:
            self._is_down = True
            raise ProviderUnavailable(
                f"{title} cannot be reached at {self.account.base_url} ({type(error).__name__}); check the network "
                f"and {self.account.provider.name.upper()}_BASE_URL."
            ) from error

    def _refusal(self, response: httpx.Response, path: str) -> Exception:
        provider, status = self.account.provider, response.status_code
        kind = error_for_status(status) if status >= 400 else ContractBroken
        if kind is CredentialsRejected:
            variables = " and ".join(credential_variables(provider))
            return kind(f"{provider.title} refused the {provider.secret_words} ({status}): check {variables}.")
        return kind(f"{provider.title} answered {status} to {path}: {self._excerpt(response)}")

    def _excerpt(self, response: httpx.Response) -> str:
        """The beginning of a body, with secrets and telephone numbers taken out."""
        text = " ".join(response.text.split())[:200] or "no explanation"
        for secret in self.account.secrets():
            text = text.replace(secret, "***")
        return masked(text)


def masked(text: Any) -> str:
    """`text` with every telephone number reduced to its last two digits."""
    return PHONE.sub(lambda match: "…" + match[0][-2:], str(text))
