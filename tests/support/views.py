"""Writes from a database what it says of `v1`: docs/views.md, its picture, the contract as data (`make views`)."""

from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tasks.embedded import postgres
from tasks.migrate import upgrade
from tests.support import data_contract, entities
from tests.support.data_contract import columns
from tests.support.source import HOUSE

PAGE = HOUSE / "docs" / "views.md"
HEAD = """\
# The views

Every view and function of the schema `v1`, as the database itself describes them; `make views` writes this page from
the migrations. [querying.md](querying.md) says how to ask them.

![The views, their keys, and what they refer to](images/views.svg)
"""
FUNCTIONS = """
    SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), obj_description(oid, 'pg_proc')
    FROM pg_proc WHERE pronamespace = 'v1'::regnamespace ORDER BY proname
"""


def page(url: str) -> str:
    """The page, of a migrated database."""
    with psycopg.connect(url) as connection:
        rows_of_views = columns(connection)
        functions = connection.execute(FUNCTIONS).fetchall()
    parts = [HEAD]
    for (view, meaning), rows in groupby(rows_of_views, key=lambda row: (row[0], row[1])):
        parts.append(
            f"## `v1.{view}`\n\n{meaning}.\n\n{_table(('column', 'type', 'meaning'), [row[2:] for row in rows])}"
        )
    parts.append("## Functions\n\n" + _table(("function", "returns", "meaning"), [_told(*row) for row in functions]))
    return "\n".join(parts)


def _told(name: str, arguments: str, result: str, meaning: str) -> tuple[str, str, str]:
    return f"v1.{name}({arguments})", result, meaning


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings)]
    lines += [(f"`{name}`", kind, meaning.replace("|", "\\|")) for name, kind, meaning in rows]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text.replace("timestamp with time zone", "timestamptz")


if __name__ == "__main__":
    with TemporaryDirectory(prefix="callweave-") as home, postgres(Path(home)) as embedded:
        address = embedded.url("callweave")
        upgrade(address)
        PAGE.write_text(page(address), "utf-8")
        entities.PICTURE.write_text(entities.picture(address), "utf-8")
        data_contract.FILE.write_text(data_contract.contract(address), "utf-8")
