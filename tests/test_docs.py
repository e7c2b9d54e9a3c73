"""What the documents say is true of the code: paths, functions, links, commands, SQL."""

import re
from pathlib import Path

import psycopg
import pytest

from flows.cli.arguments import parser
from tasks.migrate import upgrade
from tests.support.data_contract import FILE, KEYS, contract
from tests.support.entities import PICTURE, picture
from tests.support.source import HOUSE
from tests.support.views import PAGE, page, without_examples

DOCUMENTS = sorted([*HOUSE.glob("*.md"), *HOUSE.glob("docs/*.md")])
OURS = "models|tasks|flows|migrations|sandbox|bench|tests|docs"
PATH = re.compile(rf"`((?:{OURS})/[\w./-]*)`(?:: ((?:`\w+`(?:, )?)+))?")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"callweave (?:--verbose )?([a-z]+)(?![.\w])")
CELL = r"^\| `.* \| (.*?) ?\|$"
"""The example beside a column."""
SQL = re.compile(r"```sql\n(.*?)```", re.DOTALL)
named = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)


@named
def test_paths(document: Path) -> None:
    """Every path of ours that a document names is there, and so is every function named beside one."""
    for path, functions in PATH.findall(document.read_text("utf-8")):
        assert (HOUSE / path).exists(), path
        for name in re.findall(r"\w+", functions):
            assert re.search(rf"\b(def|class) {name}\b", (HOUSE / path).read_text("utf-8")), (path, name)


@named
def test_links(document: Path) -> None:
    """Every link from one document to another leads somewhere."""
    links = [link for link in LINK.findall(document.read_text("utf-8")) if not link.startswith("http")]

    assert [link for link in links if not (document.parent / link).exists()] == []


@named
def test_commands(document: Path) -> None:
    """Every command that a document names in code exists."""
    known = set(re.findall(r"^    ([a-z]+) ", parser().format_help(), re.MULTILINE))
    code = "\n".join(re.findall(r"```.*?```|`[^`]+`", document.read_text("utf-8"), re.DOTALL))

    assert set(COMMAND.findall(code)) <= known


def test_the_page_of_views(database_url: str) -> None:
    """docs/views.md says what the database does: no name, type or meaning of `v1` changes unseen; `make views`."""
    assert without_examples(PAGE.read_text("utf-8")) == page(database_url, {})
    assert FILE.read_text("utf-8") == contract(database_url)
    assert PICTURE.read_text("utf-8") == picture(database_url)


def test_each_view_has_an_example() -> None:
    """A row of each view stands in docs/views.md, with a value for most of its columns."""
    text = PAGE.read_text("utf-8")
    views = re.findall(r"^## `v1\.(\w+)`\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    told = {view: [bool(cell) for cell in re.findall(CELL, lines, re.MULTILINE)] for view, lines in views}

    assert len(told) == len(KEYS.keys() | told.keys()) > 10
    assert {view for view, cells in told.items() if sum(cells) <= len(cells) / 2} == set()


def test_a_changed_meaning_is_seen(empty_database_url: str) -> None:
    """A column that is new, of another type, or of which something else is said makes another page."""
    upgrade(empty_database_url)
    written = page(empty_database_url, {})
    for statement in (
        "COMMENT ON COLUMN v1.person.emails IS 'Something else'",
        "ALTER VIEW v1.person RENAME COLUMN emails TO addresses",
        "COMMENT ON FUNCTION v1.complete IS 'Something else'",
    ):
        with psycopg.connect(empty_database_url) as connection:
            connection.execute(statement)
        before, written = written, page(empty_database_url, {})
        assert before != written, statement


@named
def test_sql(document: Path, database_url: str) -> None:
    """Every statement in a document is one that today's tables and views can answer."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for block in SQL.findall(document.read_text("utf-8")):
            for statement in filter(str.strip, re.sub(r"--.*", "", block).split(";")):
                connection.execute(f"PREPARE documented AS {statement}".encode())
                connection.execute("DEALLOCATE documented")
