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
from rich.text import Text

from models.vocabulary import RunState
from tasks.extract.stream_run import StreamRun
from tasks.ledger.receipt import COUNTED, RunReceipt

COUNTED_COLUMNS = (*COUNTED[2:], *COUNTED[:2])
"""Records first."""
COLOURS = {RunState.COMPLETED: "green", RunState.PARTIAL: "yellow", RunState.FAILED: "red"}


class Receipts:
    """Follows the runs of this process: keeps them, and shows their receipts moving in a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._lock = progress, Lock()
        self._bars: dict[tuple[str, str, str], TaskID] = {}
        self.runs: list[StreamRun] = []

    def begun(self, run: StreamRun) -> None:
        self.runs.append(run)

    def moved(self, receipt: RunReceipt) -> None:
        ended = receipt.windows + receipt.windows_failed
        is_over = receipt.state is not RunState.RUNNING
        total = ended or 1 if is_over else max(receipt.windows_known, ended + 1)
        records = f"{receipt.counts.fetched:,} records"
        self._progress.update(self._bar(receipt), total=total, completed=ended or (total == 1), records=records)

    def _bar(self, receipt: RunReceipt) -> TaskID:
        key = (receipt.provider, receipt.account, receipt.stream)
        with self._lock:
            if key not in self._bars:
                self._bars[key] = self._progress.add_task(f"{key[0]} {key[2]}", total=None, records="")
            return self._bars[key]


@contextmanager
def followed() -> Iterator[Receipts]:
    """Bars on stderr where it is a terminal."""
    progress = Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TextColumn("{task.fields[records]:>16}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with progress:
        yield Receipts(progress)


def show(receipts: list[RunReceipt]) -> None:
    """The end of a run as a table on stdout."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("provider", "stream", "state"):
        table.add_column(name)
    for name in (*COUNTED_COLUMNS, "seconds"):
        table.add_column(name, justify="right")
    for receipt in receipts:
        state = f"[{COLOURS.get(receipt.state, '')}]{receipt.state}[/]"
        numbers = [f"{receipt.numbers[name]:,}" for name in COUNTED_COLUMNS]
        table.add_row(receipt.provider, str(receipt.stream), state, *numbers, f"{receipt.seconds:.1f}")
    console().print(table)


def show_rows(headings: list[str], rows: list[list[str]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(text)) for text in row))
    console().print(table)


def printable(text: str) -> str:
    """Without characters that a terminal obeys; what is no markup of ours is shown as it is."""
    return "".join(mark if mark.isprintable() or mark == "\n" else "\ufffd" for mark in text)


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
