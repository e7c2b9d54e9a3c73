"""Small requests to one list, with other paging than the declared one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from models.coverage import Span
from models.errors import ContractBroken, ProviderUnavailable, RecordNotFound, RequestRefused
from models.pagination import Page, Paging, Position
from models.provider import Stream
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext
from tasks.extract.page import open_page

MOST_EMPTY = 20
"""Pages without a record that are followed to one with some."""


class Rows(NamedTuple):
    """What one answer held."""

    envelope: dict[str, Any]
    texts: Sequence[str]
    ids: frozenset[str]

    @property
    def page(self) -> Page:
        return Page(self.envelope, len(self.texts), len(self.ids))


@dataclass(slots=True)
class Prober:
    context: StreamContext
    tally: Tally

    def rows(self, stream: Stream, *, limit: int, position: Position | None = None, span: Span | None = None) -> Rows:
        """A page of `stream` as a window of `span` would ask for it: the first that is not empty, from `position` on.

        Raises the `ProviderError` of the answer.
        """
        paging, context = _of_size(stream.paging, limit), replace(self.context, stream=stream)
        place = position or paging.start
        for _ in range(MOST_EMPTY):
            query = context.params(span) | paging.params(place)
            answer = context.client.get(context.listing.path, query, self.tally)
            envelope, texts = open_page(context.provider, answer.text, stream.items)
            following = None if texts else paging.following(place, Page(envelope, 0, 0))
            if following is None:
                break
            place = following
        found = [context.parser.identify(text, answer.sent_at, "").external_id for text in texts]
        return Rows(envelope, texts, frozenset(id_ for id_ in found if id_))

    def rows_if_any(self, stream: Stream, *, limit: int, position: Position) -> Rows | None:
        """The same; None where there is no such page by the provider's own word, or its list is not to be found."""
        try:
            return self.rows(stream, limit=limit, position=position)
        except (RequestRefused, RecordNotFound, ContractBroken, ProviderUnavailable):
            return None


def _of_size(paging: Paging, limit: int) -> Paging:
    sized: Any = replace(paging, limit=limit)  # type: ignore[type-var]  # each paging is a dataclass
    return sized  # type: ignore[no-any-return]
