"""The house rules that no linter knows: who may import whom, and where a provider may be named."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.providers import PROVIDERS

HOUSE = Path(__file__).parents[1]
OURS = {"models", "tasks", "flows", "migrations", "sandbox", "bench", "tests"}
ALL = OURS | {"tasks.providers"}
MAY_IMPORT: dict[str, set[str]] = {
    "models": {"models"},
    "tasks.providers": {"tasks.providers", "models"},
    "tasks": {"tasks", "tasks.providers", "models"},
    "flows": {"flows", "tasks", "tasks.providers", "models"},
    "migrations": {"models"},
    "sandbox": ALL,
    "bench": ALL,
    "tests": ALL,
}
NAMED_FREELY = {"sandbox", "bench", "tests"}
FILES = sorted(file for package in OURS for file in (HOUSE / package).rglob("*.py"))


def floor(module: str) -> str:
    """The storey of the house that a module stands on."""
    return "tasks.providers" if f"{module}.".startswith("tasks.providers.") else module.partition(".")[0]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every module of ours that a tree imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names if alias.name.partition(".")[0] in OURS)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            module = node.module or ""
            if module.partition(".")[0] in OURS:
                yield from ((f"{module}.{alias.name}", node) for alias in node.names)


def late(tree: ast.AST) -> set[ast.AST]:
    """What runs only when a function is called."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {inner for function in functions for inner in ast.walk(function)}


def wrong_arrows(module: str, source: str) -> list[str]:
    tree = ast.parse(source)
    inside = late(tree)
    return [
        f"{module} imports {name}, line {node.lineno}"
        for name, node in imports(tree)
        if floor(name) not in MAY_IMPORT[floor(module)]
        and not (floor(module) == "flows" and floor(name) == "sandbox" and node in inside)
    ]


def names_a_provider(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Nodes that spell a provider's name: texts, identifiers, attributes, imported modules; docstrings aside."""
    prose = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if node in prose:
            continue
        for word in spelt(node):
            if any(name in word.lower() for name in PROVIDERS):
                yield node, word


def spelt(node: ast.AST) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text) | ast.keyword(arg=str(text)):
            return [text]
        case ast.FunctionDef(name=text) | ast.ClassDef(name=text) | ast.alias(name=text):
            return [text]
    return []


def makes_its_flow(statement: ast.stmt) -> bool:
    """`sync_x = make_sync(PROVIDERS["x"])`."""
    return (
        isinstance(statement, ast.Assign)
        and isinstance(call := statement.value, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "make_sync"
    )


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_arrows(file: Path) -> None:
    """A module imports only what stands to its right: flows, tasks, tasks.providers, models."""
    assert wrong_arrows(module_of(file), file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models.phone", "from tasks import client"),
        ("models.phone", "def f():\n    import tasks.client"),
        ("tasks.load", "import flows.sync"),
        ("tasks.providers.new", "from tasks.client import Client"),
        ("tasks.load", "def f():\n    from sandbox.server import Sandbox"),
        ("flows.cli", "from sandbox.server import Sandbox"),
        ("flows.cli", "def f():\n    from bench import main"),
        ("migrations.env", "from tasks.database import engine_for"),
        ("models.window", "from tests.builders import at"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, source: str) -> None:
    """The check sees every other arrow, also one hidden in a function."""
    assert wrong_arrows(module, source)


def test_demo_may_start_the_sandbox() -> None:
    """Flows' commands import the sandbox where they need it, inside a function."""
    assert wrong_arrows("flows.commands", "def demo():\n    from sandbox.server import Sandbox") == []


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if floor(module_of(file)) not in NAMED_FREELY | {"tasks.providers"}],
    ids=module_of,
)
def test_no_provider_is_named(file: Path) -> None:
    """A provider is named in its module, in the registry, and where its flow is made."""
    tree = ast.parse(file.read_text("utf-8"))
    allowed = {inner for node in tree.body if makes_its_flow(node) for inner in ast.walk(node)}
    named = [(word, getattr(node, "lineno", 0)) for node, word in names_a_provider(tree) if node not in allowed]

    assert named == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_knows_no_other(name: str) -> None:
    """A provider's module names no other provider."""
    tree = ast.parse((HOUSE / "tasks" / "providers" / f"{name}.py").read_text("utf-8"))
    others = [other for other in PROVIDERS if other != name]

    assert [word for _, word in names_a_provider(tree) if any(other in word.lower() for other in others)] == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_one_flow_line(name: str) -> None:
    """Each registered provider has exactly one line that makes its flow."""
    trees = [ast.parse(file.read_text("utf-8")) for file in (HOUSE / "flows").glob("*.py")]
    lines = [ast.unparse(node) for tree in trees for node in tree.body if makes_its_flow(node)]

    assert len([line for line in lines if f"'{name}'" in line]) == 1


@pytest.mark.parametrize("file", sorted((HOUSE / "migrations" / "versions").glob("*.py")), ids=lambda file: file.stem)
def test_migrations_stand_alone(file: Path) -> None:
    """A migration imports nothing of ours: it must run unchanged when the models have moved on."""
    assert list(imports(ast.parse(file.read_text("utf-8")))) == []


def test_every_cte_has_a_name() -> None:
    """SQLAlchemy names a nameless one by its memory address; `prefix_with` frees that for the next one to take."""
    nameless = [
        f"{module_of(file)}, line {node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cte"
        if not node.args
    ]

    assert nameless == []
