"""What people see in a terminal: a bar per stream while it works, a small table at the end."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from models.vocabulary import RunState
from tasks.line import LISTENER, Line

COLUMNS = ("fetched", "inserted", "updated", "unchanged", "duplicate", "rejected", "deleted", "windows", "requests")
COLOURS = {RunState.COMPLETED: "green", RunState.PARTIAL: "yellow", RunState.FAILED: "red"}


class Lines:
    """Keeps the lines of all flows that run in this process, and shows them moving where somebody looks."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._lock = progress, Lock()
        self._bars: dict[tuple[str, str], TaskID] = {}
        self.all: dict[tuple[str, str], Line] = {}

    def listen(self, line: Line) -> None:
        key = (line.provider, line.stream)
        with self._lock:
            self.all[key] = line
            if key not in self._bars:
                self._bars[key] = self._progress.add_task(f"{line.provider} {line.stream}", total=None, records="")
        ended = line.windows + line.windows_failed
        total = ended or 1 if line.state is not RunState.RUNNING else max(line.windows_known, ended + 1)
        self._progress.update(
            self._bars[key], total=total, completed=ended or (total == 1), records=f"{line.counts.fetched:,} records"
        )


@contextmanager
def watched() -> Iterator[Lines]:
    """Bars on stderr where it is a terminal; the lines in any case."""
    progress = Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TextColumn("{task.fields[records]:>16}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with progress:
        lines = Lines(progress)
        token = LISTENER.set(lines.listen)
        try:
            yield lines
        finally:
            LISTENER.reset(token)


def show(lines: list[Line]) -> None:
    """The end of a run as a table on stdout."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("provider", "stream", "state"):
        table.add_column(name)
    for name in (*COLUMNS, "seconds"):
        table.add_column(name, justify="right")
    for line in lines:
        receipt = line.receipt
        state = f"[{COLOURS.get(line.state, '')}]{line.state}[/]"
        numbers = [f"{receipt[name]:,}" for name in COLUMNS]
        table.add_row(line.provider, str(line.stream), state, *numbers, f"{line.seconds:.1f}")
    console().print(table)


def show_rows(headings: list[str], rows: list[list[str]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def show_table(title: str, rows: list[dict[str, Any]]) -> None:
    """The rows under their own names, where there are any."""
    if rows:
        sys.stdout.write(f"\n{title}:\n")
        show_rows(
            [name.replace("_", " ") for name in rows[0]], [[cell(value) for value in row.values()] for row in rows]
        )


def cell(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)


def show_json(document: Any) -> None:
    """One document, its times in ISO 8601."""
    sys.stdout.write(json.dumps(document, default=_plain) + "\n")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def console() -> Console:
    """Stdout, at least wide enough for a whole table where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)
