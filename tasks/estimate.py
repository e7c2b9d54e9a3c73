"""What a range would cost before it is asked for."""

import math

from models.paging import Page
from models.window import Span
from tasks.client import Tally
from tasks.intake import Desk, open_page
from tasks.run import StreamRun

READINGS_WITHOUT_TOTAL = 2
"""A list that tells no total is read twice to be proven."""


def estimate(run: StreamRun) -> dict[str, int]:
    """Windows and requests of the run's range as it stands now; asks each list for its total, where it tells one."""
    windows = requests = 0
    for desk, missing in run.missing():
        windows += len(missing)
        requests += _requests(desk, missing)
    return {"windows": windows, "requests": requests}


def _requests(desk: Desk, missing: list[Span]) -> int:
    if not missing:
        return 0
    total = _total(desk, Span(missing[0].since, missing[-1].until))
    if total is None:
        return READINGS_WITHOUT_TOTAL * len(missing)
    return max(len(missing), math.ceil(total / desk.stream.paging.limit)) + len(missing) // 2


def _total(desk: Desk, span: Span) -> int | None:
    params = desk.params(span) | desk.stream.paging.params(desk.stream.paging.start)
    envelope, records = open_page(desk.client.get(desk.listing.path, params, Tally()).text, desk.stream.items)
    return desk.stream.paging.total(Page(envelope, len(records), len(records)))
