"""Links people, incrementally: what touched contacts and numbers are linked to, before or now, is computed again.

Contacts are taken in the order in which they changed, a chunk per transaction, under one advisory lock; how far that
got stands beside them in the same transaction. Killed at any moment, the next run continues; two at once take turns.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine

from models.errors import UsageError
from models.identity.phone import line_of, spellings
from models.tables.identity import TWO_WAYS_SQL
from tasks.database import in_transaction, raw
from tasks.identity.reader import Cursor
from tasks.identity.writer import TWIN, settle, take_in

T = TypeVar("T")

CHUNK = 10_000
"""Contacts or numbers of one transaction."""
MARGIN = timedelta(seconds=5)
LOCK = """
    SELECT pg_advisory_xact_lock(7261994), set_config('enable_seqscan', 'off', true),
           set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
"""
"""All that is read here is looked up by index. Left alone, a planner without statistics, as after a first sync, reads
whole tables for each chunk."""

PENDING = {
    "contact": """
        SELECT id, changed_at::text FROM contact WHERE (changed_at, id) > (%s::timestamptz, %s)
        ORDER BY contact.changed_at, id LIMIT %s
    """,
    "phone": f"""
        SELECT id, first_seen_at::text FROM phone
        WHERE {TWO_WAYS_SQL} AND (first_seen_at, id) > (%s::timestamptz, %s)
        ORDER BY phone.first_seen_at, id LIMIT %s
    """,  # noqa: S608 - no text but ours
}
"""What changed after a place in the order of change. Of numbers by themselves only those of lines written in two
ways: every other is a person of its own until a contact joins it to others."""
WRITTEN_TWICE = f"SELECT p.id FROM phone p WHERE p.id = ANY (%s) AND {TWIN}"  # noqa: S608 - no text but ours
PROGRESS = "SELECT changed_at::text, id FROM person_progress WHERE entity = %s"
OPEN_SINCE = """
    SELECT least(min(xact_start), clock_timestamp() - %s::interval) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'callweave' AND pid <> pg_backend_pid()
"""
"""Rows are stamped with the start of their transaction: what is older than this is there, the rest may still come. The
interval is for a transaction that has begun and is not listed yet."""
ADVANCE = """
    INSERT INTO person_progress AS p (entity, changed_at, id)
    SELECT %s, reached.* FROM (VALUES (%s::timestamptz, %s::bigint), (%s::timestamptz, 0)) AS reached (moment, id)
    ORDER BY moment, id LIMIT 1
    ON CONFLICT (entity) DO UPDATE SET changed_at = excluded.changed_at, id = excluded.id
    WHERE (excluded.changed_at, excluded.id) > (p.changed_at, p.id)
"""
OWN = """
    WITH RECURSIVE own AS (
        SELECT min(own_e164) AS e164 FROM call WHERE parent_external_id IS NULL
        UNION ALL
        SELECT (SELECT min(own_e164) FROM call WHERE parent_external_id IS NULL AND own_e164 > own.e164)
        FROM own WHERE own.e164 IS NOT NULL
    )
    SELECT e164 FROM own WHERE e164 IS NOT NULL
"""
"""Our numbers, one step of an index each. Legs teach nothing: a forwarded call may show its caller as our number."""
KNOWN_OWN = "SELECT e164 FROM phone WHERE unlinked = 'own'"
REGISTER = """
    INSERT INTO phone (e164) SELECT e164 FROM unnest(%s::text[]) AS new (e164)
    WHERE NOT EXISTS (SELECT FROM phone p WHERE p.e164 = new.e164) ORDER BY e164 ON CONFLICT DO NOTHING
"""
PERSONS = "SELECT DISTINCT person_id FROM phone WHERE id = ANY (%s) AND person_id IS NOT NULL ORDER BY 1"
OF_NUMBERS = "SELECT id FROM phone WHERE e164 = ANY (%s)"
DECIDED = """
    SELECT id FROM phone WHERE id > %s AND (linked_to IS NOT NULL OR unlinked IS NOT NULL OR linked_by IS NOT NULL
                                            OR person_e164s IS NOT NULL) ORDER BY id LIMIT %s
