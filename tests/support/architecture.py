"""Draws the rooms of the house and what they import, as docs/images/architecture.svg: `make picture`."""

from collections import defaultdict
from html import escape
from textwrap import wrap
from typing import NamedTuple

from tests.support.source import FILES, HOUSE, imports, module_of, tree_of

PICTURE = HOUSE / "docs" / "images" / "architecture.svg"
FLOORS = {"flows": "#e8f1fb", "tasks": "#eef7ea", "models": "#fdf3e1"}
"""The top packages that are drawn, with their colours."""
WIDTH, MARGIN, GAP, LAYER_GAP = 1160, 20, 14, 44
BOX, LINE, HEAD = 176, 13, 22
LETTERS = 30
"""Of module names on one line of a box."""

Graph = dict[str, set[str]]


class Box(NamedTuple):
    room: str
    lines: list[str]
    x: float
    y: float

    @property
    def height(self) -> float:
        return HEAD + LINE * len(self.lines) + 6


def room_of(module: str) -> str:
    """The package that a module stands in."""
    is_package = HOUSE.joinpath(*module.split(".")).is_dir()
    return module if is_package else module.rpartition(".")[0]


def imported(name: str) -> str:
    """The module behind an imported name, which may be a function of it."""
    while not ((place := HOUSE.joinpath(*name.split("."))).is_dir() or place.with_suffix(".py").exists()):
        name = name.rpartition(".")[0]
    return name


def rooms() -> dict[str, list[str]]:
    """The modules of each room, by their last names."""
    found = defaultdict[str, list[str]](list)
    for file in FILES:
        module = module_of(file)
        if module.partition(".")[0] in FLOORS and file.stem not in {"__init__", "__main__"}:
            found[room_of(module)].append(file.stem)
    return dict(found)


def arrows() -> Graph:
    """Which rooms each room imports."""
    graph: Graph = {room: set() for room in rooms()}
    for file in FILES:
        here = room_of(module_of(file))
        if here in graph and file.stem != "__main__":
            names = (imported(name) for name, _ in imports(tree_of(file)))
            graph[here] |= {room for name in names if (room := room_of(name)) in graph and room != here}
    return graph


def without_circles(graph: Graph) -> Graph:
    """Without the arrows that lead back to where a walk along them came from."""
    kept: Graph = {room: set() for room in graph}
    done: set[str] = set()

    def walk(room: str, path: frozenset[str]) -> None:
        for other in sorted(graph[room] - path):
            kept[room].add(other)
            if other not in done:
                walk(other, path | {other})
        done.add(room)

    for room in sorted(graph):
        if room not in done:
            walk(room, frozenset({room}))
    return kept


def depths(graph: Graph) -> dict[str, int]:
    """The layer of each room: as low as it can stand above all that it imports."""

    def height(room: str) -> int:
        return 1 + max((height(other) for other in graph[room]), default=-1)

    heights = {room: height(room) for room in graph}
    return {room: max(heights.values()) - one for room, one in heights.items()}


def reduced(graph: Graph) -> Graph:
    """Without the arrows that a longer way says already."""

    def reach(room: str) -> set[str]:
        return set().union(*({other} | reach(other) for other in graph[room]))

    return {
        room: {one for one in others if not any(one in reach(two) for two in others)} for room, others in graph.items()
    }


def layers(graph: Graph) -> list[list[str]]:
    """The rooms from top to bottom; in each layer about below those that import them."""
    depth, made = depths(graph), list[list[str]]()
    for level in range(max(depth.values()) + 1):
        here = sorted(room for room in graph if depth[room] == level)
        above = {room: i / len(layer) for layer in made for i, room in enumerate(layer)}
        parents = {room: [above[one] for one in above if room in graph[one]] for room in here}
        made.append(sorted(here, key=lambda room: (sum(parents[room]) / max(len(parents[room]), 1), room)))
    return made


def boxes(graph: Graph) -> dict[str, Box]:
    placed, y, modules = dict[str, Box](), float(MARGIN), rooms()
    for layer in layers(graph):
        x = (WIDTH - len(layer) * (BOX + GAP) + GAP) / 2
        for i, room in enumerate(layer):
            placed[room] = Box(room, wrap(", ".join(sorted(modules[room])), LETTERS), x + i * (BOX + GAP), y)
        y += max(placed[room].height for room in layer) + LAYER_GAP
    return placed


def drawn_box(box: Box) -> str:
    fill = FLOORS[box.room.partition(".")[0]]
    text = [f'<text class="room" x="{box.x + 8:.0f}" y="{box.y + 16:.0f}">{escape(box.room.replace(".", "/"))}/</text>']
    for i, line in enumerate(box.lines):
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
text { font: 10px sans-serif; fill: #444 } .room { font: bold 12px sans-serif; fill: #111 }
rect { stroke: #888 } path { stroke: #777; fill: none; marker-end: url(#tip) }
</style>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<polygon points="0,0 8,4 0,8" fill="#777"/></marker>"""


def picture() -> str:
    """The SVG: a box for each room with its modules, an arrow for each import that no longer way of arrows says."""
    graph = arrows()
    straight = without_circles(graph)
    placed = boxes(straight)
    back = {(room, other) for room, others in graph.items() for other in others - straight[room]}
    ways = {(room, other) for room, others in reduced(straight).items() for other in others} | back
    height = max(box.y + box.height for box in placed.values()) + MARGIN
    lines = [drawn_arrow(placed[start], placed[end]) for start, end in sorted(ways)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}">'
    background = '<rect width="100%" height="100%" fill="white" style="stroke: none"/>'
    return "\n".join([head, STYLE, background, *lines, *map(drawn_box, placed.values()), "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
