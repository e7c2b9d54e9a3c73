"""How a reconciliation is shown: tables, the picture of start gaps, precision by verdicts."""

from typing import Any

import numpy as np

from flows.rendering.chart import uri
from models.calibration.blocks import MINUTE
from models.calibration.columns import Floats
from models.matching.summary import ends, named_by_provider

WIDTH, HEIGHT = 720, 150
SPAN = 60.0
"""Seconds on either side of the middle that the picture shows."""
BARS = 120


def picture(before: Floats, after: Floats) -> str:
    """An SVG as a data URI: histograms of start gaps around their median, before and after calibration."""
    rows = [("before calibration", before, "#b0b7c3"), ("after calibration", after, "#2f6fde")]
    body = "".join(_histogram(name, gaps, colour, top * HEIGHT) for top, (name, gaps, colour) in enumerate(rows))
    return uri(WIDTH, 2 * HEIGHT, body)


def _histogram(name: str, gaps: Floats, colour: str, top: int) -> str:
    middle = float(np.median(gaps)) if gaps.size else 0.0
    counts, edges = np.histogram(gaps, BARS, (middle - SPAN, middle + SPAN))
    floor, scale = top + HEIGHT - 20, (HEIGHT - 45) / max(counts.max(initial=1), 1)
    bars = "".join(_bar(i, count * scale, floor, colour) for i, count in enumerate(counts) if count)
    ticks = "".join(
        f'<text x="{WIDTH * i / 4:.0f}" y="{floor + 14}" text-anchor="middle">'
        f"{round(edges[0] + SPAN * i / 2):+d} s</text>"
        for i in range(1, 4)
    )
    return f'<text x="8" y="{top + 16}">{name}: {gaps.size:,} start gaps</text>{bars}{ticks}'


def _bar(place: int, height: float, floor: float, colour: str) -> str:
    width, top = WIDTH / BARS, floor - height
    left = place * width
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width - 0.5:.1f}" height="{height:.1f}" fill="{colour}"/>'


LENGTHS = {"duration": "its duration", "total": "start to end", "talk": "answer to end"}
"""What an account's length of a call is taken from."""


def brief(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clocks and habits of two accounts, for people."""
    named = named_by_provider({row[side] for row in rows for side in ("left", "right")})
    return [_brief(row, named[row["left"]], named[row["right"]]) for row in rows]


def _brief(row: dict[str, Any], left: str, right: str) -> dict[str, Any]:
    if row["is_prior"]:
        unknown = dict.fromkeys(["give or take", "moves", "lengths compared"])
        return {
            "clock": f"{right} beside {left}",
            "reads": "not known" + _stamps(row, left, right),
            **unknown,
            "learnt from": "no shared calls yet",
        }
    return {
        "clock": f"{right} beside {left}",
        "reads": _beside(row["offset_seconds"]) + _stamps(row, left, right),
        "give or take": f"{row['spread_seconds']:.1f} s",
        "moves": _moves(row),
        "lengths compared": _lengths(row, left, right),
        "learnt from": f"{row['pairs']:,} shared calls",
    }


def _beside(offset: float) -> str:
    """How a clock reads beside another one, by its seconds over it."""
    return f"{abs(offset):,.1f} s {'ahead' if offset > 0 else 'behind'}" if offset else "alike"


def _stamps(row: dict[str, Any], left: str, right: str) -> str:
    """What of the starts of two accounts is not to the second, not when a call began, or not of the whole day."""
    told = ""
    for name, step, is_end in zip((left, right), row["start_steps_seconds"], row["starts_are_ends"], strict=True):
        told += f", {name} {in_steps(step)}" if step >= MINUTE else ""
        told += f", {name} tells the end of a call as its start" if is_end else ""
    return told + (", one of the two without the half of the day" if row["half_of_day_missing"] else "")


def in_steps(seconds: int) -> str:
    return "to the minute" if seconds == MINUTE else f"in steps of {seconds // MINUTE} minutes"


def _moves(row: dict[str, Any]) -> str:
    change = row["change_seconds"]
    since = f", {change:+.1f} s since it was last learnt" if change else ""
    return ("yes" if row["drifts"] else "no") + since


def _lengths(row: dict[str, Any], left: str, right: str) -> str:
    read = [LENGTHS.get(reading, reading) for reading in row["durations"].split(" against ")]
    steps = ["" if step == "1" else f" in steps of {step} s" for step in row["rounding"].split("/")]
    return " with ".join(f"{name}: {how}{step}" for name, how, step in zip((left, right), read, steps, strict=True))


def brief_pairs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Matched shares for people, of the left account and of the right one."""
    pairs = [ends(row) for row in rows]
    named = named_by_provider({account for pair in pairs for account in pair})
    return [
        {
            "accounts": " and ".join(named[account] for account in pair),
            "calls": f"{row['left_calls']:,} and {row['right_calls']:,}",
            "matched": row["matched"],
            "share": f"{row['left_share']} and {row['right_share']}",
        }
        for pair, row in zip(pairs, rows, strict=True)
    ]


def brief_reasons(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    accounts = [f"{row['provider']}:{row['account']}" for row in rows]
    named = named_by_provider(set(accounts))
    return [
        {"account": named[account], "reason": row["reason"], "count": row["count"]}
        for account, row in zip(accounts, rows, strict=True)
    ]


def zone_faults(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence per account whose clock stands in the wrong time zone; where two disagree, either may be the one."""
    sentences = []
    accounts = sorted({row[side] for row in rows for side in ("left", "right")})
    faults = {one: [row for row in rows if one in (row["left"], row["right"])] for one in accounts}
    faulty = [one for one, found in faults.items() if all(row["time_zone_fault_minutes"] for row in found)]
    for one in faulty:
        row = faults[one][0]
        minutes = row["time_zone_fault_minutes"] * (1 if row["right"] == one else -1)
        others = [other for other in faulty if other != one]
        doubt = f", or that of {others[0]} by as much the other way" if len(accounts) == 2 else ""
        sentences.append(
            f"The clock of {one} is {minutes:+d} minutes off{doubt}: a time-zone fault, corrected for here."
        )
    return sentences[:1] if len(accounts) == 2 else sentences
