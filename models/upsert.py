"""The order-free upsert, as statements.

A record's version is (the source's change time or -infinity, when it was asked for, its content): the greatest version
wins whatever the order of arrival, and equal content is never written. Records are staged by COPY and merged in key
order, so that concurrent merges cannot deadlock.
"""

from typing import cast

from sqlalchemy import (
    Column,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy import cast as cast_
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.elements import NamedColumn

from models.rows import STAMP, CallRow, ContactRow
from models.tables import Call, Contact, Phone

KEY = ("provider", "account", "external_id")
VERSION = ("source_updated_at", "observed_at", "payload")
NOT_CONTENT = {*KEY, "digest", "lookup_digest", "observed_at", "scope"}
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


def _merge(table: Table, stage: Table, names: list[str]) -> ReturningInsert[tuple[str, bool]]:
    """Returns the key of each row written, and whether it was new."""
    newest = _newest(stage)
    statement = insert(table).from_select(names, newest)
    new = statement.excluded
    changes = {name: new[name] for name in names if name not in KEY}
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
    ).returning(table.c.external_id, literal_column("(xmax = 0)").label("is_new"))


def _newest(stage: Table) -> Select[tuple[object, ...]]:
    """Of a key staged twice the greatest version, in key order."""
    order = [stage.c[name] for name in KEY] + [stage.c[name].desc() for name in VERSION]
    return select(stage).distinct(*(stage.c[name] for name in KEY)).order_by(*order)


def texts(name: str) -> NamedColumn[str]:
    """The strings of the parameter `name`, a JSON array, as rows."""
    return func.jsonb_array_elements_text(cast_(bindparam(name, type_=Text), JSONB)).column_valued(name)


def new_phones() -> Insert:
    """Registers those of the numbers `:e164s`, a JSON array, that are not yet known, in order."""
    given = texts("e164s")
    known = select(Phone.id).where(Phone.e164 == given).exists()
    wanted = select(given).where(~known).order_by(given)
    return insert(Phone).from_select(["e164"], wanted).on_conflict_do_nothing()


CALLS = Target(cast("Table", Call.__table__), CallRow)
CONTACTS = Target(cast("Table", Contact.__table__), ContactRow)
