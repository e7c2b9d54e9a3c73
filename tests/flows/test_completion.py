"""Completion in a real bash."""

import shutil
import subprocess
import sys

import pytest

COMPLETED = """
source /dev/stdin
COMP_WORDS=({words} "") COMP_CWORD={last} COMP_LINE="{words} "
COMPREPLY=()
_shtab_callweave
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [("callweave", {"sync", "status", "psql"}), ("callweave sync sakari --", {"--since", "--full"})],
)
def test_bash(words: str, offered: set[str]) -> None:
    """Commands are offered first, then the options of the command."""
    script = subprocess.run(
        [sys.executable, "-m", "flows", "completion", "bash"], check=True, capture_output=True, text=True
    ).stdout
    parts = words.split()
    partial = parts.pop() if parts[-1] == "--" else ""
    ask = COMPLETED.format(words=" ".join(parts), last=len(parts)).replace('"")', f'"{partial}")')
    done = subprocess.run(["bash", "-c", ask], input=script, check=True, capture_output=True, text=True)

    assert offered <= set(done.stdout.split()), done.stdout + done.stderr
