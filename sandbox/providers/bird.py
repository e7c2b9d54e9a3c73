"""Bird: keyset pages, newest first, a workspace-wide call log beside the calls of each channel, 422 for bad values."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import UUID

import msgspec

from sandbox.providers.bird_contacts import WORKSPACE
from sandbox.providers.bird_records import channels
from sandbox.providers.provider import Provider
from sandbox.providers.table import Key, Record, View
from sandbox.providers.web import Answer, BadValueError, Question, RefusedError, answer, listed

ACCESS_KEY = "sandbox-access-key"
_WORDS = {
    "status": (
        *("accepted", "starting", "ringing", "ongoing", "scheduled"),
        *("completed", "no-answer", "busy", "failed", "cancelled"),
    ),
    "type": ("pstn", "sip", "webrtc"),
    "direction": ("incoming", "outgoing"),
}
_CHANNEL_FILTERS = {"platform": "platformId", "status": "status"}
_FOREVER = float("inf")

Wanted = tuple[tuple[str, Any], ...]


class Bird(Provider):
    name = "bird"
    bad_value = 422

    def refusal(self, refused: RefusedError) -> Answer:
        codes = {400: "BadRequest", 401: "Unauthorized", 404: "NotFound", 422: "InvalidPayload"}
        return answer({"code": codes[refused.status], "message": refused.message, "details": {}}, refused.status)

    def route(self, question: Question) -> Answer:
        if question.authorization != f"AccessKey {ACCESS_KEY}":
            raise RefusedError(401, "the access key is not valid")
        match question.method, question.path:
            case "GET", ("workspaces", workspace, *rest) if workspace == WORKSPACE:
                return self._resource(question, rest)
        raise RefusedError(404, "no such resource")

    def _resource(self, question: Question, rest: list[str]) -> Answer:
        match rest:
            case ["channels"]:
                return self._channels(question)
            case ["channels", "calls"]:
                return self._calls(question, tuple(question.texts("channelId[]") or question.texts("channelId")))
            case ["channels", channel, *path]:
                return self._channel(question, channel, path)
            case ["contacts"]:
                return self._contacts(question)
            case ["contacts", contact_id]:
                return Answer(200, self.found("contacts", contact_id))
            case ["contacts", contact_id, "identifiers"]:
                return self._identifiers(contact_id)
        raise RefusedError(404, "no such resource")

    def _channel(self, question: Question, channel: str, path: list[str]) -> Answer:
        known = next((one for one in channels() if one["id"] == channel), None)
        match known, path:
            case dict(), []:
                return answer(known)
            case dict(), ["calls"]:
                return self._calls(question, (channel,))
            case dict(), ["calls", call_id] if self._belongs(call_id, channel):
                return Answer(200, self.found("calls", call_id))
        raise RefusedError(404, "no such resource")

    def _belongs(self, call_id: str, channel: str) -> bool:
        return bool(msgspec.json.decode(self.held("calls", call_id))["channelId"] == channel)

    def _calls(self, question: Question, only: tuple[str, ...]) -> Answer:
        low, high = question.moment("startAt", 0), question.moment("endAt", _FOREVER)
        wanted = _filters(question) + ((("channelId", only),) if only else ())
        calls = self.calls
        view: View = calls
        if wanted:
            view = calls.filtered(wanted, lambda call: all(_matches(call, *one) for one in wanted))
        limit = question.integer("limit", 10, 1, 1000)
        return self._page("calls", *_newest_first(view, view.span(low, high), limit, _cursor(question)))

    def _contacts(self, question: Question) -> Answer:
        limit, cursor = question.integer("limit", 10, 1, 100), _cursor(question)
        if question.word("reverse", ("true", "false")) == "true":
            return self._page("contacts", *_oldest_first(self.contacts, limit, cursor))
        contacts = self.contacts
        return self._page("contacts", *_newest_first(contacts, (0, len(contacts)), limit, cursor))

    def _page(self, stream: str, bodies: list[bytes], token: str | None) -> Answer:
        tail = b"]}" if token is None else b'],"nextPageToken":"%s"}' % token.encode()
        return listed(b'{"results":[', self.faults.dress(stream, bodies), tail)

    def _channels(self, question: Question) -> Answer:
        wanted = {name: question.text(asked) for asked, name in _CHANNEL_FILTERS.items()}
        found = [one for one in channels() if all(text in {None, one[name]} for name, text in wanted.items())]
        if question.word("reverse", ("true", "false")) == "true":
            found.reverse()
        limit, start = question.integer("limit", 10, 1, 1000), _position(question)
        page: Record = {"results": found[start : start + limit]}
        if start + limit < len(found):
            page["nextPageToken"] = _token((start + limit, ""))
        return answer(page)

    def _identifiers(self, contact_id: str) -> Answer:
        contact = msgspec.json.decode(self.held("contacts", contact_id))
        shared = {"contactId": contact_id, "properties": {}, "createdAt": contact["createdAt"]}
        featured = [shared | one for one in contact["featuredIdentifiers"]]
        return answer({"results": self.world.identifiers.get(contact_id, featured)})


def _newest_first(view: View, span: tuple[int, int], limit: int, before: Key | None) -> tuple[list[bytes], str | None]:
    start, stop = span
    if before:
        stop = min(stop, view.before(before))
    first = max(start, stop - limit)
    token = _token(view.keys[first]) if start < first < stop else None
    return view.bodies[first:stop][::-1], token


def _oldest_first(view: View, limit: int, after: Key | None) -> tuple[list[bytes], str | None]:
    start = view.after(after) if after else 0
    stop = min(start + limit, len(view))
    token = _token(view.keys[stop - 1]) if start < stop < len(view) else None
    return view.bodies[start:stop], token


def _filters(question: Question) -> Wanted:
    """The documented filters that are given, other than times and channels."""
    found: list[tuple[str, Any]] = []
    for name, allowed in _WORDS.items():
        found.append((name, question.word(name, allowed)))
    found += [(name, _sized(question, name)) for name in ("to", "from")]
    found.append(("duration", question.integer("duration", -1, 0, 2**31)))
    found.append(("id", _uuid(question)))
    found.append(("tags", tuple(question.texts("tag[]") or question.texts("tag"))))
    return tuple((name, value) for name, value in found if value not in (None, -1, ()))


def _matches(call: Record, name: str, value: Any) -> bool:
    if name == "channelId":
        return call[name] in value
    if name == "tags":
        return any(tag.lower() in (call.get(name) or ()) for tag in value)
    return bool(call.get(name) == value)


def _sized(question: Question, name: str) -> str | None:
    text = question.text(name)
    if text is not None and not 1 <= len(text) <= 100:
        raise BadValueError(f"{name} must be 1 to 100 characters long")
    return text


def _uuid(question: Question) -> str | None:
    text = question.text("id")
    try:
        return None if text is None else str(UUID(text))
    except ValueError:
        raise BadValueError("id must be a UUID") from None


def _token(key: Key) -> str:
    return urlsafe_b64encode(msgspec.json.encode(key)).decode()


def _cursor(question: Question) -> Key | None:
    text = question.text("pageToken")
    try:
        return None if text is None else msgspec.json.decode(urlsafe_b64decode(text), type=tuple[int, str])
    except (ValueError, msgspec.MsgspecError):
        raise BadValueError("pageToken is not one of ours") from None


def _position(question: Question) -> int:
    cursor = _cursor(question)
    return cursor[0] if cursor else 0
