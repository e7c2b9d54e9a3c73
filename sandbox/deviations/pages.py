"""Pages that are counted, sized, wrapped and ended otherwise than we assume."""

from typing import Any

import msgspec

from sandbox.deviations.place import Ask, Place, Wrap, asking, closed, emptied, is_page, opened, size_of
from sandbox.providers.web import Answer, Question, RefusedError, answer

_LARGEST = 100
"""The largest page of a list that is counted."""
_AHEAD = "ahead-"


def page_from_zero(_place: Place, question: Question, ask: Ask) -> Answer:
    asked = question.integer("page", 0, 0, 2**31 - 2)
    found = ask(asking(question, page=asked + 1))
    return _with_meta(found, {"page": asked})


def size_not_limit(place: Place, question: Question, ask: Ask) -> Answer:
    size = question.integer("size", place.numbers.default_size, 1, _LARGEST)
    found = ask(asking(question, limit=size, size=None))
    return _with_meta(found, {"limit": None, "size": size})


def _with_meta(found: Answer, changed: dict[str, Any]) -> Answer:
    """The page with other values in `meta`; None leaves one out."""
    if not is_page(found):
        return found
    envelope = opened(found)
    meta = envelope["meta"] | changed
    return closed(found, envelope | {"meta": {name: value for name, value in meta.items() if value is not None}})


def nested_envelope(_place: Place, question: Question, ask: Ask) -> Answer:
    found = ask(question)
    if not is_page(found):
        return found
    envelope = opened(found)
    meta = envelope["meta"]
    size = meta.get("limit") or meta["size"]
    pages = {"total_pages": -(-meta["total"] // size)} if "total" in meta else {}
    pagination = pages | {"current_page": meta["page"]}
    return closed(found, {"data": {"results": envelope["data"], "metadata": {"pagination": pagination}}})


def limit_capped(place: Place, question: Question, ask: Ask) -> Answer:
    """Fewer records than were asked for; the envelope still says what was asked for."""
    asked = question.integer("limit", 25, 1, 1_000)
    served = min(asked, place.numbers.limit_cap)
    if "page" in question.query or place.provider == "skipcall":
        return _with_meta(ask(asking(question, limit=served)), {"limit": asked})
    found = ask(asking(question, limit=served))
    if not is_page(found) or "pagination" not in (envelope := opened(found)):
        return found
    return closed(found, envelope | {"pagination": envelope["pagination"] | {"limit": asked}})


def offset_cap(place: Place, question: Question, ask: Ask) -> Answer:
    """Beyond some offset there is nothing, though total and `hasNext` say that there is."""
    begin, limit = _stretch(question)
    left = place.numbers.offset_cap - begin
    found = ask(question)
    if left >= limit or not is_page(found):
        return found
    envelope = opened(found)
    records: list[msgspec.Raw] = msgspec.json.decode(envelope["data"], type=list[msgspec.Raw])
    return closed(found, envelope | {"data": records[: max(left, 0)]})


def empty_page_says_more(_place: Place, question: Question, ask: Ask) -> Answer:
    """Every page but the first is empty and says that more follow."""
    found = ask(question)
    if not is_page(found) or not _stretch(question)[0]:
        return found
    envelope = opened(emptied(found))
    pagination = {"pagination": envelope["pagination"] | {"hasNext": True}} if "pagination" in envelope else {}
    return closed(found, envelope | pagination)


def _stretch(question: Question) -> tuple[int, int]:
    """Where a counted page begins in its list, and how many records it may hold."""
    limit = question.integer("limit", 25, 1, _LARGEST)
    page = question.integer("page", 1, 1, 2**31)
    return question.integer("offset", (page - 1) * limit, 0, 2**63 - 1), limit


def _beyond_the_end(status: int) -> Wrap:
    def refuse(place: Place, question: Question, ask: Ask) -> Answer:
        found = ask(question)
        if is_page(found) and _stretch(question)[0] and not size_of(found):
            return place.refuse(RefusedError(status, "no such page"))
        return found

    return refuse


def empty_pages_with_tokens(place: Place, question: Question, ask: Ask) -> Answer:
    """Each page with records stands behind some empty ones, each with a token of its own."""
    token = question.text("pageToken") or f"{_AHEAD}0-"
    if token.startswith(_AHEAD):
        passed, _, rest = token.removeprefix(_AHEAD).partition("-")
        if int(passed) < place.numbers.empty_pages:
            return answer({"results": [], "nextPageToken": f"{_AHEAD}{int(passed) + 1}-{rest}"})
        return _led_ahead(ask(asking(question, pageToken=rest or None)))
    return _led_ahead(ask(question))


def _led_ahead(found: Answer) -> Answer:
    envelope = opened(found) if is_page(found) else {}
    if "nextPageToken" not in envelope:
        return found
    return closed(found, envelope | {"nextPageToken": f"{_AHEAD}0-{envelope['nextPageToken']}"})


page_beyond_404, page_beyond_400 = _beyond_the_end(404), _beyond_the_end(400)
