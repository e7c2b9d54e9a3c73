"""The order-free upsert, as statements.

A record's version is (the source's change time, when it was asked for, its content): the greatest version
wins in any order of arrival, and equal content is never written. Records are staged by COPY and merged in key
order, so that concurrent merges cannot deadlock.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    MetaData,
    ScalarSelect,
    Select,
    Table,
    and_,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import Insert, distinct_on, insert
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.dml import ReturningInsert

from models.rows import STAMP, CallRow, ContactRow
from models.tables.identity import Phone
from models.tables.records import Call, Contact
from tasks.database import texts

KEY = ("provider", "account", "external_id")
VERSION = ("source_updated_at", "observed_at", "payload")
NOT_CONTENT = {*KEY, "digest", "lookup_digest", "source_updated_at", "observed_at", "scope"}
"""Columns that may differ without the record having changed."""


class Target:
    """A table of records and the statements that load it."""

    def __init__(self, table: Table, row: type[CallRow | ContactRow]) -> None:
        self.table = table
        self.staged_columns = [*row._fields, *STAMP]
        self.stage = _stage(table, self.staged_columns)
        self.create_stage = CreateTable(self.stage, if_not_exists=True)
        self.empty_stage = delete(self.stage)
        self.merge = _merge(table, self.stage, self.staged_columns)


def _stage(table: Table, names: list[str]) -> Table:
    columns = [Column(name, table.c[name].type) for name in names]
    return Table(
        f"stage_{table.name}", MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DELETE ROWS"
    )


def _merge(table: Table, stage: Table, names: list[str]) -> ReturningInsert[str, bool, bool | None, bool]:
    """Returns of each row written its key, whether it was new, and whether it was and is deleted."""
    newest = _newest(stage)
    statement = insert(table).from_select(names, newest)
    new = statement.excluded
    changes = {name: new[name] for name in names if name not in KEY} | _opt_out(table, new)
    return statement.on_conflict_do_update(
        index_elements=list(KEY),
        set_=changes | {"changed_at": func.now(), "vanished_at": None},
        where=and_(
            tuple_(*(new[name] for name in VERSION)) >= tuple_(*(table.c[name] for name in VERSION)),
            or_(
                table.c.vanished_at.is_not(None),
                *(new[name].is_distinct_from(table.c[name]) for name in names if name not in NOT_CONTENT),
            ),
        ),
    ).returning(
        table.c.external_id,
        literal_column("(xmax = 0)", Boolean).label("is_new"),
        _was_deleted(table).label("was_deleted"),
        _is_deleted(table).label("is_deleted"),
    )


def _opt_out(table: Table, new: Any) -> dict[str, ColumnElement[datetime]]:
    """When a contact opted out that had not; a contact that is new has been so since it was first seen."""
    if "opted_out" not in table.c:
        return {}
    begins = and_(new.opted_out, func.coalesce(table.c.opted_out, False).is_(False))
    since = case((begins, func.now()), (new.opted_out, table.c.opted_out_since))
    return {"opted_out_since": since}


def _is_deleted(table: FromClause) -> ColumnElement[bool]:
    return or_(table.c.deleted_at.is_not(None), table.c.vanished_at.is_not(None))


def _was_deleted(table: Table) -> ScalarSelect[bool]:
    """Before the statement: a query inside of it sees the rows as they stood at its start."""
    before = table.alias("before")
    # The outer table stands as text: SQLAlchemy does not correlate a query with the target of an INSERT.
    same = before.c.id == literal_column(f"{table.name}.id")
    return select(_is_deleted(before)).where(same).scalar_subquery()


def _newest(stage: Table) -> Select[*tuple[object, ...]]:
    """Of a key staged twice the greatest version, in key order."""
    order = [stage.c[name] for name in KEY] + [stage.c[name].desc() for name in VERSION]
    return select(stage).ext(distinct_on(*(stage.c[name] for name in KEY))).order_by(*order)


def new_phones() -> Insert:
    """Registers those of the numbers `:e164s`, a JSON array, that are not yet known, in order."""
    given = texts("e164s")
    known = select(Phone.id).where(Phone.e164 == given).exists()
    wanted = select(given).where(~known).order_by(given)
    return insert(Phone).from_select(["e164"], wanted).on_conflict_do_nothing()


CALLS = Target(cast("Table", Call.__table__), CallRow)
CONTACTS = Target(cast("Table", Contact.__table__), ContactRow)
