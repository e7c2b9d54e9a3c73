"""What an answer says that is not so: failures under status 200, totals of another list, records denied by id."""

from typing import Any

from sandbox.deviations.place import TOTALS, Ask, Place, Wrap, closed, emptied, is_page, opened
from sandbox.providers.web import Answer, Question, RefusedError, answer

_TEXT = "internal error, please try again"
_FAILURES: dict[str, dict[str, Any]] = {
    "sakari": {
        "success": False,
        "error": {"code": "GEN-001", "message": _TEXT},
        "pagination": {"hasNext": False},
        "data": [],
    },
    "bird": {"code": "InternalError", "message": _TEXT, "results": []},
    "skipcall": {"statusCode": 500, "message": _TEXT, "data": []},
}


def failure_in_200(place: Place, _question: Question, _ask: Ask) -> Answer:
    return answer(_FAILURES[place.provider])


def failure_on_later_pages(place: Place, question: Question, ask: Ask) -> Answer:
    is_first = question.text("offset") in {None, "0"} and question.text("page") in {None, "1"}
    return ask(question) if is_first and "pageToken" not in question.query else answer(_FAILURES[place.provider])


def bare_code_in_200(_place: Place, _question: Question, _ask: Ask) -> Answer:
    return answer({"code": "API_KEY_INVALID", "details": None})


def suddenly_empty(_place: Place, question: Question, ask: Ask) -> Answer:
    """Every list is empty, and says so in good order."""
    found = ask(question)
    return _counted(_at_its_end(emptied(found)), 0) if is_page(found) else found


def _at_its_end(found: Answer) -> Answer:
    envelope = opened(found)
    envelope.pop("nextPageToken", None)
    pagination = envelope.get("pagination")
    return closed(found, envelope | ({"pagination": pagination | {"hasNext": False}} if pagination else {}))


def total_of_everything(place: Place, question: Question, ask: Ask) -> Answer:
    """The total is of all that the provider holds, whatever range or filter was asked for."""
    found = ask(question)
    return _counted(found, len(place.table)) if is_page(found) else found


def total_off(by: int) -> Wrap:
    def bend(_place: Place, question: Question, ask: Ask) -> Answer:
        found = ask(question)
        return _counted(found, by, relative=True) if is_page(found) else found

    return bend


def _counted(found: Answer, number: int, *, relative: bool = False) -> Answer:
    """The page with another total, where it says one at all."""
    envelope = opened(found)
    for part, name in TOTALS.items():
        if name in envelope.get(part, {}):
            total = max(envelope[part][name] + number, 0) if relative else number
            envelope[part] = envelope[part] | {name: total}
    return closed(found, envelope)


def denied_by_id(place: Place, question: Question, ask: Ask) -> Answer:
    """Records that exist are denied by their id."""
    if question.path[-1] != place.stream:
        return place.refuse(RefusedError(404, "no such record"))
    found = ask(question)
    return emptied(found) if is_page(found) and "id" in question.query else found


def failure_by_id(place: Place, _question: Question, _ask: Ask) -> Answer:
    return answer(_FAILURES[place.provider])
