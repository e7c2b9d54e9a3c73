"""The reconciliation as people and scripts meet it: commands, the flow, and what it leaves in Prefect."""

import csv
from collections.abc import Iterator
from itertools import combinations

import pytest

from tasks.embedded import EmbeddedPostgres, Stack
from tests.e2e.test_cli import Branch, Done
from tests.support.builders import Json
from tests.support.prefect_runs import Prefect

PAIR = """
    SELECT left_provider, left_external_id, right_provider, right_external_id FROM v1.call_match
    WHERE rule = 'numbers' ORDER BY score DESC LIMIT 1
"""
FIRST_RUN = "SELECT flow_run_id FROM reconcile_run ORDER BY id LIMIT 1"
LATEST_RUN = "SELECT flow_run_id FROM reconcile_run ORDER BY id DESC LIMIT 1"


@pytest.fixture(scope="module")
def branch(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Branch]:
    with Branch(cluster, cluster.data.parent, calls=700) as branch:
        assert branch.run("sync", "all", "--stream", "calls").status == 0
        yield branch


@pytest.fixture(scope="module")
def first(branch: Branch) -> Done:
    return branch.run("reconcile", "--json")


def pairs(calls: list[set[tuple[str, str]]]) -> set[tuple[tuple[str, str], ...]]:
    return {pair for records in calls for pair in combinations(sorted(records), 2) if pair[0][0] != pair[1][0]}


def test_document(first: Done) -> None:
    """One JSON document with the counts of the run, the calibrations, and what is unmatched."""
    document = first.document

    assert first.status == 0
    assert document["state"] == "completed"
    assert document["records"] == document["changed"] > 600
    assert {row["matched"] > 50 for row in document["pairs"]} == {True}
    assert {row["is_prior"] for row in document["calibrations"]} == {False}
    assert {row["reason"] for row in document["unmatched"]} <= {
        *("not_final", "outside_coverage", "hidden_number", "other_side_not_synced_yet", "ambiguous", "only_here")
    }


def test_against_the_truth(first: Done, branch: Branch) -> None:
    """What the sandbox knows to be one call is recognised, and nothing else."""
    held: dict[int, set[tuple[str, str]]] = {}
    known = set()
    for provider, id_, call in branch.rows("SELECT provider, external_id, unified_call_id FROM v1.call"):
        if call is not None:
            known.add((provider, id_))
            held.setdefault(call, set()).add((provider, id_))
    true = pairs([same & known for same in branch.sandbox.world.truth])
    said = pairs(list(held.values()))

    assert len(said & true) / len(said) >= 0.995
    assert len(said & true) / len(true) >= 0.97


def test_again(first: Done, branch: Branch) -> None:
    """A second run finds nothing to do."""
    document = branch.run("reconcile", "--json").document

    assert [document[name] for name in ("changed", "formed", "dissolved")] == [0, 0, 0]


def test_report(first: Done, branch: Branch, servers: Stack) -> None:
    """The run leaves a report with a picture that Prefect's UI shows."""
    ((run,),) = branch.rows(LATEST_RUN)
    (found,) = Prefect(servers, [run]).artifacts()

    assert found["key"] == "reconcile"
    assert "data:image/svg+xml;base64," in found["data"]
    assert {heading for heading in ("Matched share", "Calibrations", "Unmatched") if heading in found["data"]} == {
        *("Matched share", "Calibrations", "Unmatched")
    }


def test_told_in_the_run(first: Done, branch: Branch, servers: Stack) -> None:
    """Whoever opens the run sees which clock was adopted and which calls a task decided, by their names."""
    ((run,),) = branch.rows(FIRST_RUN)
    told = Prefect(servers, [run])

    assert {one["name"] for one in told.task_runs(2)} == {"calibrate", "all calls"}
    adopted = [one["message"] for one in told.logs() if one["message"].startswith("Calibration adopted")]
    assert sorted(adopted) == [
        "Calibration adopted, sakari against bird: learnt",
        "Calibration adopted, skipcall against bird: learnt",
        "Calibration adopted, skipcall against sakari: learnt",
    ]


def test_explain_and_judge(first: Done, branch: Branch) -> None:
    """A pair is explained; parted by a person it stays apart; joined again, it is one call."""
    ((one, left, other, right),) = branch.rows(PAIR)
    told = branch.run("explain", one, left)

    assert told.status == 0
    assert right in told.out.replace("\n", "")
    assert branch.run("judge", one, left, "different", other, right).status == 0
    assert same(branch, left, right) is False
    assert branch.run("judge", one, left, "same", f"{other}", right).status == 0
    assert same(branch, left, right) is True

    labelled = list(csv.DictReader(branch.run("verdicts").out.splitlines()))
    assert [(row["left_external_id"], row["right_external_id"]) for row in labelled] == [(left, right)] * 2
    assert [(row["same"], row["held"]) for row in labelled] == [("f", "t"), ("t", "f")]


def same(branch: Branch, left: str, right: str) -> bool:
    rows = branch.rows("SELECT unified_call_id FROM v1.call WHERE external_id = ANY (%s)", [left, right])
    return len({call for (call,) in rows}) == 1


def test_status(first: Done, branch: Branch) -> None:
    """`status` shows how the clocks stand."""
    calibrations: list[Json] = branch.run("status", "--json").document["calibrations"]

    assert len(calibrations) == 3
    assert "Clocks" in branch.run("status").out


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("reconcile", "--since", "2026-01-01T00:00:00"), 2),
        (("reconcile", "--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"), 2),
        (("explain", "bird", "nobody"), 1),
        (("judge", "bird", "nobody", "same", "sakari", "nobody"), 1),
        (("judge", "bird", "x", "perhaps", "sakari", "y"), 2),
    ],
)
def test_wrong_usage(branch: Branch, words: tuple[str, ...], status: int) -> None:
    """What cannot be meant is refused, and said in a sentence, with nothing on stdout."""
    done = branch.run(*words)

    assert (done.status, done.out) == (status, "")
    assert done.err
