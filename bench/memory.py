"""The most memory that a sync's process ever holds, for few records and for many."""

from bench import report
from bench.ground import Ground, Run
from bench.ground import ground as another_ground

MOST_MB = 300.0
FEWER = 5
"""How many times fewer records the small sandbox has."""
COMMAND = "sakari bird --full"
HEADINGS = ("", "records", "peak MB", "growth", "command")


def run(ground: Ground) -> list[str]:
    with another_ground(ground.calls // FEWER) as small:
        few = _full(small)
    many = _full(ground)
    rows = [_line("few", few, few), _line("many", many, few)]
    report.show("Peak memory of one process", HEADINGS, rows)
    worst = max(few.peak_mb, many.peak_mb)
    return [f"memory: {worst:.0f} MB at the peak, less than {MOST_MB:g} wanted"] if worst >= MOST_MB else []


def _full(ground: Ground) -> Run:
    with ground.migrated() as database:
        return ground.sync(database, COMMAND)


def _line(name: str, run: Run, few: Run) -> list[str]:
    growth = f"{run.peak_mb / few.peak_mb:.2f}"
    return [name, f"{run.rows:,}", f"{run.peak_mb:.0f}", growth, f"callweave sync {COMMAND} --json"]
