"""The command `simulate`: lives of a provider in virtual time, against the real engine and a Postgres of its own."""

import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from random import SystemRandom


def simulate(options: Namespace) -> int:
    """Plays one life per seed; of one in which a promise is broken, prints the shortest story found."""
    from sandbox.simulation.clock import Databases
    from sandbox.simulation.simulate import play, shortened
    from sandbox.simulation.story import story
    from tasks.embedded import postgres

    first, failed = SystemRandom().randrange(10**6) if options.seed is None else options.seed, 0
    with tempfile.TemporaryDirectory(prefix="callweave-") as home, postgres(Path(home)) as cluster:
        databases = Databases(cluster)
        for seed in range(first, first + options.seeds):
            outcome = play(databases, story(seed, options.days))
            sys.stdout.write(f"{outcome}\n")
            sys.stdout.flush()
            if outcome.failure:
                failed += 1
                shortest = shortened(databases, outcome)
                sys.stdout.write(f"  shortest: {shortest.story}\n  {shortest.failure}\n")
    return int(failed > 0)
