"""Figures and names for reports on matching."""

from math import sqrt
from typing import Any


def interval(right: int, asked: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share of which `right` of `asked` were."""
    if not asked:
        return 0.0, 1.0
    z, share = 1.96, right / asked
    middle = (share + z * z / (2 * asked)) / (1 + z * z / asked)
    half = z * sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked)) / (1 + z * z / asked)
    return middle - half, middle + half


def ends(row: dict[str, Any]) -> tuple[str, str]:
    """The two accounts that a row is about, each as `provider:account`."""
    return f"{row['left_provider']}:{row['left_account']}", f"{row['right_provider']}:{row['right_account']}"


def named_by_provider(accounts: set[str]) -> dict[str, str]:
    """Accounts by their provider's name alone, where that is unambiguous."""
    providers = [account.partition(":")[0] for account in accounts]
    return {name: name if providers.count(name.partition(":")[0]) > 1 else name.partition(":")[0] for name in accounts}
