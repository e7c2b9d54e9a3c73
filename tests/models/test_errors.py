"""The tree of errors that models/errors.py draws, and what statuses of HTTP stand for."""

import inspect
import re

import pytest

from models import errors
from models.errors import (
    AccessForbidden,
    CallweaveError,
    ContractBroken,
    CredentialsRejected,
    ProviderError,
    ProviderUnavailable,
    RecordNotFound,
    RequestRefused,
    error_for_status,
)

DRAWN = re.compile(r"^([│ ├└─]*)(\w+)(?: {2,}(.+))?$")


def drawn_tree() -> dict[str, str | None]:
    """The parent of each error, as the docstring draws it."""
    parents, above = dict[str, str | None](), list[str]()
    for line in (inspect.getdoc(errors) or "").splitlines():
        if (found := DRAWN.match(line)) and (depth := len(found[1]) // 4) <= len(above):
            parents[found[2]] = above[depth - 1] if depth else None
            above[depth:] = [found[2]]
    return parents


def real_tree() -> dict[str, str | None]:
    found = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    return {
        name: kind.__base__.__name__ if kind.__base__ not in {Exception, None} else None for name, kind in found.items()
    }


def test_the_drawn_tree() -> None:
    """The tree in the docstring is the real one: each error under its parent, none missing and none too many."""
    assert drawn_tree() == real_tree()


def test_all() -> None:
    """`__all__` names each error, and what turns a status into one."""
    assert set(errors.__all__) == {*real_tree(), "error_for_status"}


def test_who_may_be_caught_at_the_top() -> None:
    """All errors for people have one root; what is not for people stands outside of it."""
    outside = {name for name, parent in real_tree().items() if parent is None} - {CallweaveError.__name__}

    assert outside == {"ClaimLost", "Rejected"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, CredentialsRejected),
        (403, AccessForbidden),
        (404, RecordNotFound),
        (410, RecordNotFound),
        (400, RequestRefused),
        (422, RequestRefused),
        (408, ProviderUnavailable),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
def test_statuses(status: int, expected: type[ProviderError]) -> None:
    """A status stands for the error that says what to do."""
    assert error_for_status(status) is expected
    assert not issubclass(expected, ContractBroken)
