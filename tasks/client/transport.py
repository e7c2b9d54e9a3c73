"""The transport under the retries: every try waits for its slot, is counted, and is read within its limits."""

import logging
import math
import time
from contextlib import closing

import httpx

from models.errors import ContractBroken, ProviderUnavailable
from tasks.client.body import read_body
from tasks.client.connection import Until
from tasks.client.limits import Limits
from tasks.client.rate_limit import Budget
from tasks.client.redaction import outward
from tasks.client.trouble import why
from tasks.client.waits import asked_to_wait

log = logging.getLogger(__name__)

NOT_KEPT = {b"content-encoding", b"content-length", b"transfer-encoding", b"set-cookie"}
"""Headers that an answer does not keep: it is read and unpacked, and cookies are never sent back."""


class Tally:
    """How many requests were sent, retries and tokens included."""

    def __init__(self) -> None:
        self.requests = 0


class PacedTransport(httpx.BaseTransport):
    """Under the retries: every try takes its slot, is counted, and hands the provider's wishes to the budget."""

    def __init__(self, inner: httpx.BaseTransport, budget: Budget, limits: Limits, title: str) -> None:
        self._inner = inner
        self._budget = budget
        self._limits = limits
        self._title = title

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent_at = self._budget.wait_for_slot()
        request.extensions["tally"].requests += 1
        timeout = request.extensions["timeout"]
        until = Until.after(self._limits.answer_seconds, each=timeout["read"])
        request.extensions["timeout"] = timeout | {"read": until}
        try:
            response = self._answered(request)
        except httpx.ReadTimeout:
            if until.left > 0:
                raise
            raise self._too_slow() from None
        response.extensions["sent_at"] = sent_at
        self._heed(request, response, sent_at.timestamp())
        return response

    def _answered(self, request: httpx.Request) -> httpx.Response:
        what, began = f"{request.method} {outward(request.url.path)}", time.monotonic()
        try:
            response = self._read(request)
        except httpx.TransportError as error:
            log.info("%s: %s after %.1f s", what, why(error), time.monotonic() - began)
            raise
        level = logging.INFO if response.is_error else logging.DEBUG
        log.log(level, "%s: %d after %.0f ms", what, response.status_code, 1000 * (time.monotonic() - began))
        return response

    def _read(self, request: httpx.Request) -> httpx.Response:
        """The whole answer, so that a connection lost in the middle of a body is retried too."""
        with closing(self._inner.handle_request(request)) as response:
            try:
                body = read_body(response, self._limits)
            except ContractBroken as error:
                if not response.is_error:
                    raise type(error)(f"{self._title} sent {error}.") from None
                body = b""  # its status says what to do
        headers = [(name, text) for name, text in response.headers.raw if name.lower() not in NOT_KEPT]
        return httpx.Response(response.status_code, headers=headers, content=body, extensions=response.extensions)

    def _too_slow(self) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{self._title}'s answer was not complete after {self._limits.answer_seconds:g} seconds; "
            "CALLWEAVE_MAX_ANSWER_TIME allows more."
        )

    def _heed(self, request: httpx.Request, response: httpx.Response, now: float) -> None:
        wait = asked_to_wait(response, now)
        response.headers.pop("Retry-After", None)  # the retries know one of its spellings
        if wait is None:
            return
        log.info("%s asks for a pause of %.1f s", request.url.host, wait)
        if wait <= self._limits.pause_seconds:
            self._budget.push(wait)
            response.headers["Retry-After"] = str(math.ceil(wait))
            return
        postponed = self._budget.postpone(wait)
        if response.is_error:
            raise postponed

    def close(self) -> None:
        self._inner.close()
