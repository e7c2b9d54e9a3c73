"""What artifacts are written in."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flows.rendering import terminal

DAY = 24 * 60
MARKS = re.compile(r"[|\\`*\[\]]")


def table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "None."
    headings = list(rows[0])
    lines = [headings, ["---"] * len(headings), *([_cell(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    """A value in one line, with what Markdown and HTML would obey as it is written."""
    text = " ".join(terminal.printable(terminal.cell(value)).split())
    return MARKS.sub(r"\\\g<0>", text).replace("<", "&lt;")


def span(length: timedelta) -> str:
    """About how long, in its two largest units."""
    minutes = max(round(length.total_seconds() / 60), 0)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < DAY else f"{minutes // DAY} d {minutes % DAY // 60} h"
