"""Writes from a database what it says of `v1`: docs/views.md, its picture, the contract as data (`make views`)."""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tasks.embedded import postgres
from tasks.migrate import upgrade
from tests.support import data_contract, entities
from tests.support.data_contract import columns
from tests.support.example_rows import Examples, example_rows
from tests.support.source import HOUSE

COLUMNS = ("column", "type", "meaning", "in one row")
PAGE = HOUSE / "docs" / "views.md"
HEAD = """\
# The views

Every view and function of the schema `v1`, as the database itself describes them; `make views` writes this page from
the migrations, with one row of each out of the sandbox's invented world. [querying.md](querying.md) says how to ask.

![The views, their keys, and what they refer to](images/views.svg)
"""
FUNCTIONS = """
    SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), obj_description(oid, 'pg_proc')
    FROM pg_proc WHERE pronamespace = 'v1'::regnamespace ORDER BY proname
"""


def page(url: str, examples: Examples) -> str:
    """The page, of a migrated database."""
    with psycopg.connect(url) as connection:
        rows_of_views = columns(connection)
        functions = connection.execute(FUNCTIONS).fetchall()
    parts = [HEAD]
    for (view, meaning), rows in groupby(rows_of_views, key=lambda row: (row[0], row[1])):
        lines = [(*row[2:], examples.get((view, row[2]), "")) for row in rows]
        parts.append(f"## `v1.{view}`\n\n{meaning}.\n\n{_table(COLUMNS, lines)}")
    parts.append("## Functions\n\n" + _table(("function", "returns", "meaning"), [_told(*row) for row in functions]))
    return "\n".join(parts)


def _told(name: str, arguments: str, result: str, meaning: str) -> tuple[str, str, str]:
    return f"v1.{name}({arguments})", result, meaning


def without_examples(text: str) -> str:
    """The page with the last cell of each column's line empty."""
    return re.sub(r"^(\| `\w+` (?:\| .*? ){2}\|) .* \|$", r"\1  |", text, flags=re.MULTILINE)


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings)]
    lines += [(f"`{name}`", kind, meaning.replace("|", "\\|"), *more) for name, kind, meaning, *more in rows]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text.replace("timestamp with time zone", "timestamptz")


if __name__ == "__main__":
    with TemporaryDirectory(prefix="callweave-") as home, postgres(Path(home)) as embedded:
        address = embedded.url("callweave")
        upgrade(address)
        entities.PICTURE.write_text(entities.picture(address), "utf-8")
        data_contract.FILE.write_text(data_contract.contract(address), "utf-8")
        PAGE.write_text(page(address, example_rows(address)), "utf-8")
