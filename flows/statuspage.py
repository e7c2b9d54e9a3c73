"""A provider's status page: how its streams stand now, and a picture of the last 30 days."""

from datetime import datetime
from typing import Any

from flows.markdown import span, table
from models.chart import Panel, daily
from models.vocabulary import StreamName
from tasks.health import Day, Health, StreamHealth


def page(title: str, health: Health) -> str:
    """`title`: what the provider is called. Markdown."""
    sections = [
        f"# {title}",
        *(_freshness(one, health.at) for one in health.streams if one.stream == StreamName.CALLS),
        table([_row(one, health.at) for one in health.streams]),
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


def _freshness(one: StreamHealth, at: datetime) -> str:
    if one.complete_up_to is None:
        return f"**No call of account {one.account} is proven complete yet.**"
    behind = span(at - one.complete_up_to)
    return f"**Calls of account {one.account} are complete up to {one.complete_up_to:%Y-%m-%d %H:%M}, {behind} ago.**"


def _row(one: StreamHealth, at: datetime) -> dict[str, Any]:
    return {
        "account": one.account,
        "stream": one.stream,
        "latest run": f"{one.state}, {span(at - one.started_at)} ago",
        "complete up to": one.complete_up_to,
        "behind": span(at - one.complete_up_to) if one.complete_up_to else "",
        "windows to read": one.open_windows,
        "records set aside": one.rejected,
    }
