"""Which numbers were held to be one person, for people who want to look at it or take it back."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, text

from tasks.database import database_errors

MERGES = text("""
    SELECT l.id, l.person_id, l.changed_at,
        (SELECT array_agg(p.e164 ORDER BY side.number, p.e164) FROM jsonb_array_elements(l.sides)
             WITH ORDINALITY AS side (ids, number)
         CROSS JOIN jsonb_array_elements_text(side.ids) AS one (id) JOIN phone p ON p.id = one.id::bigint) AS e164s,
        (SELECT v.display_name FROM v1.person v WHERE v.person_id = l.person_id) AS display_name
    FROM person_change l
    WHERE l.kind = 'merge' AND l.undone_at IS NULL AND l.id = coalesce(CAST(:merge AS bigint), l.id)
    ORDER BY l.id DESC LIMIT :most
""")
MOST = 100
"""Merges of a list, the newest first."""


class Merge(NamedTuple):
    id: int
    person_id: int
    changed_at: datetime
    e164s: list[str]
    display_name: str | None


def merges(engine: Engine, merge: int | None = None) -> Iterable[Merge]:
    """The merges that hold, the newest first; or the one of that number."""
    with database_errors(), engine.connect() as connection:
        return [Merge(*row) for row in connection.execute(MERGES, {"merge": merge, "most": MOST})]
