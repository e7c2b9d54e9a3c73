"""Boxes in layers with arrows between them, as SVG: what the pictures of the documents are drawn with."""

from collections.abc import Iterable, Mapping
from html import escape
from textwrap import wrap
from typing import NamedTuple

WIDTH, MARGIN, GAP, LAYER_GAP = 1160, 20, 14, 44
BOX, LINE, HEAD = 176, 13, 22
LETTERS = 30
"""Of words on one line of a box."""

Graph = dict[str, set[str]]
"""Which others each one points to."""


class Content(NamedTuple):
    """What a box says."""

    title: str
    fill: str
    lines: list[str]


class Box(NamedTuple):
    content: Content
    x: float
    y: float

    @property
    def height(self) -> float:
        return HEAD + LINE * len(self.content.lines) + 6


def lines_of(words: Iterable[str]) -> list[str]:
    """Words with commas between them, in lines as long as a box is wide."""
    return wrap(", ".join(words), LETTERS)


def depths(graph: Graph) -> dict[str, int]:
    """The layer of each one: as low as it can stand above all that it points to."""

    def height(one: str) -> int:
        return 1 + max((height(other) for other in graph[one]), default=-1)

    heights = {one: height(one) for one in graph}
    return {name: max(heights.values()) - one for name, one in heights.items()}


def reduced(graph: Graph) -> Graph:
    """Without the arrows that a longer way says already."""

    def reach(one: str) -> set[str]:
        return set().union(*({other} | reach(other) for other in graph[one]))

    return {
        name: {one for one in others if not any(one in reach(two) for two in others)} for name, others in graph.items()
    }


def layers(graph: Graph) -> list[list[str]]:
    """From top to bottom; in each layer about below those that point to them."""
    depth, made = depths(graph), list[list[str]]()
    for level in range(max(depth.values()) + 1):
        here = sorted(name for name in graph if depth[name] == level)
        above = {name: i / len(layer) for layer in made for i, name in enumerate(layer)}
        parents = {name: [above[one] for one in above if name in graph[one]] for name in here}
        made.append(sorted(here, key=lambda name: (sum(parents[name]) / max(len(parents[name]), 1), name)))
    return made


def boxes(graph: Graph, contents: Mapping[str, Content]) -> dict[str, Box]:
    placed, y = dict[str, Box](), float(MARGIN)
    for layer in layers(graph):
        x = (WIDTH - len(layer) * (BOX + GAP) + GAP) / 2
        for i, one in enumerate(layer):
            placed[one] = Box(contents[one], x + i * (BOX + GAP), y)
        y += max(placed[one].height for one in layer) + LAYER_GAP
    return placed


def drawn_box(box: Box) -> str:
    title, fill, lines = box.content
    text = [f'<text class="title" x="{box.x + 8:.0f}" y="{box.y + 16:.0f}">{escape(title)}</text>']
    for i, line in enumerate(lines):
        y = box.y + HEAD + LINE * (i + 0.8)
        text.append(f'<text x="{box.x + 8:.0f}" y="{y:.0f}">{escape(line)}</text>')
    frame = f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{BOX}" height="{box.height:.0f}" rx="6" fill="{fill}"/>'
    return "\n".join([frame, *text])


def drawn_arrow(start: Box, end: Box) -> str:
    x1, y1, x2, y2 = start.x + BOX / 2, start.y + start.height, end.x + BOX / 2, end.y - 2
    if y2 < y1:  # a way back, in a circle
        y1, y2 = start.y, end.y + end.height + 2
    bend = (y2 - y1) / 2
    return f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"/>'


STYLE = """<style>
text { font: 10px sans-serif; fill: #444 } .title { font: bold 12px sans-serif; fill: #111 }
rect { stroke: #888 } path { stroke: #777; fill: none; marker-end: url(#tip) }
</style>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<polygon points="0,0 8,4 0,8" fill="#777"/></marker>"""


def svg(placed: Mapping[str, Box], ways: Iterable[tuple[str, str]]) -> str:
    """The picture of the boxes and the arrows from one to another."""
    height = max(box.y + box.height for box in placed.values()) + MARGIN
    lines = [drawn_arrow(placed[start], placed[end]) for start, end in sorted(ways)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}">'
    background = '<rect width="100%" height="100%" fill="white" style="stroke: none"/>'
    return "\n".join([head, STYLE, background, *lines, *map(drawn_box, placed.values()), "</svg>", ""])
