"""Ways to authenticate that providers have in common: a key in a header, and tokens by client credentials."""

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from pydantic import SecretStr

from models.errors import ContractBroken, CredentialsRejected, ProviderError, ProviderUnavailable, error_for_status

TOKEN_LIFETIME = 50 * 60.0
"""Seconds, where neither the answer nor the token says: an assumption."""
TOKEN_MARGIN = 60.0
"""Seconds before its end at which a token is no longer used."""

Flow = Generator[httpx.Request, httpx.Response, None]


class HeaderAuth(httpx.Auth):
    """A key that is sent with every request as `Authorization: <scheme> <key>`.

    A key that brings a scheme word of its own is sent as it is.
    """

    def __init__(self, scheme: str, key: SecretStr) -> None:
        value = key.get_secret_value()
        self._header = value if " " in value else f"{scheme} {value}"

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["Authorization"] = self._header
        yield request


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where tokens come from: RFC 6749, 4.4, with a JSON body."""

    title: str
    """The provider's name, for messages."""
    path: str
    client_id: SecretStr
    client_secret: SecretStr
    advice: str
    """What to check where the client is refused, as the rest of a sentence."""

    def request(self, original: httpx.Request) -> httpx.Request:
        body = {
            "grant_type": "client_credentials",
            "client_id": self.client_id.get_secret_value(),
            "client_secret": self.client_secret.get_secret_value(),
        }
        url = original.url.join(self.path).copy_with(query=None)
        return httpx.Request("POST", url, json=body, extensions=original.extensions)

    def token(self, response: httpx.Response) -> tuple[str, float]:
        """The token and its lifetime in seconds: `expires_in`, else the JWT's own, else `TOKEN_LIFETIME`."""
        if response.status_code in {400, 401, 403}:
            raise CredentialsRejected(
                f"{self.title} refused the client id or secret ({response.status_code}): {self.advice}."
            )
        if response.is_error:
            kind = error_for_status(response.status_code)
            raise kind(f"{self.title}'s token address answered {response.status_code}.")
        answer = _json(response.content)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise ContractBroken(f"{self.title}'s token address answered without an access_token.")
        return token, _seconds(answer.get("expires_in")) or _jwt_lifetime(token) or TOKEN_LIFETIME


class ClientCredentialsAuth(httpx.Auth):
    """A token for the whole account, renewed before it runs out and once when it is refused.

    One renewal at a time: who waited for it takes its token, or its failure, and does not try the same again.
    For synchronous clients only, since it holds a lock: https://www.python-httpx.org/advanced/authentication/
    """

    requires_response_body = True

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = 0.0
        self._renewals = 0
        self._failure: ProviderError | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Flow:
        token = yield from self._current(request, refused=None)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = yield from self._current(request, refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request

    def _current(self, request: httpx.Request, refused: str | None) -> Generator[httpx.Request, httpx.Response, str]:
        came_at = self._renewals
        with self._lock:
            if self._failure is not None and self._renewals > came_at:
                raise type(self._failure)(str(self._failure))
            if self._token in {"", refused} or time.monotonic() > self._good_until:
                yield from self._noting_failure(self._renew(request))
            return self._token

    def _noting_failure(self, renewal: Flow) -> Flow:
        # httpx closes the flow, without an exception of its own, when the address cannot be reached.
        self._failure = ProviderUnavailable(f"{self._source.title}'s token address cannot be reached.")
        try:
            yield from renewal
            self._failure = None
        except ProviderError as error:
            self._failure = error
            raise
        finally:
            self._renewals += 1

    def _renew(self, request: httpx.Request) -> Flow:
        response = yield self._source.request(request)
        response.read()
        self._token, lifetime = self._source.token(response)
        self._good_until = time.monotonic() + lifetime - min(TOKEN_MARGIN, lifetime / 2)


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _jwt_lifetime(token: str) -> float | None:
    """Seconds that a JWT is good for; by its own times, so that no clock here matters, where it says both."""
    try:
        claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
        return max(float(claims["exp"]) - float(claims.get("iat") or time.time()), 1)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
