"""Sakari: tokens, offset paging in no order one could name, unknown query names silently ignored."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sandbox.deviations.deviations import Deviations
from sandbox.faults.faults import TOKEN_REQUESTS, Faults
from sandbox.providers.provider import Provider
from sandbox.providers.table import Record, View
from sandbox.providers.web import Answer, Question, RefusedError, answer, listed
from sandbox.world.world import World

ACCOUNT = "sandbox-account"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-not-a-secret"  # noqa: S105
_STATUSES = ("initiated", "ringing", "active", "ended", "rejected", "forwarded", "missed", "transferring")
_ID_FILTERS = {"phonenumberId": "phoneNumber", "contactId": "contact", "userId": "user", "groupId": "group"}
_TEXT_FILTERS = ("firstName", "lastName", "email", "mobile", "tags")
_CODES = {400: "REQ-001", 401: "AUTH-001", 404: "CONT-001"}


class Sakari(Provider):
    name = "sakari"

    def __init__(self, world: World, faults: Faults, deviations: Deviations) -> None:
        super().__init__(world, faults, deviations)
        self._tokens: dict[str, int] = {}
        """How often each was used."""

    def refusal(self, refused: RefusedError) -> Answer:
        error = {"code": _CODES.get(refused.status, "GEN-001"), "message": refused.message}
        return answer({"success": False, "error": error}, refused.status)

    def route(self, question: Question) -> Answer:
        match question.method, question.path:
            case "POST", ("oauth2", "token"):
                return self._token(question)
            case "GET", ("v1", "accounts", account, *rest):
                self._admit(question, account)
                return self._resource(question, rest)
        raise RefusedError(404, "no such resource")

    def _resource(self, question: Question, rest: list[str]) -> Answer:
        match rest:
            case ["calls"]:
                return self._calls(question)
            case ["contacts"]:
                return self._contacts(question)
            case ["calls" | "contacts" as stream, record_id]:
                return listed(b'{"success":true,"data":', [self.found(stream, record_id)], b"}")
        raise RefusedError(404, "no such resource")

    def _token(self, question: Question) -> Answer:
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        try:
            given = msgspec.json.decode(question.body)
        except msgspec.DecodeError:
            raise RefusedError(400, "the body must be JSON") from None
        if given != wanted:
            raise RefusedError(401, "unknown client")
        token = f"sandbox-token-{len(self._tokens) + 1}"
        self._tokens[token] = 0
        return answer({"access_token": token, "token_type": "Bearer"})

    def _admit(self, question: Question, account: str) -> None:
        scheme, _, token = question.authorization.partition(" ")
        if scheme.lower() != "bearer" or token not in self._tokens:
            raise RefusedError(401, "the access token is not valid")
        self._tokens[token] += 1
        if "token-expiry" in self.faults and self._tokens[token] > TOKEN_REQUESTS:
            raise RefusedError(401, "the access token expired")
        if account != ACCOUNT:
            raise RefusedError(404, "no such account")

    def _calls(self, question: Question) -> Answer:
        low, high = question.moment("from", 0), question.moment("to", float("inf"))
        wanted = _call_filters(question)
        calls = self.calls
        view = calls.filtered(wanted, lambda call: _is(call, wanted)) if wanted else calls
        rows = calls.ordered(wanted, view, view.span(low, high), self.order("calls", "unordered"))
        return self._page(question, "calls", rows, counted=True)

    def _contacts(self, question: Question) -> Answer:
        wanted = tuple((name, text.lower()) for name in _TEXT_FILTERS if (text := question.text(name)))
        contacts = self.contacts
        view: View = contacts
        if wanted:
            view = contacts.filtered(wanted, lambda contact: all(part in _text(contact, name) for name, part in wanted))
        rows = contacts.ordered(wanted, view, (0, len(view)), self.order("contacts", "unordered"))
        return self._page(question, "contacts", rows, counted=False)

    def _page(self, question: Question, stream: str, rows: Sequence[bytes], *, counted: bool) -> Answer:
        offset, limit = question.integer("offset", 0, 0, 2**63 - 1), question.integer("limit", 25, 1, 100)
        pagination: dict[str, Any] = {"offset": offset, "limit": limit, "hasNext": offset + limit < len(rows)}
        if counted:
            pagination["totalCount"] = len(rows)
        head = b'{"success":true,"pagination":%s,"data":[' % msgspec.json.encode(pagination)
        return listed(head, self.faults.dress(stream, list(rows[offset : offset + limit])), b"]}")


def _call_filters(question: Question) -> tuple[tuple[str, str], ...]:
    question.word("direction", ("inbound", "outbound"))
    question.word("status", _STATUSES)
    names = ("direction", "status", "conversationId", *_ID_FILTERS)
    return tuple((name, text) for name in names if (text := question.text(name)))


def _is(call: Record, wanted: tuple[tuple[str, str], ...]) -> bool:
    return all(_value(call, name) == text for name, text in wanted)


def _value(call: Record, name: str) -> Any:
    if name == "conversationId":
        return conversation(call)
    return (call.get(_ID_FILTERS[name]) or {}).get("id") if name in _ID_FILTERS else call.get(name)


def conversation(call: Record) -> str:
    """A call does not say which conversation it belongs to: one contact's with one number."""
    return f"{_value(call, 'contactId')}-{_value(call, 'phonenumberId')}"


def _text(contact: Record, name: str) -> str:
    if name == "mobile":
        return str((contact.get("mobile") or {}).get("number", "")).lower()
    if name == "tags":
        return " ".join(part["name"] for part in contact.get("lists") or ()).lower()
    return str(contact.get(name) or "").lower()
