"""The contract of the schema `v1` as data, by the Open Data Contract Standard 3.1: made from the database's own words.

https://bitol-io.github.io/open-data-contract-standard/v3.1.0/
"""

from typing import Any

import psycopg
import yaml  # type: ignore[import-untyped]  # Prefect brings it, without types

from tests.support.source import HOUSE

FILE = HOUSE / "docs" / "callweave.odcs.yaml"
HEAD: dict[str, Any] = {
    "apiVersion": "v3.1.0",
    "kind": "DataContract",
    "id": "urn:callweave:v1",
    "name": "Callweave, schema v1",
    "version": "1.0.0",
    "status": "active",
    "description": {
        "purpose": "Calls and contacts of several telephone systems, people, and each real call once.",
        "usage": "Read the views of the schema v1 as a member of callweave_reader; docs/querying.md has examples.",
        "limitations": "Columns and views may be added. What is there keeps name, type and meaning; a v2 would stand "
        "beside it. Times of a stream are complete up to v1.sync_status.complete_up_to, not up to now.",
    },
    "servers": [
        {"server": "callweave", "type": "postgres", "host": "localhost", "port": 5432, "database": "callweave"}
        | {"schema": "v1"}
    ],
    "slaProperties": [
        {"property": "latency", "value": 10, "unit": "m", "element": "sync_status.complete_up_to"}
        | {"description": "Of calls, while schedules and workers run: every five minutes, less one that is left alone"}
    ],
}
RECORD = ("provider", "account", "external_id")
KEYS = {
    "call": RECORD,
    "contact": RECORD,
    "unmatched_call": RECORD,
    "unified_call": ("unified_call_id",),
    "person": ("person_id",),
    "change": ("sequence",),
    "unlinked_phone": ("e164",),
    "sync_status": ("provider", "account", "stream"),
    "coverage_by_hour": ("provider", "account", "hour"),
    "missing_in": ("unified_call_id", "provider", "account"),
}
"""What is there once; every part of it always holds something."""
REFERENCES = {
    ("call", "remote_person_id"): "person.person_id",
    ("call", "unified_call_id"): "unified_call.unified_call_id",
    ("call_match", "unified_call_id"): "unified_call.unified_call_id",
    ("contact", "person_id"): "person.person_id",
    ("missing_in", "unified_call_id"): "unified_call.unified_call_id",
    ("unified_call", "person_id"): "person.person_id",
}
"""Columns that name a row of another view wherever they hold something."""
RECORDS = {
    ("call", "contact_external_id"): "contact",
    ("call_history", "external_id"): "call",
    ("call_match", "left_external_id"): "call",
    ("call_match", "right_external_id"): "call",
    ("change", "external_id"): "call",
    ("decision_history", "left_external_id"): "call",
    ("decision_history", "right_external_id"): "call",
    ("unmatched_call", "external_id"): "call",
}
"""Ids of a record, with the provider and the account beside them."""
LOGICAL = {
    "text": "string",
    "bigint": "integer",
    "integer": "integer",
    "boolean": "boolean",
    "double precision": "number",
    "timestamp with time zone": "timestamp",
    "jsonb": "object",
    "tstzmultirange": "string",
}
VIEWS = """
    SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, a.atttypmod),
           col_description(c.oid, a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'v1'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum
"""

Column = tuple[str, str, str, str, str]
"""View, its meaning, column, type and meaning."""


def columns(connection: psycopg.Connection[Any]) -> list[Column]:
    return connection.execute(VIEWS).fetchall()


def contract(url: str) -> str:
    """The file, of a migrated database."""
    with psycopg.connect(url) as connection:
        found = columns(connection)
    views = {view: meaning for view, meaning, *_ in found}
    described = [_view(view, meaning, [row for row in found if row[0] == view]) for view, meaning in views.items()]
    text: str = yaml.safe_dump(HEAD | {"schema": described}, sort_keys=False, allow_unicode=True, width=120)
    return "# Made from the database by `make views`.\n" + text


def _view(view: str, meaning: str, rows: list[Column]) -> dict[str, Any]:
    properties = [_property(view, *row[2:]) for row in rows]
    names = {"name": view, "physicalName": view, "physicalType": "view", "logicalType": "object"}
    return names | {"description": meaning, "properties": properties}


def _property(view: str, name: str, kind: str, meaning: str) -> dict[str, Any]:
    key = KEYS.get(view, ())
    described: dict[str, Any] = {"name": name, "physicalType": kind, "description": meaning}
    if kind.endswith("[]"):
        described |= {"logicalType": "array", "items": {"logicalType": LOGICAL[kind.removesuffix("[]")]}}
    else:
        described |= {"logicalType": LOGICAL[kind]}
    if name in key:
        described |= {"primaryKey": True, "primaryKeyPosition": key.index(name) + 1, "required": True}
    if target := REFERENCES.get((view, name)):
        described |= {"relationships": [{"type": "foreignKey", "to": target}]}
    return described
