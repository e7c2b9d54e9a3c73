"""What a range would cost before it is asked for."""

import math

from models.coverage import Span
from models.pagination import Page
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext
from tasks.extract.page import open_page
from tasks.extract.stream_run import StreamRun

READINGS_WITHOUT_TOTAL = 2
"""A list without a total is read twice to be proven."""


def estimate(run: StreamRun) -> dict[str, int]:
    """Windows and requests of the run's range as it stands now; asks each list for its total, where it has one."""
    windows = requests = 0
    for context, missing in run.plan.missing():
        windows += len(missing)
        requests += _requests(context, missing)
    return {"windows": windows, "requests": requests}


def _requests(context: StreamContext, missing: list[Span]) -> int:
    if not missing:
        return 0
    total = _total(context, Span(missing[0].since, missing[-1].until))
    if total is None:
        return READINGS_WITHOUT_TOTAL * len(missing)
    return max(len(missing), math.ceil(total / context.stream.paging.limit)) + len(missing) // 2


def _total(context: StreamContext, span: Span) -> int | None:
    params = context.params(span) | context.stream.paging.params(context.stream.paging.start)
    answer = context.client.get(context.listing.path, params, Tally())
    envelope, records = open_page(context.provider, answer.text, context.stream.items)
    return context.stream.paging.total(Page(envelope, len(records), len(records)))
