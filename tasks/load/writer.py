"""Loads one batch of records in one transaction: what is new is copied and merged, what is known is not touched."""

from collections.abc import Container

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from models.arrivals import Loadable, Rejection, Stored
from models.json_text import array
from models.vocabulary import ChangeKind, StreamName
from tasks.database import in_transaction, is_about_data, raw
from tasks.load.upsert import CALLS, CONTACTS, Target, new_phones

TARGETS = {StreamName.CALLS: CALLS, StreamName.CONTACTS: CONTACTS}
PHONES = new_phones()
NO_WAIT = text("SET LOCAL synchronous_commit = off")


def stored(connection: Connection, stream: StreamName, key: dict[str, str], ids: list[str]) -> dict[str, Stored]:
    """The stored records among `ids`; those that had vanished aside, to be loaded again."""
    table = TARGETS[stream].table
    rows = raw(connection).execute(
        f"SELECT external_id, digest, lookup_digest, deleted_at IS NOT NULL FROM {table.name} "  # noqa: S608 - our table
        "WHERE provider = %s AND account = %s AND vanished_at IS NULL "
        "AND external_id = ANY (ARRAY(SELECT jsonb_array_elements_text(%s::jsonb)))",
        (key["provider"], key["account"], array(ids)),
        prepare=True,
    )
    return {external_id: Stored(*rest) for external_id, *rest in rows}


def register(engine: Engine, loadable: list[Loadable], registered: Container[str]) -> list[str]:
    """Makes the telephone numbers of records known, before the records are loaded.

    In a transaction of its own: two batches with a number in common would else wait for each other's whole load. Its
    commit need not reach the disk, since that of the records, later in the same log, does.

    Args:
        engine: of the database.
        loadable: the records.
        registered: numbers that are known to be there.

    Returns the others. A crash of Postgres may take them back until the records are committed.
    """
    named = {number for one in loadable for number in one.prepared.numbers}
    numbers = sorted(number for number in named if number not in registered)

    def work(connection: Connection) -> None:
        connection.execute(NO_WAIT)
        connection.execute(PHONES, {"e164s": array(numbers)})

    if numbers:
        in_transaction(engine, work)
    return numbers


def write(
    connection: Connection, stream: StreamName, loadable: list[Loadable], held: Container[str]
) -> tuple[dict[str, ChangeKind], list[Rejection]]:
    """Writes what is new or changed.

    Args:
        connection: in a transaction.
        stream: what the records are.
        loadable: the records.
        held: ids of stored records, as far as they were looked up.

    Returns the ids written, with what became of each, and the records that Postgres cannot hold.
    """
    if not loadable:
        return {}, []
    target, ids = TARGETS[stream], {one.arrival.external_id for one in loadable}
    if len(ids) == len(loadable) and not any(id_ in held for id_ in ids) and _insert(connection, target, loadable):
        return dict.fromkeys(ids, ChangeKind.INSERTED), []
    connection.execute(target.create_stage)
    return _merge_all(connection, target, loadable)


def _insert(connection: Connection, target: Target, loadable: list[Loadable]) -> bool:
    """Copies records that are not stored yet into the table itself; returns whether Postgres took them all."""
    try:
        with connection.begin_nested():
            _copy(connection, target.table.name, target, loadable)
    except (DBAPIError, psycopg.Error) as error:
        if is_about_data(error):
            return False
        raise
    return True


def _merge_all(
    connection: Connection, target: Target, loadable: list[Loadable]
) -> tuple[dict[str, ChangeKind], list[Rejection]]:
    """One merge; where Postgres refuses a value, halves of it until the record that holds it stands alone."""
    try:
        with connection.begin_nested():
            return _merge(connection, target, loadable), []
    except (DBAPIError, psycopg.Error) as error:
        if not is_about_data(error):
            raise
        if len(loadable) == 1:
            return {}, [loadable[0].arrival.rejected(f"Postgres cannot hold it: {_reason(error)}")]
    middle = len(loadable) // 2
    first, first_refused = _merge_all(connection, target, loadable[:middle])
    second, second_refused = _merge_all(connection, target, loadable[middle:])
    return second | first, first_refused + second_refused


def _merge(connection: Connection, target: Target, loadable: list[Loadable]) -> dict[str, ChangeKind]:
    connection.execute(target.empty_stage)
    _copy(connection, target.stage.name, target, loadable)
    return {
        external_id: ChangeKind.of_load(is_new=is_new, was_deleted=was_deleted, is_deleted=is_deleted)
        for external_id, is_new, was_deleted, is_deleted in connection.execute(target.merge)
    }


def _copy(connection: Connection, table: str, target: Target, loadable: list[Loadable]) -> None:
    """In the order of the keys, so that two loads never wait for each other in turn."""
    lines = [one.prepared.line for one in sorted(loadable, key=lambda one: one.arrival.external_id)]
    statement = f"COPY {table} ({', '.join(target.staged_columns)}) FROM STDIN"
    with raw(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"".join(lines))


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]
