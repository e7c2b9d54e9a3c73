"""The first sync of about 150,000 records against dlt: the same three lists, the same servers, the same Postgres.

dlt has no stage for Bird's contacts here, so Callweave reads exactly its three lists too, in two commands whose seconds
are added: Callweave's line is, if anything, the longer for it. Callweave reads lists without a total twice to prove
them complete, checks numbers, and keeps a ledger; rows are counted once on either side. `seconds` of both leave out the
start of programs and servers.
"""

from statistics import median

from bench import peers, report
from bench.ground import Ground, Run

REPEATS = 3
TIMES_DLT = 2.0
COMMANDS = ("sakari --full", "bird --stream calls --full")
HEADINGS = ("", "rows", "seconds", "rows a second", "against dlt", "command")


def run(ground: Ground) -> list[str]:
    try:
        peers.install(peers.PINNED)
    except peers.PeerUnavailable as reason:
        return _alone(ground, str(reason))
    # In turns, so that whatever else the machine does falls on both.
    pairs = [(speed(ground), _peer_speed(ground)) for _ in range(REPEATS)]
    ours, theirs = [own for own, _ in pairs], [peer for _, peer in pairs]
    ratios = [own[0] / own[1] / (peer[0] / peer[1]) for own, peer in pairs]
    rows = [
        _line("dlt 1.31", theirs, "1", peers.command()),
        _line("callweave", ours, report.spread(ratios), _commands()),
    ]
    report.show(f"First sync, {REPEATS} times in turns: median (least to most)", HEADINGS, rows)
    if median(ratios) < TIMES_DLT:
        return [f"first sync: {median(ratios):.2f} times dlt's rows a second, at least {TIMES_DLT:g} wanted"]
    return []


def speed(ground: Ground) -> tuple[int, float]:
    """Rows and seconds of the three lists into a new database."""
    with ground.migrated() as database:
        runs: list[Run] = [ground.sync(database, command) for command in COMMANDS]
    return sum(one.rows for one in runs), sum(one.seconds for one in runs)


def _peer_speed(ground: Ground) -> tuple[int, float]:
    figures = peers.dlt(ground)
    return int(figures.pop("rows")), sum(figures.values())


def _alone(ground: Ground, reason: str) -> list[str]:
    rows = [_line("callweave", [speed(ground) for _ in range(REPEATS)], "not known", _commands())]
    report.show(f"First sync (dlt could not be installed: {reason})", HEADINGS, rows)
    return []


def _line(name: str, runs: list[tuple[int, float]], against: str, command: str) -> list[str]:
    seconds, speeds = [seconds for _, seconds in runs], [rows / seconds for rows, seconds in runs]
    return [name, f"{runs[0][0]:,}", report.spread(seconds), report.spread(speeds, 0), against, command]


def _commands() -> str:
    return " + ".join(f"callweave sync {command} --json" for command in COMMANDS)
