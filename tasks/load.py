"""Loads one batch of records in one transaction: what is new is copied and merged, what is known is not touched."""

from collections.abc import Container, Iterable
from dataclasses import astuple, dataclass
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from models.json_text import array
from models.upsert import CALLS, CONTACTS, Target, new_phones
from models.vocabulary import StreamName
from tasks.database import in_transaction, raw, sqlstate
from tasks.reader import Arrival, Prepared, SetAside

TARGETS = {StreamName.CALLS: CALLS, StreamName.CONTACTS: CONTACTS}
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


class Loaded(NamedTuple):
    """A record on its way into the tables."""

    arrival: Arrival
    prepared: Prepared


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


def register(engine: Engine, loaded: list[Loaded], registered: Container[str]) -> list[str]:
    """Makes the telephone numbers of records known, before the records are loaded.

    In a transaction of its own: two batches with a number in common would else wait for each other's whole load. Its
    commit need not reach the disk, since that of the records, later in the same log, does.

    Args:
        engine: of the database.
        loaded: the records.
        registered: numbers that are known to be there.

    Returns the others. A crash of Postgres may take them back until the records are committed.
    """
    told = {number for one in loaded for number in one.prepared.people}
    numbers = sorted(number for number in told if number not in registered)

    def work(connection: Connection) -> None:
        connection.execute(NO_WAIT)
        connection.execute(PHONES, {"e164s": array(numbers)})

    if numbers:
        in_transaction(engine, work)
    return numbers


def load(
    connection: Connection, stream: StreamName, loaded: list[Loaded], known: Container[str]
) -> tuple[dict[str, bool], list[SetAside]]:
    """Writes what is new or changed.

    Args:
        connection: in a transaction.
        stream: what the records are.
        loaded: the records.
        known: ids of stored records, as far as they were looked up.

    Returns the ids written, with whether each was new, and the records that Postgres cannot hold.
    """
    if not loaded:
        return {}, []
    target, ids = TARGETS[stream], {one.arrival.external_id for one in loaded}
    if len(ids) == len(loaded) and not any(id_ in known for id_ in ids) and _insert(connection, target, loaded):
        return dict.fromkeys(ids, True), []
    connection.execute(target.create_stage)
    return _write(connection, target, loaded)


def _insert(connection: Connection, target: Target, loaded: list[Loaded]) -> bool:
    """Copies records that nobody is known to hold into the table itself; whether Postgres took them all."""
    try:
        with connection.begin_nested():
            _copy(connection, target.table.name, target, loaded)
    except (DBAPIError, psycopg.Error) as error:
        if _is_about_data(error):
            return False
        raise
    return True


def _write(connection: Connection, target: Target, loaded: list[Loaded]) -> tuple[dict[str, bool], list[SetAside]]:
    """One merge; where Postgres refuses a value, halves of it until the record that holds it stands alone."""
    try:
        with connection.begin_nested():
            return _merge(connection, target, loaded), []
    except (DBAPIError, psycopg.Error) as error:
        if not _is_about_data(error):
            raise
        if len(loaded) == 1:
            return {}, [loaded[0].arrival.refused(f"Postgres cannot hold it: {_reason(error)}")]
    middle = len(loaded) // 2
    first, first_refused = _write(connection, target, loaded[:middle])
    second, second_refused = _write(connection, target, loaded[middle:])
    return second | first, first_refused + second_refused


def _merge(connection: Connection, target: Target, loaded: list[Loaded]) -> dict[str, bool]:
    connection.execute(target.empty_stage)
    _copy(connection, target.stage.name, target, loaded)
    return {external_id: is_new for external_id, is_new in connection.execute(target.merge)}  # noqa: C416 - dict() would ask the result for its keys()


def _copy(connection: Connection, table: str, target: Target, loaded: list[Loaded]) -> None:
    """In the order of the keys, so that two loads never wait for each other in turn."""
    lines = [one.prepared.line for one in sorted(loaded, key=lambda one: one.arrival.external_id)]
    statement = f"COPY {table} ({', '.join(target.staged_columns)}) FROM STDIN"
    with raw(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"".join(lines))


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
        if _is_about_data(error):
            return False
        raise
    return True


def _is_about_data(error: BaseException) -> bool:
    return (sqlstate(error) or "")[:2] in DATA_FAULTS


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]
