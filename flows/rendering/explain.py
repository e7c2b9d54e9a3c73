"""Why records are one call, in a user's words."""

from collections import Counter
from datetime import datetime
from typing import Any

from flows.rendering.matching import in_steps
from models.calibration.blocks import MINUTE
from tasks.client.redaction import masked

Row = dict[str, Any]

HOUR, DAY = 3600.0, 86_400.0


def sentences(
    members: list[Row], pairs: list[Row], clocks: list[Row], nearest: float | None, confidence: float
) -> list[str]:
    """`members` are the records of the call, `clocks` the calibrations as the report describes them; `nearest` are the
    seconds to the next other call of the number.
    """
    accounts = list(dict.fromkeys(named(member) for member in members))
    if len(accounts) < 2:
        return [*rows_of(members, accounts)]
    return [
        *clocks_of(accounts, clocks),
        *rows_of(members, accounts),
        *lengths_of(members),
        *rules_of(pairs),
        nearest_call(nearest),
        f"That these records are one call is held to be {confidence:.2%} probable.",
    ]


def named(row: Row) -> str:
    return f"{row['provider']}:{row['account']}"


def clocks_of(accounts: list[str], clocks: list[Row]) -> list[str]:
    found = []
    for clock in clocks:
        if {clock["left"], clock["right"]} <= set(accounts) and clock["shares_calls"]:
            offset = clock["offset_seconds"]
            how = f"{abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'}" if offset else "level with"
            found.append(f"The clock of {clock['right']} is {how} that of {clock['left']}.")
            if clock["half_of_day_missing"]:
                found.append("One of the two does not write its half of the day: they may be 12 hours apart.")
    return found


def coarse_clocks(account: str, clocks: list[Row]) -> list[str]:
    """Why a record of `account` may be told from no other: a clock beside it that is too coarse."""
    steps: dict[str, int] = {}
    for clock in clocks:
        if account in {clock["left"], clock["right"]} and not clock["shares_calls"]:
            steps |= dict(zip((clock["left"], clock["right"]), clock["start_steps_seconds"], strict=True))
    return [
        f"{name} writes its starts {in_steps(step)}: too coarse to tell by time which calls are the same."
        for name, step in steps.items()
        if step > MINUTE
    ]


def rows_of(members: list[Row], accounts: list[str]) -> list[str]:
    """What each account wrote of it, where that is more than one row."""
    found = []
    for account in accounts:
        outcomes = Counter(member["outcome"] for member in members if named(member) == account)
        if outcomes.total() > 1:
            parts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
            found.append(f"{account} wrote {outcomes.total()} rows of it: {parts}.")
    return found


def lengths_of(members: list[Row]) -> list[str]:
    lengths = [
        f"{named(member)} {member['duration_seconds']} s"
        for member in members
        if not member["is_leg"] and member["duration_seconds"] is not None
    ]
    return [f"Length: {', '.join(lengths)}."] if len(lengths) > 1 else []


RULES = {
    "own": "one side does not know the other party; our own number and the moment agree",
    "forward": "it was passed on over a number of our own",
    "time": "a hidden caller, over another number of ours; moment and length agree",
    "remote": "it went through another number of ours",
    "transitive": "two of them are one call because both are one with a third",
    "verdict": "a person said so",
}


def rules_of(pairs: list[Row]) -> list[str]:
    rules = dict.fromkeys(pair["rule"] for pair in pairs)
    return [f"How it was found: {RULES[rule]}." for rule in rules if rule in RULES]


def side_by_side(rows: list[Row]) -> list[Row]:
    """A call per row, as each of two systems holds it; what one does not hold is left empty."""
    return [
        {
            "number": masked(row["number"]) if row["number"] else "hidden",
            row["one"]: _seen(row["started"], row["outcome"], row["seconds"]),
            row["other"]: _seen(row["other_started"], row["other_outcome"], row["other_seconds"]),
        }
        for row in rows
    ]


def _seen(started: datetime | None, outcome: str | None, seconds: int | None) -> str:
    if started is None:
        return ""
    return f"{started:%m-%d %H:%M:%S} {outcome}" + ("" if seconds is None else f" {seconds} s")


def nearest_call(seconds: float | None) -> str:
    if seconds is None:
        return "No other call of this number within a day."
    if seconds < HOUR:
        return f"The nearest other call of this number is {seconds:.0f} s away."
    return f"No other call of this number within {seconds / HOUR:.0f} h."
