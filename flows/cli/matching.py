"""The commands about real calls: `reconcile`, `explain`, `review`, `judge`, `verdicts`."""

import sys
import time
from argparse import Namespace
from typing import Any

from flows.cli.local import calm, running_stack
from flows.rendering import terminal
from flows.rendering.explain import coarse_clocks, named, sentences
from models.errors import CallweaveError
from models.request import Request
from models.vocabulary import StreamName
from models.wording import minute
from tasks.client.redaction import masked
from tasks.home import database
from tasks.prefect_server import prefect_errors
from tasks.settings import Settings

PARTS = ("prior", "start", "length", "outcome", "direction", "run")


def reconcile(options: Namespace) -> int:
    settings = Settings()
    request = Request(streams=(StreamName.CALLS,), since=options.since, until=options.until, full=options.full)
    with running_stack(settings):
        document = reconciled(request)
    if options.json:
        terminal.show_json(document)
    else:
        show(document)
    return 0


def reconciled(request: Request) -> dict[str, Any]:
    """Runs the flow, on a stack that is running; what came of it. Raises what it failed with."""
    from flows.reconcile import reconcile as flow

    with prefect_errors(), calm():
        began = time.monotonic()
        state = flow(since=request.since, until=request.until, full=request.full, return_state=True)
        seconds = round(time.monotonic() - began, 3)
    result: Any = state.result(raise_on_failure=False)
    if state.is_failed() or state.is_crashed():
        raise result if isinstance(result, CallweaveError) else CallweaveError(f"The reconciliation failed: {result}")
    written, found = result
    return {
        "state": "completed",
        "seconds": seconds,
        **written._asdict(),
        "since": found.since,
        "pairs": found.pairs,
        "calibrations": found.calibrations,
        "unmatched": found.reasons,
        "precision": found.precision._asdict(),
    }


def show(document: dict[str, Any]) -> None:
    from flows.rendering.matching import brief_pairs, brief_reasons

    counts = ("records", "changed", "formed", "dissolved")
    counted = ", ".join(f"{name} {document[name]:,}" for name in counts)
    sys.stdout.write(f"Reconciled in {document['seconds']:.1f} s: {counted}.\n")
    if document["since"]:
        sys.stdout.write(f"Below: the newest calls, since {minute(document['since'])}; with --full all of them.\n")
    terminal.show_table("Matched", brief_pairs(document["pairs"]))
    show_calibrations(document["calibrations"])
    terminal.show_table("Not matched", brief_reasons(document["unmatched"]))


def show_calibrations(calibrations: list[dict[str, Any]]) -> None:
    from flows.rendering.matching import brief, zone_faults

    terminal.show_table("Clocks", brief(calibrations))
    for fault in zone_faults(calibrations):
        sys.stdout.write(fault + "\n")


def explain(options: Namespace) -> int:
    from tasks.matching import explain as explaining
    from tasks.matching.report import calibrations

    with database(Settings()) as url:
        found, clocks = explaining.explain(url, options.provider, options.call_id), calibrations(url)
    if found.record["unified_call_id"] is None:
        sys.stdout.write("This record has not been reconciled yet: run `callweave reconcile`.\n")
        return 0
    terminal.show_table(
        f"Real call {found.record['unified_call_id']}, {len(found.members)} record(s)", _masked(found.members)
    )
    confidence = found.record["confidence"]
    for sentence in sentences(found.members, found.pairs, clocks, found.nearest, confidence):
        sys.stdout.write(sentence + "\n")
    terminal.show_table(
        "Why, in nats (what speaks for one call; below nought against it)", [_reasons(row) for row in found.pairs]
    )
    if found.unmatched:
        sys.stdout.write(
            f"\nNo other account holds it: {found.unmatched['reason']} {found.unmatched['detail'] or ''}\n"
        )
        for sentence in coarse_clocks(named(found.record), clocks):
            sys.stdout.write(sentence + "\n")
    terminal.show_table("It might also be one call with", _masked(found.rivals))
    terminal.show_table("What happened", found.log)
    return 0


def review(options: Namespace) -> int:
    from tasks.matching import explain as explaining

    with database(Settings()) as url:
        found = explaining.undecided(url, options.limit)
    for row in found:
        one, other = (f"{row[f'{side}provider']} {row[f'{side}external_id']}" for side in ("", "other_"))
        sys.stdout.write(
            f"{row['started_at']:%Y-%m-%d %H:%M:%S} {row['outcome']} {_length(row['seconds'])} and "
            f"{row['other_started_at']:%H:%M:%S} {row['other_outcome']} {_length(row['other_seconds'])}\n"
            f"    callweave judge {one} same|different {other}\n"
        )
    if not found:
        sys.stdout.write("Nothing is undecided.\n")
    return 0


def _length(seconds: int | None) -> str:
    return "no length" if seconds is None else f"{seconds} s"


def _masked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With as much of telephone numbers as it takes to tell them apart."""
    numbers = ("remote_e164", "own_e164")
    return [
        {name: masked(value) if name in numbers and value else value for name, value in row.items()} for row in rows
    ]


def _reasons(row: dict[str, Any]) -> dict[str, Any]:
    evidence = row["evidence"]
    ends = {side: f"{row[f'{side}_provider']} {row[f'{side}_external_id']}" for side in ("left", "right")}
    parts = {name: float(evidence[name]) for name in (*PARTS, "margin")}
    return ends | {"rule": row["rule"], "score": row["score"]} | parts


def judge(options: Namespace) -> int:
    from tasks.matching import explain as explaining
    from tasks.matching.run import decide_changes

    settings = Settings()
    with database(settings) as url:
        one, other = (options.provider, options.call_id), (options.other_provider, options.other_call_id)
        explaining.judge(url, one, other, same=options.verdict == "same")
        decide_changes(url, settings.join)
    sys.stderr.write("Kept; it wins over the rules from now on.\n")
    return 0


def verdicts(_options: Namespace) -> int:
    from tasks.matching import explain as explaining

    with database(Settings()) as url:
        sys.stdout.writelines(explaining.verdicts(url))
    return 0
