"""A range that the provider refuses for its length is read in shorter ones, and the length is kept for later plans."""

from datetime import timedelta

from models.assumptions import Observation, sizes_by
from models.claim import Claim
from models.coverage import Sizes, Span, equal_parts
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext
from tasks.extract.prober import Prober
from tasks.extract.probing_ranges import longest_range
from tasks.extract.window_closing import Finished
from tasks.ledger.observations import keep, known
from tasks.ledger.windows import Progress


def narrowed(context: StreamContext, claim: Claim) -> Finished | None:
    """Gives a refused window up for shorter ones; None where it was not refused for its length."""
    span = claim.span
    if span is None or context.stream.time_filter is None:
        return None
    longest = _longest(context, span)
    if longest is None or span.length <= longest:
        return None
    parts = equal_parts(span, -(-span.length // longest))
    reason = f"ranges longer than {longest} are refused: read in shorter ones"
    context.ledger.split(claim, Progress(), parts, claim.drifts, reason)
    return Finished(done=False, opened_more=True)


def _longest(context: StreamContext, refused: Span) -> timedelta | None:
    """As another window has found out already, else by trying."""
    if (longest := sizes_by(Sizes(), known(context.ledger)).longest) is not None and longest < refused.length:
        return longest
    if (found := _tried(context, refused)) is None:
        return None
    keep(context.ledger, [found])
    return sizes_by(Sizes(), [found]).longest


def _tried(context: StreamContext, refused: Span) -> Observation | None:
    tally = Tally()
    try:
        return longest_range(Prober(context, tally), context.stream, refused)
    finally:
        context.receipt.add_requests(tally.requests)