"""

MERGE = "SELECT sides, undone_at FROM person_change WHERE id = %s AND kind = 'merge' FOR UPDATE"
UNDO = "UPDATE person_change SET undone_at = now() WHERE id = %s"
SEPARATE = "INSERT INTO person_apart (merge_id, phone_id, side) VALUES (%s, %s, %s)"


BEGINNING = ("-infinity", 0)
Place = tuple[str, int]
"""In the order of change: a moment, as text, and an id."""


def link_people(engine: Engine, *, full: bool = False, chunk: int = CHUNK, margin: timedelta = MARGIN) -> None:
    """Links what changed since the last time; `full`: everything again, which gives the same persons, ids included.

    After a first sync Postgres has no statistics yet of what was just written, and would read whole tables per person.
    """
    in_transaction(engine, _learn_own)
    if full:
        in_transaction(engine, lambda connection: raw(connection).execute("DELETE FROM person_progress"))
        _through(engine, partial(_decide_again, chunk), 0)
    chunks = [_through(engine, partial(_catch_up, entity, chunk, margin), None) for entity in PENDING]
    if max(chunks) > 1:
        in_transaction(engine, lambda connection: raw(connection).execute("ANALYZE phone, contact_phone"))


def _through(engine: Engine, step: Callable[[Cursor, T], T | None], place: T) -> int:
    """One chunk after the other, each from where the one before ended, while any is left; returns how many."""
    chunks = 1
    while (reached := in_transaction(engine, partial(_locked_step, step, place))) is not None:
        place, chunks = reached, chunks + 1
    return chunks


def _locked_step(step: Callable[[Cursor, T], T | None], place: T, connection: Connection) -> T | None:
    return step(_locked(connection), place)


def _locked(connection: Connection) -> Cursor:
    cursor = raw(connection)
    cursor.execute(LOCK)
    return cursor


def _catch_up(entity: str, chunk: int, margin: timedelta, cursor: Cursor, place: Place | None) -> Place | None:
    """Works through a chunk of what changed; the first begins where the last run ended."""
    (open_since,) = cursor.execute(OPEN_SINCE, [margin]).fetchone() or (None,)
    place = place or cursor.execute(PROGRESS, [entity]).fetchone() or BEGINNING
    rows = cursor.execute(PENDING[entity], [*place, chunk]).fetchall()
    if not rows:
        return None
    ids, reached = [id_ for id_, _ in rows], (rows[-1][1], rows[-1][0])
    if entity == "contact":
        touched, left = take_in(cursor, ids)
        settle(cursor, touched, _own(cursor), left=left)
    else:
        settle(cursor, [id_ for (id_,) in cursor.execute(WRITTEN_TWICE, [ids])], _own(cursor))
    cursor.execute(ADVANCE, [entity, *reached, open_since])
    return reached if len(rows) == chunk else None


def _decide_again(chunk: int, cursor: Cursor, after_id: int) -> int | None:
    """A chunk of the numbers of which anything was decided."""
    ids = [id_ for (id_,) in cursor.execute(DECIDED, [after_id, chunk])]
    settle(cursor, ids, _own(cursor))
    return ids[-1] if len(ids) == chunk else None


def _learn_own(connection: Connection) -> None:
    """Numbers that became ours, or are no longer."""
    cursor = _locked(connection)
    learnt = {line_of(number): number for (number,) in cursor.execute(OWN)}
    changed = learnt.keys() ^ _own(cursor)
    if changed:
        cursor.execute(REGISTER, [[learnt[line] for line in sorted(changed) if line in learnt]])
        numbers = [form for line in changed for form in spellings(line)]
        settle(cursor, [id_ for (id_,) in cursor.execute(OF_NUMBERS, [numbers])], frozenset(learnt))


def _own(cursor: Cursor) -> frozenset[str]:
    return frozenset(line_of(number) for (number,) in cursor.execute(KNOWN_OWN))


def undo_merge(engine: Engine, merge_id: int) -> list[int]:
    """Gives back the persons that a merge made one, for good; returns their ids.

    Raises `UsageError` where there is no such merge.
    """
    return in_transaction(engine, lambda connection: _undo(_locked(connection), merge_id))


def _undo(cursor: Cursor, merge_id: int) -> list[int]:
    found = cursor.execute(MERGE, [merge_id]).fetchone()
    if found is None:
        raise UsageError(f"There is no merge {merge_id}; v1.person.provenance names those of a person.")
    sides, undone_at = found
    touched = [id_ for side in sides for id_ in side]
    if undone_at is None:
        apart = [(merge_id, id_, number) for number, side in enumerate(sides) for id_ in side]
        cursor.cursor().executemany(SEPARATE, apart)
        cursor.execute(UNDO, [merge_id])
        settle(cursor, touched, _own(cursor), cause={"undo": merge_id})
    return [person_id for (person_id,) in cursor.execute(PERSONS, [touched])]
