"""A row of each view of `v1` for docs/views.md, out of the sandbox's world: synced, changed, synced again, reconciled.

Its people and their numbers are invented. The rows differ from one run to the next, so no test compares them.
"""

from itertools import groupby
from typing import Any

import psycopg
from psycopg import sql

from sandbox.server import Sandbox
from tasks.identity.linker import link_people
from tests.support.builders import Office
from tests.support.data_contract import Column, columns
from tests.support.reconciled import reconcile

LONGEST = 60
"""Letters of a value; what is longer is cut."""
ORDERED = {"unified_call": "record_count DESC", "call": "unified_call_id NULLS LAST"}
"""Where the fullest row is not the one that shows most."""

Examples = dict[tuple[str, str], str]
"""View and column to the value in the view's example row."""


def example_rows(url: str) -> Examples:
    """Fills a migrated database that is empty, and takes the fullest row of each view."""
    _fill(url)
    found: Examples = {}
    with psycopg.connect(url, options="-c timezone=UTC -c datestyle=ISO") as connection:
        for view, rows in groupby(columns(connection), key=lambda row: row[0]):
            found |= _of(connection, view, list(rows))
    return found


def _fill(url: str) -> None:
    with (
        Sandbox(calls=300, seed=12) as sandbox,
        Office(url, sandbox.environ, CALLWEAVE_KEEP_HISTORY="1") as office,
    ):
        sandbox.faults.add("unreadable")
        office.sync_all()
        link_people(office.context("sakari").engine)
        reconcile(url)
        sandbox.faults.clear()
        sandbox.faults.add("late-changes")
        for provider in ("sakari", "bird", "skipcall"):
            office.sync(provider, full=True)
        link_people(office.context("sakari").engine)
        reconcile(url)


def _of(connection: psycopg.Connection[Any], view: str, rows: list[Column]) -> Examples:
    names = [name for _, _, name, *_ in rows]
    chosen = sql.SQL("SELECT {} FROM {} ORDER BY num_nulls({}){} LIMIT 1").format(
        sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
        sql.Identifier("v1", view),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(f", {ORDERED[view]}" if view in ORDERED else ""),
    )
    row = connection.execute(chosen).fetchone() or ()
    return {(view, name): shown(value) for name, value in zip(names, row, strict=False) if value is not None}


def shown(value: str) -> str:
    """As a cell of a table in Markdown."""
    short = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    return "`" + short.replace("`", "'").replace("|", "¦").replace("\n", " ") + "`"
