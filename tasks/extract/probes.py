"""Tries what is assumed of a provider before anything is proven on it, and reads its lists as they really are."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial

from models.assumptions import Observation, adapted, distrust, sizes_by
from models.errors import ProviderError
from models.provider import Stream
from models.vocabulary import StreamName
from tasks.client.transport import Tally
from tasks.database import in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.newest_call import hidden_call
from tasks.extract.prober import Prober
from tasks.extract.probing_pages import of_pages
from tasks.extract.probing_ranges import RangeProbe
from tasks.ledger.observations import TRIED_AGAIN_AFTER, is_due, keep, known


def observe(context: StreamContext) -> list[Observation]:
    """What a list is like, by a few requests. Raises the `ProviderError` that a sync would meet as well."""
    tally = Tally()
    try:
        return list(_observations(Prober(context, tally), context.stream))
    finally:
        context.receipt.add_requests(tally.requests)


def _observations(prober: Prober, stream: Stream) -> Iterator[Observation]:
    pages = list(of_pages(prober, stream))
    yield from pages
    if stream.time_filter and stream.name is StreamName.CALLS:
        yield from RangeProbe(prober, adapted(stream, pages)).observations()


def as_it_is(context: StreamContext, *, may_try: bool, anew: bool = False) -> StreamContext:
    """The context of a list by what was found of it; `may_try`: tries again what is due, or all of it `anew`."""
    before = known(context.ledger)
    if may_try and (anew or is_due(context.ledger)):
        found = observe(context)
        keep(context.ledger, found)
        _doubt_what_changed(context, before, found)
        before = known(context.ledger)
    return by_observations(context, before)


def hides_its_newest(context: StreamContext) -> bool:
    """Whether the list, read as it was found, does not show the newest call within its moment: a range that is read
    otherwise from now on would leave out others with it. Where it cannot be asked, the windows will say why.
    """
    with suppress(ProviderError):
        return context.stream.time_filter is not None and hidden_call(context) is not None
    return False


def by_observations(context: StreamContext, found: list[Observation]) -> StreamContext:
    stream, sizes = adapted(context.stream, found), sizes_by(context.sizes, found)
    return replace(context, stream=stream, sizes=sizes, distrust=distrust(found))


def _doubt_what_changed(context: StreamContext, before: list[Observation], found: list[Observation]) -> None:
    """Says what is otherwise than before, and takes back what was proven since that was last tried."""
    old = {one.assumption: one for one in before}
    for one in found:
        if one.assumption in old and one.differs_from(old[one.assumption]):
            reason = f"the provider behaves otherwise than before: {one.words}"
            context.receipt.warn(reason)
            doubt = partial(context.ledger.verdicts.doubt_since, age=TRIED_AGAIN_AFTER, reason=reason)
            in_transaction(context.engine, doubt)
