"""A second list per record, such as all identifiers of a contact, asked for where the record is new or has changed."""

from collections.abc import Iterator, Sequence
from typing import Any

from models.arrivals import Arrival, Rejection
from models.errors import ContractBroken, ProviderUnavailable, RecordNotFound, Rejected, RequestRefused
from models.json_text import value
from models.pagination import Guard, Page, Position
from models.provider import Details
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext
from tasks.extract.page import open_page
from tasks.load.classify import is_new


def complete(
    context: StreamContext, arrivals: Sequence[Arrival | Rejection], tally: Tally
) -> list[Arrival | Rejection]:
    """The records of a page with their details, each read once; those whose content is stored are only marked so."""
    details = context.stream.details
    if details is None:
        return list(arrivals)
    stored = context.store.stored([one.external_id for one in arrivals if isinstance(one, Arrival)])
    return [
        _completed(context, details, one, tally)
        if isinstance(one, Arrival) and is_new(one, stored)
        else one._replace(is_known=True)
        if isinstance(one, Arrival)
        else one
        for one in arrivals
    ]


def _completed(context: StreamContext, details: Details, arrival: Arrival, tally: Tally) -> Arrival:
    parser = context.parser
    try:
        fields = parser.parse(arrival.text)
        found = _details(context, details, fields, tally)
        return arrival._replace(row=parser.to_row(fields, found or ()), is_incomplete=found is None)
    except Rejected:
        return arrival


def _details(context: StreamContext, details: Details, fields: Any, tally: Tally) -> list[Any] | None:
    """None where they cannot be had now: that costs this record its details and nothing else."""
    path = details.path(context.credentials, fields)
    try:
        return [value(text) for text in _records(context, details, path, tally)] if path else []
    except RecordNotFound:
        return []  # deleted since the list was read; the next scan finds out
    except (ProviderUnavailable, ContractBroken, RequestRefused) as error:
        context.receipt.warn(f"details of a record could not be read and are asked for again: {error}")
        return None


def _records(context: StreamContext, details: Details, path: str, tally: Tally) -> Iterator[str]:
    position: Position | None = details.paging.start
    guard = Guard()
    while position is not None:
        guard.admit(position)
        if guard.admitted > context.client.limits.details_requests:
            raise ContractBroken(
                f"a second list of one record did not end after {guard.admitted - 1:,} requests. "
                "CALLWEAVE_MAX_DETAILS_REQUESTS raises that limit"
            )
        answer = context.client.get(path, details.paging.params(position), tally)
        envelope, records = open_page(context.provider, answer.text, details.items)
        yield from records
        position = details.paging.following(position, Page(envelope, len(records), len(records)))
