"""Reading the records of a stream, as they stood in a page, into rows ready to be copied."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from pydantic import TypeAdapter, ValidationError

from models.copy_text import line
from models.json_text import shallow
from models.provider import Stream
from models.rows import Rejected, Row

MINUS_INFINITY = "-infinity"
FINE = re.compile(r"\.\d{7}")
"""Perhaps a time finer than a microsecond, which the two parsers round in different ways."""


class Arrival(NamedTuple):
    """One record as it stood in a page."""

    external_id: str
    text: str
    digest: bytes
    observed_at: datetime
    scope: str = ""
    details: Sequence[Any] = ()
    by_id: bool = False
    other_digest: bytes | None = None
    """Of what a list says, for a record that came by id, and the other way round."""

    def refused(self, reason: str) -> "SetAside":
        return SetAside(self.external_id, self.text, self.digest, reason)

    @property
    def digests(self) -> tuple[bytes, bytes | None]:
        """Of the list's record, and of the answer by id."""
        return (self.other_digest or b"", self.digest) if self.by_id else (self.digest, self.other_digest)


class SetAside(NamedTuple):
    """A record that could not be read or held."""

    external_id: str | None
    text: str
    digest: bytes
    reason: str


class Prepared(NamedTuple):
    """What loading needs of a row."""

    line: bytes
    """What is staged of it, as COPY takes it: its row's fields, then `models.rows.STAMP`."""
    people: list[str]
    is_deleted: bool


class _Head(msgspec.Struct):
    id: str | int | None = None


_HEAD = msgspec.json.Decoder(_Head)


@cache
def _parsers(stream: Stream) -> tuple[msgspec.json.Decoder[Any], TypeAdapter[Any]]:
    return msgspec.json.Decoder(stream.payload), TypeAdapter(stream.payload)


@dataclass(slots=True)
class Reader:
    """Reads the records of one stream; remembers nothing."""

    stream: Stream
    region: str | None
    salt: bytes = field(init=False)
    _strict: msgspec.json.Decoder[Any] = field(init=False)
    _lenient: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.salt = (self.region or "").encode()
        self._strict, self._lenient = _parsers(self.stream)

    def digest(self, record: str) -> bytes:
        return blake2b(record.encode(), digest_size=16, key=self.salt).digest()

    def identify(self, record: str) -> str:
        """The record's id. Raises `Rejected` where it has none."""
        try:
            found = _HEAD.decode(record).id
        except msgspec.ValidationError:
            raise Rejected("the record is no object, or its id is no text") from None
        except (msgspec.DecodeError, RecursionError):
            found = self.parse(record)["id"]
        if found is None:
            raise Rejected("the record has no id")
        return str(found)

    def parse(self, record: str) -> Any:
        """The fields of a record that are used: at once where it is as documented, else whatever of it is."""
        if not FINE.search(record):
            with suppress(msgspec.MsgspecError, RecursionError):
                return self._strict.decode(record)
        with suppress(ValidationError):
            return self._lenient.validate_json(record)
        try:
            return self._lenient.validate_json(shallow(record))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "the record"
            raise Rejected(f"{where}: {first['msg']}") from None

    def row(self, arrival: Arrival) -> Row:
        return self.stream.to_row(self.parse(arrival.text), self.region, list(arrival.details))

    def prepare(self, key: dict[str, str], arrivals: Sequence[Arrival]) -> list[Prepared | str]:
        """Each arrival of the account `key` made ready to be copied, or the reason why it cannot be read."""
        provider, account = key["provider"], key["account"]
        return [self._prepared(provider, account, arrival) for arrival in arrivals]

    def _prepared(self, provider: str, account: str, arrival: Arrival) -> Prepared | str:
        try:
            row = self.row(arrival)
        except Rejected as reason:
            return str(reason)
        stamp = (provider, account, *arrival.digests, arrival.observed_at, arrival.text, arrival.scope)
        values = (*row[:-1], row.source_updated_at or MINUS_INFINITY, *stamp)
        return Prepared(line(values), row.people, row.deleted_at is not None)
