"""How long tests wait for what must come, and the waiting."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 180.0
"""Seconds: what has not come by then never will. Far more than any wait takes, as machines are slow and shared."""


def eventually(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `found` gives once it gives something, else what it gave last."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value
