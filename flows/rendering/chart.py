"""Small bar charts as SVG in a data URI: the only form in which Prefect shows a picture in Markdown."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

WIDTH, HEIGHT = 720, 108
"""Of one panel."""
TOP, BOTTOM = 30, 20
"""Room for its title above the bars, and for its days under them."""
WEEK = 7
INK = "#7d8590"
"""Of words and lines: to be read on the white of a light theme and on the black of a dark one."""


class Panel(NamedTuple):
    """One value a day, oldest first; None: nothing is known of that day."""

    title: str
    values: Sequence[float | None]
    colour: str


def daily(panels: Sequence[Panel], last: date) -> str:
    """The panels one above the other; `last` is the day of their last value."""
    body = "".join(_panel(panel, place * HEIGHT, last) for place, panel in enumerate(panels))
    return uri(WIDTH, len(panels) * HEIGHT, body)


def uri(width: int, height: int, body: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="11" fill="{INK}">{body}</svg>'
    )
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()


def _panel(panel: Panel, top: int, last: date) -> str:
    floor, width = top + HEIGHT - BOTTOM, WIDTH / len(panel.values)
    highest = max((value for value in panel.values if value is not None), default=0)
    scale = (HEIGHT - TOP - BOTTOM) / max(highest, 1)
    bars = "".join(
        f"M{place * width + 1:.0f} {floor}v-{max(value * scale, 1):.0f}h{width - 2:.0f}v{max(value * scale, 1):.0f}z"
        for place, value in enumerate(panel.values)
        if value
    )
    return (
        f'<text x="4" y="{top + 18}">{panel.title}</text><path d="{bars}" fill="{panel.colour}"/>'
        f'<path d="M0 {floor}.5h{WIDTH}" stroke="{INK}"/>{_days(len(panel.values), width, floor, last)}'
    )


def _days(number: int, width: float, floor: int, last: date) -> str:
    """Every seventh day, the last one included."""
    return "".join(
        f'<text x="{(place + 1) * width - 2:.0f}" y="{floor + 14}" text-anchor="end">'
        f"{last - timedelta(days=number - 1 - place):%d %b}</text>"
        for place in range(number - 1, 0, -WEEK)
    )
