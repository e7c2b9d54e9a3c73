"""How a reconciliation is told to people: tables, the picture of start gaps, precision by verdicts."""

from math import sqrt
from typing import Any

import numpy as np

from models.chart import uri
from models.matching.records import Floats

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
        f'<text x="{WIDTH * i / 4:.0f}" y="{floor + 14}" text-anchor="middle" fill="#555">'
        f"{round(edges[0] + SPAN * i / 2):+d} s</text>"
        for i in range(1, 4)
    )
    return f'<text x="8" y="{top + 16}" fill="#222">{name}: {gaps.size:,} start gaps</text>{bars}{ticks}'


def _bar(place: int, height: float, floor: float, colour: str) -> str:
    width, top = WIDTH / BARS, floor - height
    left = place * width
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width - 0.5:.1f}" height="{height:.1f}" fill="{colour}"/>'


def interval(right: int, asked: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share of which `right` of `asked` were."""
    if not asked:
        return 0.0, 1.0
    z, share = 1.96, right / asked
    middle = (share + z * z / (2 * asked)) / (1 + z * z / asked)
    half = z * sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked)) / (1 + z * z / asked)
    return middle - half, middle + half


SHOWN = {
    "offset_seconds": "offset s",
    "change_seconds": "change s",
    "spread_seconds": "spread s",
    "time_zone_fault_minutes": "zone min",
    "drifts": "drifts",
    "durations": "durations",
    "rounding": "rounding",
    "pairs": "pairs",
    "is_prior": "prior",
    "version": "version",
}
"""Of a calibration, and how it is headed where there is little room."""


def brief(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calibrations for people."""
    named = named_by_provider({row[side] for row in rows for side in ("left", "right")})
    return [
        {"clock": f"{named[row['right']]} against {named[row['left']]}"}
        | {short: row[name] for name, short in SHOWN.items()}
        for row in rows
    ]


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
    """A sentence per account whose clock stands in the wrong time zone; where two disagree, nobody can say which."""
    told = []
    accounts = sorted({row[side] for row in rows for side in ("left", "right")})
    faults = {one: [row for row in rows if one in (row["left"], row["right"])] for one in accounts}
    faulty = [one for one, found in faults.items() if all(row["time_zone_fault_minutes"] for row in found)]
    for one in faulty:
        row = faults[one][0]
        minutes = row["time_zone_fault_minutes"] * (1 if row["right"] == one else -1)
        others = [other for other in faulty if other != one]
        doubt = f", or that of {others[0]} by as much the other way" if len(accounts) == 2 else ""
        told.append(f"The clock of {one} is {minutes:+d} minutes off{doubt}: a time-zone fault, corrected for here.")
    return told[:1] if len(accounts) == 2 else told


def ends(row: dict[str, Any]) -> tuple[str, str]:
    """The two accounts that a row is about, each as `provider:account`."""
    return f"{row['left_provider']}:{row['left_account']}", f"{row['right_provider']}:{row['right_account']}"


def named_by_provider(accounts: set[str]) -> dict[str, str]:
    """Accounts by their provider's name alone, where that tells them apart."""
    providers = [account.partition(":")[0] for account in accounts]
    return {name: name if providers.count(name.partition(":")[0]) > 1 else name.partition(":")[0] for name in accounts}
