"""Draws what `callweave demo` ends with as docs/images/demo.svg, with which README.md opens (`make recording`)."""

import io
import re
import subprocess
import sys

from rich.console import Console

from tests.support.source import HOUSE

PICTURE = HOUSE / "docs" / "images" / "demo.svg"
FROM, UNTIL = "Matched:", "Everything is stopped again."
WIDTH = 136


def shown(printed: str) -> str:
    """The part of the demo's output that says what one gets."""
    return FROM + printed.partition(FROM)[2].partition(UNTIL)[0].rstrip()


def drawn(text: str) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print("[bold]$ make demo[/bold]\n…", highlight=False)
    for line in text.splitlines():
        console.print(line.rstrip(), markup=False, highlight=False, style="bold" if line.endswith(":") else "")
    svg = console.export_svg(title="Callweave: every call, once", unique_id="demo")
    # Whoever looks at it asks no other machine for a font.
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    done = subprocess.run(
        [sys.executable, "-m", "flows", "demo"], cwd=HOUSE, stdout=subprocess.PIPE, text=True, check=True
    )
    PICTURE.write_text(drawn(shown(done.stdout)), "utf-8")
