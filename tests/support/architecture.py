"""Draws the rooms of the house and what they import, as docs/images/architecture.svg: `make picture`."""

from collections import defaultdict

from tests.support.drawing import Content, Graph, boxes, lines_of, reduced, svg
from tests.support.source import FILES, HOUSE, imports, module_of, tree_of

PICTURE = HOUSE / "docs" / "images" / "architecture.svg"
FLOORS = {"flows": "#e8f1fb", "tasks": "#eef7ea", "models": "#fdf3e1"}
"""The top packages that are drawn, with their colours."""


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


def picture() -> str:
    """The SVG: a box for each room with its modules, an arrow for each import that no longer way of arrows says."""
    graph = arrows()
    straight = without_circles(graph)
    contents = {
        room: Content(room.replace(".", "/") + "/", FLOORS[room.partition(".")[0]], lines_of(sorted(modules)))
        for room, modules in rooms().items()
    }
    back = {(room, other) for room, others in graph.items() for other in others - straight[room]}
    ways = {(room, other) for room, others in reduced(straight).items() for other in others} | back
    return svg(boxes(straight, contents), ways)


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
