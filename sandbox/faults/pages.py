"""What can be wrong with pages: totals that lie or lack, cursors that lead astray, a list that is not there."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from sandbox.providers.web import Answer, Question, answer

_TOTALS = {"pagination": "totalCount", "meta": "total"}
"""Where a list says its total."""
_EXPIRES_EVERY = 50
_EMPTY_EVERY = 3
_AGAIN, _END = "again-", "the-end"

Envelope = dict[str, Any]
Bend = Callable[["Pages", Question, Envelope], None]


class Pages:
    """Bends the pages of lists; remembers what it needs for that."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._second = ""

    def before(self, faults: set[str], question: Question) -> Question | Answer:
        """The question as the provider is to see it, or what is answered in its place."""
        token = question.text("pageToken") or ""
        if token == _END:
            return answer({"results": [], "nextPageToken": _END})
        if token.startswith(_AGAIN):
            return replace(question, query=question.query | {"pageToken": [token.removeprefix(_AGAIN)]})
        if token and "cursor-expires" in faults and self._nth("expires") % _EXPIRES_EVERY == 0:
            return answer({"code": "InvalidPageToken", "message": "the page token has expired"}, 400)
        if token and "cursor-empty-page" in faults and self._nth("empty") % _EMPTY_EVERY == 0:
            return answer({"results": [], "nextPageToken": _AGAIN + token})
        return question

    def after(self, faults: set[str], question: Question, found: Answer) -> Answer:
        """A page as it is served."""
        bends = [bend for name, bend in BENDS.items() if name in faults]
        if found.status != 200 or not bends:
            return found
        envelope: Envelope = msgspec.json.decode(found.body, type=dict[str, msgspec.Raw])
        for bend in bends:
            bend(self, question, envelope)
        return found._replace(body=msgspec.json.encode(envelope))

    def _nth(self, name: str) -> int:
        self._counts[name] += 1
        return self._counts[name]

    def repeat_cursor(self, question: Question, envelope: Envelope) -> None:
        token = question.text("pageToken")
        if token and "nextPageToken" in envelope:
            envelope["nextPageToken"] = token

    def lead_in_a_circle(self, question: Question, envelope: Envelope) -> None:
        """The third page leads back to the second."""
        token = question.text("pageToken")
        if not token:
            self._second = ""
        elif not self._second:
            self._second = token
        elif "nextPageToken" in envelope:
            envelope["nextPageToken"] = self._second

    def go_on_at_the_end(self, _question: Question, envelope: Envelope) -> None:
        if "results" in envelope:
            envelope.setdefault("nextPageToken", _END)


def _count(change: Callable[[int], int] | None) -> Bend:
    """Totals, changed or left out."""

    def bend(_pages: Pages, _question: Question, envelope: Envelope) -> None:
        for part in _TOTALS.keys() & envelope.keys():
            counts: dict[str, Any] = msgspec.json.decode(envelope[part])
            total = counts.pop(_TOTALS[part], None)
            envelope[part] = counts | ({_TOTALS[part]: change(total)} if change and total is not None else {})

    return bend


def _lose_the_list(_pages: Pages, _question: Question, envelope: Envelope) -> None:
    for name in ("data", "results"):
        envelope.pop(name, None)


BENDS: dict[str, Bend] = {
    "no-total": _count(None),
    "total-lies": _count(lambda total: max(total - 3, 0)),
    "total-too-large": _count(lambda total: total + 3),
    "no-list": _lose_the_list,
    "cursor-repeats": Pages.repeat_cursor,
    "cursor-circle": Pages.lead_in_a_circle,
    "cursor-at-end": Pages.go_on_at_the_end,
}
