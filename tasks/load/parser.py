"""From the text of a record to a row, and from a row to a line of COPY."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from models.arrivals import Arrival, Prepared, Rejection
from models.copy_text import line
from models.errors import Rejected
from models.json_text import fields, shallow, value
from models.payload import required_id
from models.provider import Stream
from models.rows import Row

READING = 3
"""Raised when records are read in another way: known ones are then read again, though they are unchanged."""


class _Head(msgspec.Struct):
    id: str | int | None = None


_HEAD = msgspec.json.Decoder(_Head)


def _version(row: Row, arrival: Arrival) -> datetime:
    """The provider's own change time; the moment we asked where it has none, or one beyond that moment."""
    return min(row.source_updated_at or arrival.observed_at, arrival.observed_at)


def _slow_id(record: str) -> Any:
    """The id of a record that is nested too deeply to be read at once."""
    try:
        return value(fields(record).get("id", "null"))
    except ValueError:
        raise Rejected("the record is no object") from None


@cache
def _decoders(stream: Stream) -> tuple[msgspec.json.Decoder[Any], TypeAdapter[Any]]:
    return msgspec.json.Decoder(stream.payload), TypeAdapter(stream.payload)


@dataclass(slots=True)
class Parser:
    """Reads the records of one stream; keeps nothing between two of them."""

    stream: Stream
    region: str | None
    salt: bytes = field(init=False)
    _strict: msgspec.json.Decoder[Any] = field(init=False)
    _lenient: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.salt = f"{READING}{self.region or ''}".encode()
        self._strict, self._lenient = _decoders(self.stream)

    def identify(self, record: str, observed_at: datetime, scope: str) -> Arrival | Rejection:
        """The record with its id and the digest of its text."""
        digest = blake2b(record.encode(), digest_size=16, key=self.salt).digest()
        try:
            found = self._id(record)
            return Arrival(str(found), record, digest, observed_at, scope, id_is_number=isinstance(found, int))
        except Rejected as reason:
            return Rejection(None, record, digest, str(reason))

    def _id(self, record: str) -> str | int:
        try:
            found = _HEAD.decode(record).id
        except msgspec.ValidationError:
            raise Rejected("the record is no object, or its id is no text") from None
        except (msgspec.DecodeError, RecursionError):
            found = _slow_id(record)
        if isinstance(found, str):
            return required_id(found)
        if not isinstance(found, int) or isinstance(found, bool):
            raise Rejected("the record has no id")
        return found

    def parse(self, record: str) -> Any:
        """The fields of a record that are used: at once where it is as documented, else those that are."""
        with suppress(msgspec.MsgspecError, RecursionError):
            return self._strict.decode(record)
        with suppress(ValidationError):
            return self._lenient.validate_json(record)
        try:
            return self._lenient.validate_json(shallow(record))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            if first["type"] == "json_invalid":
                raise Rejected("it is not valid JSON") from None
            where = ".".join(str(step) for step in first["loc"]) or "the record"
            raise Rejected(f"{where} is not what the provider documents") from None

    def to_row(self, fields: Any, details: Sequence[Any] = ()) -> Row:
        """The neutral row of parsed fields. Raises `Rejected`."""
        return self.stream.to_row(fields, self.region, list(details))

    def prepare(self, key: dict[str, str], arrivals: Sequence[Arrival]) -> list[Prepared | str]:
        """Each arrival of the account `key` made ready to be copied, or the reason why it cannot be read."""
        provider, account = key["provider"], key["account"]
        return [self._prepared(provider, account, arrival) for arrival in arrivals]

    def _prepared(self, provider: str, account: str, arrival: Arrival) -> Prepared | str:
        try:
            row = arrival.row or self.to_row(self.parse(arrival.text))
        except Rejected as reason:
            return str(reason)
        stamp = (provider, account, *arrival.digests, arrival.observed_at, arrival.text, arrival.scope)
        values = (*row[:-1], _version(row, arrival), *stamp)
        return Prepared(line(values), row.people, row.deleted_at is not None)
