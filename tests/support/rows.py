"""What the providers make of a record: parsed and mapped, without HTTP and without a database."""

from collections.abc import Sequence
from typing import Any

from models.rows import CallRow, ContactRow, Row
from models.vocabulary import StreamName
from tasks.load.parser import Parser
from tasks.providers import PROVIDERS
from tests.support.records import encoded

CALLS, CONTACTS = StreamName.CALLS, StreamName.CONTACTS
STREAMS = [(name, stream.name) for name, provider in PROVIDERS.items() for stream in provider.streams]


def row_of(
    provider: str, stream: StreamName, payload: Any, region: str | None = None, details: Sequence[Any] = ()
) -> Row:
    """What the provider makes of a payload. Raises `Rejected`."""
    parser = Parser(PROVIDERS[provider].stream(stream), region)
    return parser.to_row(parser.parse(payload if isinstance(payload, str) else encoded(payload)), details)


def call_of(provider: str, payload: Any, region: str | None = None) -> CallRow:
    row = row_of(provider, CALLS, payload, region)
    assert isinstance(row, CallRow)
    return row


def contact_of(provider: str, payload: Any, region: str | None = None, details: Sequence[Any] = ()) -> ContactRow:
    row = row_of(provider, CONTACTS, payload, region, details)
    assert isinstance(row, ContactRow)
    return row
