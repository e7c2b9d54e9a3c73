"""Writes who is linked to whom: which contact holds which number, what is decided of each number, and the log.

Only what differs is written.
"""

from collections.abc import Iterable
from typing import Any

from psycopg.types.json import Jsonb

from models.identity.persons import Left, Move, State, Surroundings, key_text, lead_of, moves, resolve
from tasks.identity.reader import Cursor, explore

WANTED = """
    SELECT c.id, p.id, listed.position
    FROM contact c CROSS JOIN LATERAL unnest(c.e164s) WITH ORDINALITY AS listed (e164, position)
    JOIN phone p ON p.e164 = listed.e164
    WHERE c.id = ANY (%s) AND c.deleted_at IS NULL AND c.vanished_at IS NULL
"""
HELD = "SELECT contact_id, phone_id, position FROM contact_phone WHERE contact_id = ANY (%s)"
LEAVE = """
    DELETE FROM contact_phone l USING unnest(%s::bigint[], %s::bigint[]) AS gone (contact_id, phone_id), contact c
    WHERE (l.contact_id, l.phone_id) = (gone.contact_id, gone.phone_id) AND c.id = gone.contact_id
    RETURNING l.phone_id, c.provider, c.account, c.external_id
"""
MOVE = """
    UPDATE contact_phone l SET position = moved.position
    FROM unnest(%s::bigint[], %s::bigint[], %s::int[]) AS moved (contact_id, phone_id, position)
    WHERE (l.contact_id, l.phone_id) = (moved.contact_id, moved.phone_id)
"""
TAKE = "COPY contact_phone (contact_id, phone_id, position, leads) FROM STDIN"
TWIN = "EXISTS (SELECT FROM phone o WHERE o.e164 = ANY (number_variants(p.e164)) AND o.id <> p.id)"
"""The line of the phone `p` is known in its other spelling too."""
TELLING = f"""
    SELECT DISTINCT p.id
    FROM contact_phone l JOIN phone p ON p.id = l.phone_id JOIN contact c ON c.id = l.contact_id
    WHERE l.contact_id = ANY (%s) AND (
        NOT l.leads OR p.unlinked IS NOT NULL OR p.linked_to IS NOT NULL OR p.linked_by IS NOT NULL
        OR p.person_e164s IS NOT NULL
        OR {TWIN}
        OR EXISTS (SELECT FROM contact_phone o WHERE o.contact_id = l.contact_id AND o.phone_id <> p.id)
        OR EXISTS (SELECT FROM contact_phone o JOIN contact k ON k.id = o.contact_id
                   WHERE o.phone_id = l.phone_id AND o.contact_id <> l.contact_id
                     AND (real_name(k.first_name, k.last_name) = real_name(c.first_name, c.last_name)) IS NOT TRUE))
"""  # noqa: S608 - no text but ours
"""All numbers of these contacts but those of which nothing follows: the only one of a contact whose name all share."""

WRITE = """
    UPDATE phone p SET linked_to = new.linked_to, unlinked = new.unlinked, linked_by = new.linked_by,
        person_e164s = new.person_e164s,
        unlinked_since = CASE WHEN new.unlinked = p.unlinked THEN p.unlinked_since
                              WHEN new.unlinked IS NOT NULL THEN now() END
    FROM jsonb_to_recordset(%s) AS new (id bigint, linked_to bigint, unlinked text, linked_by text, person_e164s text[])
    WHERE p.id = new.id
"""
LEAD = """
    UPDATE contact_phone l SET leads = l.phone_id = new.lead
    FROM unnest(%s::bigint[], %s::bigint[]) AS new (contact_id, lead)
    WHERE l.contact_id = new.contact_id AND l.leads <> (l.phone_id = new.lead)
"""
LOG = "COPY person_change (kind, person_id, sides, cause) FROM STDIN"


def take_in(connection: Cursor, contact_ids: list[int]) -> tuple[set[int], dict[int, list[str]]]:
    """Notes the numbers that contacts hold now.

    Returns those of which something may follow, and the contacts that left a number, by its id.
    """
    wanted, held = (_positions(connection.execute(query, [contact_ids])) for query in (WANTED, HELD))
    left: dict[int, list[str]] = {}
    if gone := held.keys() - wanted.keys():
        for phone_id, *key in connection.execute(LEAVE, columns(gone)):
            left.setdefault(phone_id, []).append(key_text(key))
    if moved := [(*pair, wanted[pair]) for pair in wanted.keys() & held.keys() if wanted[pair] != held[pair]]:
        connection.execute(MOVE, columns(moved))
    with connection.cursor() as cursor, cursor.copy(TAKE) as copy:
        for pair in sorted(wanted.keys() - held.keys()):
            copy.write_row((*pair, wanted[pair], wanted[pair] == 1))
    return left.keys() | {id_ for (id_,) in connection.execute(TELLING, [contact_ids])}, left


def _positions(rows: Iterable[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    """The place of each number among its contact's, by contact id and phone id."""
    found: dict[tuple[int, int], int] = {}
    for contact_id, phone_id, position in rows:
        found.setdefault((contact_id, phone_id), position)
    return found


def columns(rows: Iterable[tuple[int | None, ...]]) -> list[list[int | None]]:
    return [list(column) for column in zip(*rows, strict=True)]


def settle(
    connection: Cursor,
    touched: Iterable[int],
    own: frozenset[str],
    *,
    left: Left | None = None,
    cause: dict[str, Any] | None = None,
) -> list[Move]:
    """Decides again on touched numbers and all that they are linked to; returns what became of the persons.

    Args:
        connection: one that holds the lock.
        touched: phone ids.
        own: the lines that are ours.
        left: the contacts that no longer hold a number, for the log.
        cause: what the log gives as the cause instead of what it finds.
    """
    near = explore(connection, touched, own)
    after = resolve(near)
    moved = moves(near, after, left or {})
    _write(connection, near, after)
    _log(connection, [move if cause is None else move._replace(cause=cause) for move in moved])
    return moved


def _write(connection: Cursor, near: Surroundings, after: dict[int, State]) -> None:
    changed = [state._asdict() | {"id": id_} for id_, state in after.items() if state != near.phones[id_].state]
    if changed:
        connection.execute(WRITE, [Jsonb(changed)])
    known = [holder for holder in near.holders.values() if after.keys() >= set(holder.phones)]
    leads = {holder.id: lead for holder in known if (lead := lead_of(holder, after)) != holder.lead}
    if leads:
        connection.execute(LEAD, columns(leads.items()))


def _log(connection: Cursor, moved: list[Move]) -> None:
    rows = [(move.kind, move.person_id, Jsonb(move.sides), Jsonb(move.cause)) for move in moved]
    if rows:
        with connection.cursor() as cursor, cursor.copy(LOG) as copy:
            for row in rows:
                copy.write_row(row)
