"""What a provider may declare. The engine acts on these values and knows no provider by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict

from models.errors import FailureReported, ProviderError
from models.pagination import PagePaging, Paging, Position
from models.rows import Row
from models.vocabulary import StreamName


def segment(value: str) -> str:
    """`value` as one segment of a path, whatever it holds."""
    return quote(value, safe="")


def _shown(schema: dict[str, Any]) -> None:
    """In a form, a filter left empty is one not used: no choice between a value and None. Named as the vendor does."""
    for place, (name, shown) in enumerate(schema["properties"].items()):
        shown.pop("default")
        kind = next(kind for kind in shown.pop("anyOf") if kind.get("type") != "null")
        shown.update(kind, title=name, position=place)


def separated(names: str | None) -> list[str]:
    """What a setting names, separated by commas: in order, each once."""
    return sorted({name.strip() for name in (names or "").split(",")} - {""})


def _in_a_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Repeated = Annotated[list[str] | None, BeforeValidator(_in_a_list)]
"""A filter that may be given several times."""


class ProviderCredentials(BaseModel):
    """What an account is asked with; each field's docstring is what `docs/settings.md` says of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class ListFilters(BaseModel):
    """The documented filters of a list: each is optional, others are refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_shown)


Params = dict[str, Any]
"""Query parameters; a list repeats its name."""

Mapper = Callable[[Any, str | None, list[Any]], Row]
"""(payload, default region, details) → row. Raises `Rejected` with the reason."""


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """The query parameters that bound a list by the time its windows are cut by."""

    since: str
    until: str
    by_day: bool = False
    """Whether the provider cuts its bounds to dates; found out, never declared."""


class Failure(NamedTuple):
    """How an envelope says that the request failed, whatever its status."""

    code: str
    message: str
    kind: type[ProviderError] = FailureReported


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Where a list of numbered pages holds what."""

    items: tuple[str, ...]
    """The way to the array of records."""
    total_at: tuple[str, ...]
    limit_at: tuple[str, ...] = ()
    number_at: tuple[str, ...] = ()
    last_at: tuple[str, ...] = ()

    def applied(self, paging: PagePaging) -> PagePaging:
        its = {name: getattr(self, name) for name in ("total_at", "limit_at", "number_at", "last_at")}
        return replace(paging, **its)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageVariants:
    """What a vendor leaves open about numbered pages; of each the first is assumed, the others are tried."""

    starts: tuple[Position, ...] = ("1",)
    size_params: tuple[str, ...] = ("limit",)
    envelopes: tuple[Envelope, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list that a stream is read from; several where the account is read per channel."""

    path: str
    params: Params = field(default_factory=dict)
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """How one record is asked for by its id: a GET whose answer holds it bare, under `key`, or in a list there."""

    path: str
    params: Params = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A second list per record, read for new and changed records only."""

    path: Callable[[Any, Any], str | None]
    """(credentials, payload) → path, None where the record is complete as it is."""
    items: tuple[str, ...]
    paging: Paging


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    name: StreamName
    listings: Callable[[Any], list[Listing]]
    lookups: Callable[[Any, str], list[Lookup]]
    """(credentials, id) → where to ask, in order, until one holds it."""
    address: Callable[[Any, str, Any], str | None]
    """(credentials, id, payload) → the record's own path, which answers 404 or 410 once it is gone."""
    items: tuple[str, ...]
    """The way to the array of records in a list's answer."""
    paging: Paging
    payload: Any
    """A `TypedDict` of the fields that are used."""
    to_row: Mapper
    filters: type[ListFilters]
    time_filter: TimeFilter | None = None
    """None: the list cannot be bounded, and is read from its top."""
    sorted_by: Callable[[Any], datetime | None] | None = None
    """The time by which an unbounded list is supposed to run newest first; lets scheduled scans stop early."""
    details: Details | None = None
    variants: PageVariants | None = None
    """Of numbered pages, where the vendor does not document them for sure."""


def coded_failure(envelope: Mapping[str, Any]) -> Failure | None:
    """`{"code": "…", "message": "…"}`, as most vendors say it."""
    code = envelope.get("code")
    return Failure(str(code), str(envelope.get("message") or "")) if code else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    name: str
    title: str
    base_url: str
    credentials: type[BaseModel]
    account: Callable[[Any], str]
    auth: Callable[[Any], httpx.Auth]
    requests_per_second: float
    lookback: timedelta
    streams: tuple[Stream, ...]
    filters: type[ListFilters]
    """The documented filters of all streams together, for the form of the flow."""
    secret_words: str
    """What the credentials are called when they are refused, e.g. "client id or secret"."""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: Callable[[Mapping[str, Any]], Failure | None] = coded_failure
    """What a body with a good status says that failed; asked of objects that hold no record."""
    description: str | None = None
    """Path of the vendor's own OpenAPI document, where it serves one; `callweave check` compares."""

    def stream(self, name: StreamName) -> Stream:
        return next(stream for stream in self.streams if stream.name is name)
