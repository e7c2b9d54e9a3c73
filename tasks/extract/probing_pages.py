"""How pages really are: where the records stand, what the size is called, where counting begins, where they end."""

from collections.abc import Iterator

from models.assumptions import FIXED, Assumption, Observation, Standing, adapted
from models.errors import ContractBroken, RecordNotFound, RequestRefused
from models.pagination import OffsetPaging, PagePaging, Position
from models.provider import PageVariants, Stream
from tasks.extract.prober import Prober, Rows

FEW = 2
"""Records of a page that is asked for to see whether its size is obeyed."""


def of_pages(prober: Prober, stream: Stream) -> Iterator[Observation]:
    """One observation after the other, each made with what was found by those before."""
    paging, variants = stream.paging, stream.variants
    if isinstance(paging, OffsetPaging):
        yield _end(prober, stream, paging)
    if not isinstance(paging, PagePaging) or variants is None:
        return
    envelope, first = _envelope(prober, stream, variants)
    yield envelope
    stream = adapted(stream, [envelope])
    size = _size(prober, stream, variants, first)
    yield size
    base = _base(prober, adapted(stream, [size]), variants)
    yield base
    yield from _largest(prober, adapted(stream, [size, base]))


def _end(prober: Prober, stream: Stream, paging: OffsetPaging) -> Observation:
    """Of a first page that says that nothing follows: whether that is so."""
    first = prober.rows(stream, limit=paging.limit, position=paging.start)
    says_end = first.ids and paging.following(paging.start, first.page) is None
    if says_end and _goes_on(prober, stream, first, str(len(first.texts))):
        words = (
            f"the list says that it ends after {len(first.texts):,} records, and goes on: nothing of it is proven "
            "complete. Report it"
        )
        return Observation(Assumption.END, Standing.UNCLEAR, "unclear", words)
    return Observation(Assumption.END, Standing.AS_ASSUMED, "", "the list ends where it says so")


def _envelope(prober: Prober, stream: Stream, variants: PageVariants) -> tuple[Observation, Rows]:
    refusals = list[ContractBroken]()
    for envelope in variants.envelopes:
        where = ".".join(envelope.items)
        tried = adapted(stream, [Observation(Assumption.ENVELOPE, Standing.OTHERWISE, where, "")])
        try:
            rows = _first(prober, tried, variants)
        except ContractBroken as error:
            refusals.append(error)
            continue
        is_assumed = envelope is variants.envelopes[0]
        standing = Standing.AS_ASSUMED if is_assumed else Standing.OTHERWISE
        return Observation(Assumption.ENVELOPE, standing, where, f"records stand under {where!r}"), rows
    raise refusals[0]


def _first(prober: Prober, stream: Stream, variants: PageVariants) -> Rows:
    """The first page, by whichever number there is one: of a short list that counts from 0 there is no page 1."""
    try:
        return prober.rows(stream, limit=FEW)
    except (RequestRefused, RecordNotFound):
        for start in variants.starts[1:]:
            if (rows := prober.rows_if_any(stream, limit=FEW, position=start)) is not None:
                return rows
        raise


def _size(prober: Prober, stream: Stream, variants: PageVariants, first: Rows) -> Observation:
    assumed, came = variants.size_params[0], len(first.texts)
    if came < FEW:
        words = f"the list holds fewer than {FEW} records, so that a page size cannot be seen"
        return Observation(Assumption.PAGE_SIZE, Standing.NOT_TESTABLE, assumed, words)
    if came == FEW:
        words = f"the page size is called {assumed!r} and is obeyed"
        return Observation(Assumption.PAGE_SIZE, Standing.AS_ASSUMED, assumed, words)
    for name in variants.size_params[1:]:
        tried = adapted(stream, [Observation(Assumption.PAGE_SIZE, Standing.OTHERWISE, name, "")])
        rows = prober.rows_if_any(tried, limit=FEW, position=stream.paging.start)
        if rows is not None and len(rows.texts) == FEW:
            words = f"{assumed!r} is not obeyed; the page size is called {name!r}"
            return Observation(Assumption.PAGE_SIZE, Standing.OTHERWISE, name, words)
    words = f"no page size is obeyed; pages hold {came:,} records"
    return Observation(Assumption.PAGE_SIZE, Standing.OTHERWISE, f"{FIXED}{came}", words)


def _base(prober: Prober, stream: Stream, variants: PageVariants) -> Observation:
    assumed, *others = variants.starts
    first = prober.rows_if_any(stream, limit=FEW, position=assumed)
    for other in others:
        page = prober.rows_if_any(stream, limit=FEW, position=other)
        if page is not None and (first is None or _stands_before(prober, stream, page, first, assumed)):
            words = f"pages count from {other}, not from {assumed}"
            return Observation(Assumption.PAGE_BASE, Standing.OTHERWISE, other, words)
    if first is None or not first.ids:
        return Observation(Assumption.PAGE_BASE, Standing.NOT_TESTABLE, assumed, "the list holds no record")
    return Observation(Assumption.PAGE_BASE, Standing.AS_ASSUMED, assumed, f"pages count from {assumed}")


def _stands_before(prober: Prober, stream: Stream, page: Rows, first: Rows, assumed: str) -> bool:
    """Whether `page` is one of its own, not the assumed first page under another number: also while the list moves."""
    if not page.ids or page.ids & first.ids:
        return False
    return not page.ids & prober.rows(stream, limit=FEW, position=assumed).ids


def _largest(prober: Prober, stream: Stream) -> Iterator[Observation]:
    """Nothing, where the list is shorter than a page."""
    paging = stream.paging
    first = prober.rows(stream, limit=paging.limit, position=paging.start)
    came = len(first.texts)
    if came == paging.limit:
        words = f"a page holds the {came:,} records that are asked for"
        yield Observation(Assumption.LARGEST_PAGE, Standing.AS_ASSUMED, str(came), words)
    elif came and _goes_on(prober, stream, first, str(int(paging.start) + 1)):
        words = f"a page holds at most {came:,} records, not the {paging.limit:,} that are asked for"
        yield Observation(Assumption.LARGEST_PAGE, Standing.OTHERWISE, str(came), words)


def _goes_on(prober: Prober, stream: Stream, first: Rows, behind: Position) -> bool:
    """Whether there is a second page, whatever the answer says: its total may count too many, or the page alone."""
    second = prober.rows_if_any(stream, limit=stream.paging.limit, position=behind)
    return second is not None and bool(second.ids - first.ids)
