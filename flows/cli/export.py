"""The command `export`: a view of `v1` as a file."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from models.errors import ExportFailed, UsageError
from tasks.export import Range, Wrote, find_view, write_beside, write_csv, write_parquet
from tasks.home import database
from tasks.settings import Settings

FORMATS = {"csv": (write_csv, "bytes"), "parquet": (write_parquet, "rows")}


def export(options: Namespace) -> int:
    span = Range(options.since, options.until)
    if span.since and span.until and span.since >= span.until:
        raise UsageError("--since must be before --until.")
    if options.output is None and options.format == "parquet" and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal: give --output FILE.")
    write, unit = FORMATS[options.format]
    with database(Settings()) as url:
        view = find_view(url, options.view, span)
        with _progress(view.name, unit) as wrote:
            _deliver(partial(write, url, view, span, wrote=wrote), options.output)
    return 0


def _deliver(write: partial[None], output: str | None) -> None:
    if output is None:
        write(file=sys.stdout.buffer)
        return
    try:
        write_beside(Path(output), lambda file: write(file=file))
    except OSError as error:
        raise ExportFailed(f"{output} cannot be written: {error.strerror}.") from error


@contextmanager
def _progress(name: str, unit: str) -> Iterator[Wrote]:
    """A line on stderr where it is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:>14,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"v1.{name} {unit}", total=None)
        yield lambda more: progress.advance(task, more)
