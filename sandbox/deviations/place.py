"""Where a deviation acts: one list of one provider, its numbers, and what wraps the provider's own answer."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec

from sandbox.providers.table import Table
from sandbox.providers.web import Answer, Question, RefusedError

Ask = Callable[[Question], Answer]
"""The provider as it is without the deviation."""


@dataclass(slots=True)
class Numbers:
    """How far the deviations that have a number go; small worlds take smaller ones."""

    default_size: int = 10
    """Records of a page whose size was not asked for in the provider's own word."""
    limit_cap: int = 50
    offset_cap: int = 290
    longest_range: timedelta = timedelta(days=7)
    empty_pages: int = 6
    omits_every: int = 20


@dataclass(frozen=True, slots=True)
class Place:
    """One list that is asked for."""

    provider: str
    stream: str
    table: Table
    """All that the provider holds of the stream."""
    refuse: Callable[[RefusedError], Answer]
    """How the provider words a refusal."""
    numbers: Numbers = field(default_factory=Numbers)


Wrap = Callable[[Place, Question, Ask], Answer]
"""Answers a question for a page of a list otherwise than the provider, which `Ask` asks."""
Envelope = dict[str, Any]

LISTS = ("data", "results")
"""Under which name a list stands in its envelope."""
TOTALS = {"pagination": "totalCount", "meta": "total"}
"""Where an envelope says how many records the list holds."""
RANGES = {"sakari": ("from", "to"), "bird": ("startAt", "endAt")}
"""The parameters of each provider that bound a list of calls."""


def asking(question: Question, **values: str | int | None) -> Question:
    """The question with other values of some parameters; None leaves one out."""
    query = {name: texts for name, texts in question.query.items() if name not in values}
    given = {name: [str(value)] for name, value in values.items() if value is not None}
    return replace(question, query=query | given)


def opened(answer: Answer) -> Envelope:
    """The envelope of a page; what stands in it is decoded, its list of records is left as it is."""
    parts: dict[str, msgspec.Raw] = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
    return {name: part if name in LISTS else msgspec.json.decode(part) for name, part in parts.items()}


def closed(answer: Answer, envelope: Envelope) -> Answer:
    return answer._replace(body=msgspec.json.encode(envelope))


def is_page(answer: Answer) -> bool:
    return answer.status == 200


def size_of(answer: Answer) -> int:
    """How many records a page holds."""
    envelope = opened(answer)
    return next((len(msgspec.json.decode(envelope[name])) for name in LISTS if name in envelope), 0)


def emptied(answer: Answer) -> Answer:
    """The same page without its records."""
    envelope = opened(answer)
    return closed(answer, envelope | {name: [] for name in LISTS if name in envelope})
