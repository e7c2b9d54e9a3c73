"""The order of the test files and how hypothesis searches; kept light, since every test imports it.

The fixtures of a real Postgres, Prefect's server and the sandbox stand in tests/support/fixtures.py.
"""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures"]

LONG = (
    *("browser", "moving", "kills", "reconcile", "fetch", "faults", "conformance", "people", "watchdog", "cli"),
    *(
        "door",
        "automations",
        "embedded",
        "watchdog_prefect",
        "reconcile_cli",
        "secrets",
        "flows",
        "verbose",
        "production",
    ),
)
"""The files that take longest, begun first: those that mostly wait for other processes beside those that compute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


settings.register_profile(
    "house",
    deadline=None,
    derandomize=True,
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("house"), derandomize=False, max_examples=200)
settings.load_profile("house")
