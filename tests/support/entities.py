"""Draws the views of the schema `v1` and how they refer to each other, as docs/images/views.svg (`make views`)."""

from itertools import groupby

import psycopg

from tests.support.data_contract import KEYS, RECORDS, REFERENCES, columns
from tests.support.drawing import Content, Graph, boxes, lines_of, reduced, svg
from tests.support.source import HOUSE

PICTURE = HOUSE / "docs" / "images" / "views.svg"
FILLS = {"call": "#e8f1fb", "contact": "#e8f1fb", "unified_call": "#fdf3e1", "person": "#fdf3e1"}
"""Records of providers; what we make of them."""
OTHER = "#f4f4f4"
FRESHNESS = {
    ("coverage_by_hour", "account"): "sync_status",
    ("rejected_row", "account"): "sync_status",
    ("sync_run", "account"): "sync_status",
}
"""Of which stream, by provider and account."""


def picture(url: str) -> str:
    """A box for each view with its key and its references; an arrow for each reference that no longer way says."""
    with psycopg.connect(url) as connection:
        views = [view for view, _ in groupby(columns(connection), key=lambda row: row[0])]
    graph: Graph = {view: set() for view in views}
    for (view, _), target in (REFERENCES | RECORDS | FRESHNESS).items():
        graph[view].add(target.partition(".")[0])
    contents = {view: Content(f"v1.{view}", FILLS.get(view, OTHER), _lines(view)) for view in views}
    ways = {(view, other) for view, others in reduced(graph).items() for other in others}
    return svg(boxes(graph, contents), ways)


def _lines(view: str) -> list[str]:
    key = lines_of(["key: " + ", ".join(KEYS[view])]) if view in KEYS else []
    references = [
        f"{column} → {target.partition('.')[0]}"
        for (of, column), target in (REFERENCES | RECORDS).items()
        if of == view
    ]
    return key + references
