"""The providers' documented example records, complete and as they were printed."""

import json
from pathlib import Path
from typing import Any


def example(name: str) -> Any:
    return json.loads((Path(__file__).parent / f"{name}.json").read_text("utf-8"))
