"""Our own source: its files, each parsed once, and what they import of ours."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).parents[2]
OURS = {"models", "tasks", "flows", "migrations", "sandbox", "bench", "tests"}
FILES = sorted(file for package in OURS for file in (HOUSE / package).rglob("*.py"))


@cache
def tree_of(file: Path) -> ast.Module:
    """Parsed once, though many rules look at it."""
    return ast.parse(file.read_text("utf-8"))


@cache
def nodes_of(tree: ast.AST) -> list[ast.AST]:
    """All nodes of a tree, walked once."""
    return list(ast.walk(tree))


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every module of ours that a tree imports, wherever in it."""
    for node in nodes_of(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names if alias.name.partition(".")[0] in OURS)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            module = node.module or ""
            if module.partition(".")[0] in OURS:
                yield from ((f"{module}.{alias.name}", node) for alias in node.names)
