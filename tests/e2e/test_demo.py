"""The demo as a newcomer runs it: with a Postgres, a Prefect server and providers of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.source import HOUSE


def test_demo(tmp_path: Path) -> None:
    """It syncs, recognises, shows who is called most by real calls, and ends well."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT_", "CALLWEAVE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "flows", "demo"],
        cwd=HOUSE,
        env=environ | {"CALLWEAVE_HOME": str(tmp_path / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "exactly what the three providers hold" in done.stdout
    _, _, busiest = done.stdout.partition("(v1.person):\n")
    counts = [int(count) for count in re.findall(r"  (\d+) +20\d\d-", busiest)]
    assert len(counts) == 3
    assert counts == sorted(counts, reverse=True)
    (real,) = re.findall(r"are ([\d,]+) real calls", busiest)
    assert 0 < counts[0] < int(real.replace(",", ""))
