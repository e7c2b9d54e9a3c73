"""What artifacts are written in."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flows import terminal

DAY = 24 * 60


def table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "None."
    headings = list(rows[0])
    lines = [headings, ["---"] * len(headings), *([terminal.cell(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def span(length: timedelta) -> str:
    """About how long, in the two units that tell."""
    minutes = max(round(length.total_seconds() / 60), 0)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < DAY else f"{minutes // DAY} d {minutes % DAY // 60} h"
