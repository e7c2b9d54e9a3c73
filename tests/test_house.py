"""The house rules that no linter knows: who may import whom, and where a provider may be named."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.providers import PROVIDERS
from tests.support.architecture import PICTURE, picture
from tests.support.source import FILES, HOUSE, OURS, imports, module_of, nodes_of, tree_of

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


def floor(module: str) -> str:
    """The storey of the house that a module stands on."""
    return "tasks.providers" if f"{module}.".startswith("tasks.providers.") else module.partition(".")[0]


def late(tree: ast.AST) -> set[ast.AST]:
    """What runs only when a function is called."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {inner for function in functions for inner in ast.walk(function)}


def wrong_arrows(module: str, tree: ast.AST) -> list[str]:
    return [
        f"{module} imports {name}, line {node.lineno}"
        for name, node in imports(tree)
        if floor(name) not in MAY_IMPORT[floor(module)]
        and not (floor(module) == "flows" and floor(name) == "sandbox" and node in late(tree))
    ]


def names_a_provider(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Nodes that spell a provider's name: texts, identifiers, attributes, imported modules; docstrings aside."""
    prose = {
        node.value for node in nodes_of(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in nodes_of(tree):
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


INSIDE: dict[str, set[str]] = {
    "extract": {"extract", "load", "ledger", "client"},
    "load": {"load"},
    "ledger": {"ledger"},
    "client": {"client"},
    "identity": {"identity"},
    "matching": {"matching"},
    "alerts": {"alerts", "ledger", "client", "matching"},
    "diagnostics": {"diagnostics", "extract", "load", "ledger", "client", "alerts"},
    "embedded": {"embedded"},
    "providers": {"providers"},
}
"""Rooms of tasks/ that a room may import, beside the registry of providers and the modules that stand in no room."""


def wrong_inner_arrows(module: str, tree: ast.AST) -> list[str]:
    """Imports of a room of tasks/ that its importer, another room of it, may not know."""
    room = module.split(".")[1]
    return [
        f"{module} imports {name}, line {node.lineno}"
        for name, node in imports(tree)
        if name.startswith("tasks.") and (other := name.split(".")[1]) in INSIDE
        if other not in INSIDE.get(room, {"embedded"}) | {"providers"}
    ]


def test_inner_arrows() -> None:
    """Inside tasks/, extract knows load, load knows nothing but the tables, and only flows know diagnostics."""
    rooms = sorted((HOUSE / "tasks").glob("*/*.py"))
    assert [wrong for file in rooms for wrong in wrong_inner_arrows(module_of(file), tree_of(file))] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tasks.load.writer", "from tasks.extract.page import open_page"),
        ("tasks.ledger.windows", "from tasks.load.batch import Batch"),
        ("tasks.alerts.store", "from tasks.extract.stream_run import StreamRun"),
        ("tasks.matching.run", "from tasks.diagnostics.status import STATUS"),
        ("tasks.identity.linker", "def f():\n    from tasks.extract.window import WindowReader"),
    ],
)
def test_a_wrong_inner_arrow_is_found(module: str, source: str) -> None:
    """The check sees an arrow between rooms that leads back."""
    assert wrong_inner_arrows(module, ast.parse(source))


LONGEST_FILE, LONGEST_CLASS = 300, 120
"""Lines."""
HOUSEHOLD = [file for file in FILES if file.relative_to(HOUSE).parts[0] in {"models", "tasks", "flows", "sandbox"}]


def test_size() -> None:
    """No file is longer than 300 lines, no class longer than 120."""
    long_classes = [
        f"{module_of(file)}.{node.name}"
        for file in HOUSEHOLD
        for node in nodes_of(tree_of(file))
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_CLASS
    ]
    long_files = [file for file in HOUSEHOLD if len(file.read_text("utf-8").splitlines()) > LONGEST_FILE]

    assert (list(map(module_of, long_files)), long_classes) == ([], [])


def test_arrows() -> None:
    """A module imports only what stands to its right: flows, tasks, tasks.providers, models."""
    assert [wrong for file in FILES for wrong in wrong_arrows(module_of(file), tree_of(file))] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models.identity.phone", "from tasks import client"),
        ("models.identity.phone", "def f():\n    import tasks.client.client"),
        ("tasks.load.writer", "import flows.sync"),
        ("tasks.providers.new", "from tasks.client.client import Client"),
        ("tasks.load.writer", "def f():\n    from sandbox.server import Sandbox"),
        ("flows.cli.main", "from sandbox.server import Sandbox"),
        ("flows.cli.main", "def f():\n    from bench import main"),
        ("migrations.env", "from tasks.database import engine_for"),
        ("models.coverage", "from tests.support.builders import at"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, source: str) -> None:
    """The check sees every other arrow, also one hidden in a function."""
    assert wrong_arrows(module, ast.parse(source))


def test_demo_may_start_the_sandbox() -> None:
    """Flows' commands import the sandbox where they need it, inside a function."""
    assert wrong_arrows("flows.cli.sync", ast.parse("def demo():\n    from sandbox.server import Sandbox")) == []


def providers_named(file: Path) -> list[str]:
    """Where a module spells a provider's name, but for the line that makes its flow."""
    tree = tree_of(file)
    allowed = {inner for node in tree.body if makes_its_flow(node) for inner in ast.walk(node)}
    return [
        f"{module_of(file)}: {word}, line {getattr(node, 'lineno', 0)}"
        for node, word in names_a_provider(tree)
        if node not in allowed
    ]


def test_no_provider_is_named() -> None:
    """A provider is named in its module, in the registry, and where its flow is made."""
    bound = [file for file in FILES if floor(module_of(file)) not in NAMED_FREELY | {"tasks.providers"}]
    assert [named for file in bound for named in providers_named(file)] == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_knows_no_other(name: str) -> None:
    """A provider's module names no other provider."""
    tree = ast.parse((HOUSE / "tasks" / "providers" / f"{name}.py").read_text("utf-8"))
    others = [other for other in PROVIDERS if other != name]

    assert [word for _, word in names_a_provider(tree) if any(other in word.lower() for other in others)] == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_one_flow_line(name: str) -> None:
    """Each registered provider has exactly one line that makes its flow."""
    trees = [tree_of(file) for file in (HOUSE / "flows").glob("*.py")]
    lines = [ast.unparse(node) for tree in trees for node in tree.body if makes_its_flow(node)]

    assert len([line for line in lines if f"'{name}'" in line]) == 1


def test_migrations_are_one_chain() -> None:
    """Each migration follows the one before it in the folder: no two are the same step."""
    files = sorted((HOUSE / "migrations" / "versions").glob("2*.py"))
    found = [
        dict(re.findall(r"^(revision|down_revision) = (.*)$", file.read_text("utf-8"), re.MULTILINE)) for file in files
    ]

    assert [one["down_revision"] for one in found] == ["None", *(one["revision"] for one in found[:-1])]


def test_migrations_stand_alone() -> None:
    """A migration imports nothing of ours: it must run unchanged when the models have moved on."""
    files = (HOUSE / "migrations" / "versions").glob("*.py")
    assert [(file.stem, name) for file in files for name, _ in imports(tree_of(file))] == []


def test_every_cte_has_a_name() -> None:
    """SQLAlchemy names a nameless one by its memory address; `prefix_with` frees that for the next one to take."""
    nameless = [
        f"{module_of(file)}, line {node.lineno}"
        for file in FILES
        for node in nodes_of(tree_of(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cte"
        if not node.args
    ]

    assert nameless == []


def test_the_picture_of_the_rooms() -> None:
    """The picture in docs/architecture.md shows the rooms and the imports of today; `make picture` draws it again."""
    assert PICTURE.read_text("utf-8") == picture()


def test_one_seam_to_httpx() -> None:
    """The HTTP library is known where requests are sent or signed and nowhere else, so that it can be replaced."""
    ours = [file for file in FILES if floor(module_of(file)) not in NAMED_FREELY]
    found = {module_of(file) for file in ours if "import httpx\n" in file.read_text("utf-8")}
    assert {name for name in found if not name.startswith(("tasks.client.", "tasks.providers."))} == {
        "models.provider",
        "tasks.alerts.notifier",
        "tasks.prefect_server",
    }
