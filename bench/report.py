"""Tables as aligned plain text."""

from collections.abc import Sequence
from statistics import median


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The last column, the command that repeats a line, is set to the left."""
    lines = [headings, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    print(title)
    for line in lines:
        first, *middle, last = (text.rjust(width) for text, width in zip(line, widths, strict=True))
        print("  " + "  ".join([first.strip().ljust(widths[0]), *middle, last.strip()]).rstrip())
    print(flush=True)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and how far the repeats lie apart."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
