"""A provider's status page: how its streams stand now, and a picture of the last 30 days."""

from datetime import datetime
from typing import Any

from flows.rendering.chart import Panel, daily
from flows.rendering.markdown import span, table
from models.vocabulary import StreamName
from tasks.diagnostics.stream_health import Day, Health, StreamHealth


def page(title: str, health: Health) -> str:
    """`title`: what the provider is called. Markdown."""
    # An account is named where there are several: its id takes the width of all the rest.
    several = len({one.account for one in health.streams}) > 1
    rows = [({"account": one.account} if several else {}) | _row(one, health.at) for one in health.streams]
    sections = [
        f"# {title}",
        *(_freshness(one, health.at, several) for one in health.streams if one.stream == StreamName.CALLS),
        table(rows),
        f"## The last {len(health.days)} days",
        f"![Calls, rejected records and minutes behind, per day]({picture(health.days)})",
        f"Days and times are UTC. Written at {health.at:%Y-%m-%d %H:%M}, at the end of a run.",
    ]
    return "\n\n".join(sections)


def picture(days: list[Day]) -> str:
    calls, rejected = [day.calls for day in days], [day.rejected for day in days]
    behind = [day.minutes_behind for day in days]
    known = [minutes for minutes in behind if minutes is not None]
    panels = [
        Panel(f"Calls: {sum(calls):,}, at most {max(calls):,} a day, {calls[-1]:,} today", calls, "#2f6fde"),
        Panel(f"Newly rejected records: {sum(rejected):,}", rejected, "#d64545"),
        Panel(f"Minutes behind: at most {max(known, default=0):,.0f}", behind, "#d99a2b"),
    ]
    return daily(panels, days[-1].day)


def _freshness(one: StreamHealth, at: datetime, several: bool) -> str:
    whose = f" of account {one.account}" if several else ""
    if one.complete_up_to is None:
        return f"**No call{whose} is proven complete yet.**"
    behind = span(at - one.complete_up_to)
    return f"**Calls{whose} are complete up to {one.complete_up_to:%Y-%m-%d %H:%M}, {behind} ago.**"


def _row(one: StreamHealth, at: datetime) -> dict[str, Any]:
    return {
        "stream": one.stream,
        "latest run": f"{one.state}, {span(at - one.started_at)} ago",
        "complete up to": f"{one.complete_up_to:%d %b %H:%M}" if one.complete_up_to else "",
        "behind": span(at - one.complete_up_to) if one.complete_up_to else "",
        "windows to read": one.open_windows,
        "records set aside": one.rejected,
    }
