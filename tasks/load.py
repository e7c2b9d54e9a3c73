"""Loads one batch of records in one transaction: what is new is copied and merged, what is known is not touched."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import psycopg
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from models.json_text import array, shallow
from models.provider import Stream
from models.rows import Rejected, Row
from models.upsert import CALLS, CONTACTS, Target, new_phones
from models.vocabulary import StreamName
from tasks.database import in_transaction, raw, sqlstate

TARGETS = {StreamName.CALLS: CALLS, StreamName.CONTACTS: CONTACTS}
MINUS_INFINITY = "-infinity"
FINE = re.compile(r"\.\d{7}")
"""Perhaps a time finer than a microsecond, which the two parsers round in different ways."""
DATA_FAULTS = {"22", "23", "54"}
"""Classes of SQLSTATE that speak of one value, not of the server: data, constraint, and limit."""

REJECT = text("""
    INSERT INTO rejected_row (provider, account, stream, external_id, reason, digest, payload, content)
    VALUES (:provider, :account, :stream, :external_id, :reason, :digest, CAST(:payload AS jsonb), :content)
    ON CONFLICT (provider, account, stream, digest)
    DO UPDATE SET last_seen_at = now(), reason = excluded.reason, resolved_at = NULL
""")
RESOLVE = text("""
    UPDATE rejected_row SET resolved_at = now()
    WHERE provider = :provider AND account = :account AND stream = :stream AND resolved_at IS NULL
      AND external_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:ids AS jsonb))))
""")
PHONES = new_phones()
NO_WAIT = text("SET LOCAL synchronous_commit = off")


@dataclass(frozen=True, slots=True)
class Counts:
    """Every record that a page held is in exactly one of these."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0
    deleted: int = 0
    """Tombstones written; outside the sum."""

    @property
    def fetched(self) -> int:
        return self.inserted + self.updated + self.unchanged + self.duplicate + self.rejected

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


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


class Loaded(NamedTuple):
    arrival: Arrival
    row: Row


class SetAside(NamedTuple):
    """A record that could not be read or held."""

    external_id: str | None
    text: str
    digest: bytes
    reason: str


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


class Known(NamedTuple):
    """What is stored of a record."""

    digest: bytes
    lookup_digest: bytes | None
    is_deleted: bool


def known_records(connection: Connection, stream: StreamName, key: dict[str, str], ids: list[str]) -> dict[str, Known]:
    """The stored records among `ids`; those that had vanished aside, to be loaded anew."""
    table = TARGETS[stream].table
    rows = raw(connection).execute(
        f"SELECT external_id, digest, lookup_digest, deleted_at IS NOT NULL FROM {table.name} "  # noqa: S608 - our table
        "WHERE provider = %s AND account = %s AND vanished_at IS NULL "
        "AND external_id = ANY (ARRAY(SELECT jsonb_array_elements_text(%s::jsonb)))",
        (key["provider"], key["account"], array(ids)),
        prepare=True,
    )
    return {external_id: Known(*rest) for external_id, *rest in rows}


def register(engine: Engine, loaded: list[Loaded]) -> None:
    """Makes the telephone numbers of records known, before the records are loaded.

    In a transaction of its own: two batches with a number in common would else wait for each other's whole load. Its
    commit need not reach the disk, since that of the records, later in the same log, does.
    """
    numbers = sorted({number for one in loaded for number in one.row.people})

    def work(connection: Connection) -> None:
        connection.execute(NO_WAIT)
        connection.execute(PHONES, {"e164s": array(numbers)})

    if numbers:
        in_transaction(engine, work)


def load(
    connection: Connection, stream: StreamName, key: dict[str, str], loaded: list[Loaded]
) -> tuple[dict[str, bool], list[SetAside]]:
    """Writes what is new or changed.

    Returns the ids written, with whether each was new, and the records that Postgres cannot hold.
    """
    if not loaded:
        return {}, []
    target = TARGETS[stream]
    connection.execute(target.create_stage)
    return _write(connection, target, key, loaded)


def _write(
    connection: Connection, target: Target, key: dict[str, str], loaded: list[Loaded]
) -> tuple[dict[str, bool], list[SetAside]]:
    """One merge; where Postgres refuses a value, halves of it until the record that holds it stands alone."""
    try:
        with connection.begin_nested():
            return _merge(connection, target, key, loaded), []
    except (DBAPIError, psycopg.Error) as error:
        if (sqlstate(error) or "")[:2] not in DATA_FAULTS:
            raise
        if len(loaded) == 1:
            return {}, [loaded[0].arrival.refused(f"Postgres cannot hold it: {_reason(error)}")]
    middle = len(loaded) // 2
    first, first_refused = _write(connection, target, key, loaded[:middle])
    second, second_refused = _write(connection, target, key, loaded[middle:])
    return second | first, first_refused + second_refused


def _merge(connection: Connection, target: Target, key: dict[str, str], loaded: list[Loaded]) -> dict[str, bool]:
    connection.execute(target.empty_stage)
    in_order = _order(target, loaded[0].row._fields)
    with raw(connection).cursor() as cursor, cursor.copy(target.copy) as copy:
        for arrival, row in loaded:
            version = row.source_updated_at or MINUS_INFINITY
            ours = (*key.values(), *arrival.digests, arrival.observed_at, arrival.text, arrival.scope, version)
            values = (*row, *ours)
            copy.write_row(in_order(values))
    return {external_id: is_new for external_id, is_new in connection.execute(target.merge)}  # noqa: C416 - dict() would ask the result for its keys()


@cache
def _order(target: Target, row_fields: tuple[str, ...]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Puts a row's own fields and what is added to them in the order of the staged columns."""
    digests = ("digest", "lookup_digest")
    names = (*row_fields, "provider", "account", *digests, "observed_at", "payload", "scope", "source_updated_at")
    last = {name: i for i, name in enumerate(names)}
    return itemgetter(*(last[name] for name in target.staged_columns))


def set_aside(connection: Connection, stream: StreamName, key: dict[str, str], rejected: Iterable[SetAside]) -> None:
    """Keeps the records that could not be read, with the reason."""
    for one in rejected:
        payload = one.text if _is_storable(connection, one.text) else None
        values = one._asdict() | {"stream": stream, "payload": payload, "content": one.text.encode()}
        connection.execute(REJECT, key | values)


def resolve(connection: Connection, stream: StreamName, key: dict[str, str], ids: list[str]) -> None:
    """These records were read: what was set aside of them is settled."""
    connection.execute(RESOLVE, key | {"stream": stream, "ids": array(ids)})


def _is_storable(connection: Connection, record: str) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(text("SELECT CAST(:record AS jsonb)"), {"record": record})
    except DBAPIError as error:
        if (sqlstate(error) or "")[:2] in DATA_FAULTS:
            return False
        raise
    return True


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]
