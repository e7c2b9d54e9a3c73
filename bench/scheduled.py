"""A scheduled sync with nothing new: what the schedules of the three providers do every five minutes."""

from statistics import median

from bench import report
from bench.ground import Ground, Run

REPEATS = 3
MOST_SECONDS = 3.0
FIRST, AGAIN = "all --stream calls --full", "all --stream calls"
HEADINGS = ("", "seconds", "against first", "records", "command")


def run(ground: Ground) -> list[str]:
    with ground.migrated() as database:
        first = ground.sync(database, FIRST)
        again = [ground.sync(database, AGAIN) for _ in range(REPEATS)]
    seconds = [one.seconds for one in again]
    rows = [
        ["first", f"{first.seconds:.1f}", "1", f"{first.fetched:,}", f"callweave sync {FIRST} --json"],
        ["nothing new", report.spread(seconds), _share(first, again), f"{again[-1].fetched:,}", _command()],
    ]
    report.show(f"Scheduled sync with nothing new, {REPEATS} times: median (least to most)", HEADINGS, rows)
    if median(seconds) >= MOST_SECONDS:
        return [f"scheduled: {median(seconds):.1f} s with nothing new, less than {MOST_SECONDS:g} wanted"]
    return []


def _share(first: Run, again: list[Run]) -> str:
    return f"{median(one.seconds for one in again) / first.seconds:.2f}"


def _command() -> str:
    return f"callweave sync {AGAIN} --json"
