"""HTTP to one account: paced by the budget, retried below the authentication, errors named by what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import httpx
from httpx_retries import Retry, RetryTransport

from models.errors import (
    AccessForbidden,
    ContractBroken,
    CredentialsRejected,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RecordNotFound,
    error_for_status,
)
from models.json_text import clean
from models.provider import Params
from tasks.client.body import ACCEPTED, unlike_json
from tasks.client.connection import open_transport
from tasks.client.limits import Limits
from tasks.client.rate_limit import Budget
from tasks.client.redaction import outward, quoted
from tasks.client.transport import PacedTransport, Tally
from tasks.client.trouble import why
from tasks.settings import Account, credential_variables

TIMEOUT = httpx.Timeout(30, connect=10)
HEADERS = {"User-Agent": "callweave", "Accept": "application/json", "Accept-Encoding": ACCEPTED}
DENIED = (AccessForbidden, RecordNotFound)
RETRIED = {408, 429, *range(500, 600)}
ONCE = Retry(total=0)
"""For a provider that is down, until it answers again: what is asked then need not find that out again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a request is tried again; pauses in seconds."""

    tries: int = 5
    first_pause: float = 0.5
    """Doubled with each try, with jitter."""

    def retry(self, longest_pause: float) -> Retry:
        return Retry(
            total=self.tries - 1,
            backoff_factor=self.first_pause,
            backoff_jitter=0.5,
            max_backoff_wait=longest_pause,
            allowed_methods=["GET", "POST"],
            status_forcelist=RETRIED,
        )


class Answer(NamedTuple):
    """The body, cleaned for Postgres, and when the request for it was sent, by the database's clock."""

    text: str
    sent_at: datetime
    date: str | None = None
    """When the provider says that it answered."""


class Client:
    """Asks one account for pages and records. Shared by the threads of a run."""

    def __init__(
        self,
        account: Account,
        budget: Budget,
        connections: int,
        policy: RetryPolicy,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits = limits or Limits()
        self.account = account
        self._is_down = False
        self._secrets = set(account.secrets())
        inner = open_transport(account.base_url, connections)
        paced = PacedTransport(inner, budget, limits, account.provider.title)
        self._http = httpx.Client(
            base_url=account.base_url,
            auth=account.provider.auth(account.credentials),
            headers={**HEADERS, **account.provider.headers},
            timeout=TIMEOUT,
            transport=RetryTransport(transport=paced, retry=policy.retry(limits.pause_seconds)),
        )

    def get(self, path: str, params: Params, tally: Tally) -> Answer:
        """One GET. Raises the `ProviderError` that says what to do."""
        extensions = {"tally": tally} | ({"retry": ONCE} if self._is_down else {})
        response = self._translate(lambda: self._http.get(path, params=params, extensions=extensions))
        self._is_down = response.is_server_error
        # A token that was fetched on the way is a secret too.
        self._secrets.add(response.request.headers.get("Authorization", "").rpartition(" ")[2])
        if response.is_success:
            return Answer(self._text(response, path), response.extensions["sent_at"], response.headers.get("Date"))
        raise self._refusal(response, path)

    def outward(self, text: object) -> str:
        """`text` as it may leave the house: see `tasks.client.redaction`."""
        return outward(text, self._secrets)

    def close(self) -> None:
        self._http.close()

    def _translate(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        title = self.account.provider.title
        try:
            return send()
        except RateLimited as error:
            raise RateLimited(f"{title} {error}.", retry_after=error.retry_after) from None
        except httpx.TransportError as error:
            self._is_down = True
            raise ProviderUnavailable(
                f"{title} cannot be reached at {self.account.base_url}: {self.outward(why(error))}. Check the network "
                f"and {self._address_variable}."
            ) from error

    def _text(self, response: httpx.Response, path: str) -> str:
        """The JSON of a success, cleaned."""
        text = clean(response.content, response.charset_encoding)
        if (found := unlike_json(text)) is None:
            return text
        excerpt = f": {quoted(text, self._secrets)}" if found == "text" else ""
        raise ContractBroken(
            f"{self.account.provider.title} answered {response.status_code} to {path} with {self.outward(found)} where "
            f"JSON is expected{excerpt}; check {self._address_variable} and what stands on the way there."
        )

    def _refusal(self, response: httpx.Response, path: str) -> Exception:
        provider, status = self.account.provider, response.status_code
        kind = error_for_status(status) if status >= 400 else ContractBroken
        if kind is CredentialsRejected:
            variables = " and ".join(credential_variables(provider))
            return kind(f"{provider.title} refused the {provider.secret_words} ({status}): check {variables}.")
        if response.has_redirect_location:
            elsewhere = self.outward(response.headers["Location"].partition("?")[0])
            return kind(f"{provider.title} sends {path} on to {elsewhere} ({status}): check {self._address_variable}.")
        said = quoted(clean(response.content, response.charset_encoding), self._secrets)
        return kind(f"{provider.title} answered {status} to {path}: {said}{self._maybe_mistyped(kind, path)}")

    def _maybe_mistyped(self, kind: type[ProviderError], path: str) -> str:
        """Which variables to check, where an address is denied that holds what they say."""
        names = self.account.variables_of(path) if kind in DENIED else []
        return f"; is {' or '.join(names)} right?" if names else ""

    @property
    def _address_variable(self) -> str:
        return f"{self.account.provider.name.upper()}_BASE_URL"
