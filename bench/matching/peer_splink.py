"""The peer: Splink 5 on the same records, set up with care.

Run by `bench/matching` in an environment of its own, as a script; imports nothing of ours. Reads a CSV of records,
writes one of pairs with their match weight. Three data sets are linked; pairs are sought by both numbers, by the other
party, and by our own number in the same minute; starts, lengths, outcomes, directions and numbers are compared at
several levels, weighed by expectation maximisation. The caller keeps each record's single best link per data set.
"""

import sys
from typing import Any

import duckdb
import splink.comparison_level_library as cll  # type: ignore[import-not-found]
import splink.comparison_library as cl  # type: ignore[import-not-found]
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

GAPS = (1, 3, 10, 30, 60, 120, 300)
LENGTHS = (1, 3, 10, 30, 60)


def main(records: str, pairs: str) -> None:
    connection = duckdb.connect()
    api = DuckDBAPI(connection=connection)
    connection.execute(f"CREATE TABLE every AS SELECT * FROM read_csv('{records}')")
    names = [row[0] for row in connection.execute("SELECT DISTINCT source FROM every ORDER BY 1").fetchall()]
    linker = Linker([_table(connection, api, i, name) for i, name in enumerate(names)], settings())
    train(linker)
    linker.inference.predict(threshold_match_weight=-10).to_csv(pairs, overwrite=True)


def _table(connection: Any, api: Any, number: int, name: str) -> Any:
    connection.execute(f"CREATE TABLE side_{number} AS SELECT * FROM every WHERE source = '{name}'")
    return api.register(f"side_{number}", dataset_display_name=f"side_{number}")


def settings() -> Any:
    return SettingsCreator(
        link_type="link_only",
        # More of it drives levels that never occur in a match below what it can represent.
        max_iterations=8,
        em_convergence=0.005,
        blocking_rules_to_generate_predictions=[
            block_on("pair"),
            block_on("remote"),
            "l.own = r.own AND (l.remote IS NULL OR r.remote IS NULL) AND abs(l.started - r.started) < 120",
        ],
        comparisons=[
            numbers("started", GAPS),
            numbers("length", LENGTHS),
            cl.ExactMatch("outcome"),
            cl.ExactMatch("direction"),
            cl.ExactMatch("own"),
            cl.ExactMatch("remote"),
        ],
    )


def numbers(column: str, steps: tuple[int, ...]) -> Any:
    levels = [cll.AbsoluteDifferenceLevel(column, difference_threshold=step) for step in steps]
    return cl.CustomComparison(
        output_column_name=column, comparison_levels=[cll.NullLevel(column), *levels, cll.ElseLevel()]
    )


def train(linker: Any) -> None:
    near = "l.pair = r.pair AND abs(l.started - r.started) < 120"
    linker.training.estimate_probability_two_random_records_match([near], recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    same_hour = "l.own = r.own AND floor(l.started / 3600) = floor(r.started / 3600)"
    for block in (block_on("pair"), block_on("remote"), same_hour):
        linker.training.estimate_parameters_using_expectation_maximisation(block)


main(*sys.argv[1:])
