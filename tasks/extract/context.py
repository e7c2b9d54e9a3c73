"""What the modules of a run share of one list."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_

from models.coverage import EDGE, Sizes, Span
from models.provider import Listing, Params, Provider, Stream
from tasks.client.client import Client
from tasks.ledger.receipt import RunReceipt
from tasks.ledger.windows import Ledger
from tasks.load.parser import Parser
from tasks.load.store import RecordStore


@dataclass(frozen=True, slots=True, eq=False)
class StreamContext:
    """All that reading one list needs; shared by the threads of a run."""

    engine: Engine
    client: Client
    stream: Stream
    listing: Listing
    filters: Params
    store: RecordStore
    ledger: Ledger
    receipt: RunReceipt
    sizes: Sizes
    distrust: str | None = None
    """Why nothing that is read of this list can be proven, where it does not behave as anything known."""

    @property
    def key(self) -> dict[str, str]:
        return self.store.key

    @property
    def name(self) -> str:
        """For a log: `sakari calls`."""
        return f"{self.key['provider']} {self.stream.name}"

    @property
    def parser(self) -> Parser:
        return self.store.parser

    @property
    def provider(self) -> Provider:
        return self.client.account.provider

    @property
    def credentials(self) -> Any:
        return self.client.account.credentials

    def holds(self, table: Any) -> ColumnElement[bool]:
        """The condition for the rows of a table that are of this account."""
        return and_(table.provider == self.key["provider"], table.account == self.key["account"])

    def params(self, bounds: Span | None) -> Params:
        """The query of the list for a stretch of time, without its paging."""
        times: Params = {}
        if self.stream.time_filter and bounds:
            asked = _whole_days(bounds) if self.stream.time_filter.by_day else bounds
            times[self.stream.time_filter.since] = _iso(asked.since - EDGE)
            times[self.stream.time_filter.until] = _iso(asked.until + EDGE)
        return self.listing.params | self.filters | times


def _whole_days(bounds: Span) -> Span:
    """For a provider that cuts both ends to dates and leaves out the last day."""
    return Span(bounds.since, bounds.until + timedelta(days=1))


def _iso(moment: datetime) -> str:
    """UTC with milliseconds and `Z`, as every vendor's examples have it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
