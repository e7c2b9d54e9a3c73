"""Small checks of what a sync needs; each answers with what is wrong, or None."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from models.assumptions import Standing
from models.errors import CallweaveError, ContractBroken, RecordNotFound, Rejected
from models.pagination import Page
from models.provider import Listing, Stream
from tasks.client.client import Answer, Client
from tasks.client.transport import Tally
from tasks.client.waits import seconds
from tasks.extract.context import StreamContext
from tasks.extract.page import open_page
from tasks.extract.probes import observe
from tasks.load.parser import Parser
from tasks.rights import advice, missing_roles, without_rights

FARTHEST = 30.0
"""Seconds between two clocks. The newest minute is left alone, so that less than this loses nothing."""

NO_RIGHTS = text("""
SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT (
    has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
    AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
""")
MAY_STAGE = text("SELECT has_database_privilege(current_database(), 'TEMPORARY')")
CLOCK = text("SELECT clock_timestamp()")
VERSION = text("SHOW server_version")


class Result(NamedTuple):
    """A line of `callweave check`."""

    what: str
    problem: str | None = None
    is_note: bool = False
    """Neither good nor wrong: something that is not set up."""


def of_database(connection: Connection) -> Iterator[Result]:
    version = str(connection.execute(VERSION).scalar_one()).partition(" ")[0]
    yield Result(f"database: Postgres {version}, at the newest migration")
    yield Result("database: rights", _missing_rights(connection))
    if missing := missing_roles(connection):
        yield Result(f"database: {advice(missing)}", is_note=True)
    if closed := without_rights(connection):
        yield Result("database: roles", f"{' and '.join(closed)} may not use v1: run `callweave migrate`")
    began = time.time()
    theirs = connection.execute(CLOCK).scalar_one().timestamp()
    yield Result("database: clock", _apart(theirs, began, "the database's"))


def _missing_rights(connection: Connection) -> str | None:
    if tables := connection.execute(NO_RIGHTS).scalar():
        return f"no right to read and write {tables}; GRANT it to the role of DATABASE_URL, or let that role own them"
    if not connection.execute(MAY_STAGE).scalar():
        return "no right to make temporary tables; GRANT TEMPORARY ON DATABASE to the role of DATABASE_URL"
    return None


def _apart(theirs: float, began: float, whose: str) -> str | None:
    seconds = theirs - (began + time.time()) / 2
    if abs(seconds) <= FARTHEST:
        return None
    return (
        f"{whose} clock is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's: calls of "
        "the newest minutes may be missed until they are read again. Set this one by NTP, or report the other"
    )


def of_account(client: Client, region: str | None) -> Iterator[Result]:
    """The streams one by one: key, rights, paging and a record; then clock and the provider's own description."""
    provider, answers = client.account.provider, list[tuple[float, Answer]]()
    for stream in provider.streams:
        try:
            problem = _of_stream(client, stream, region, answers)
        except CallweaveError as error:
            problem = str(error)
        yield Result(f"{provider.title} {stream.name}: key, rights and paging", problem)
    if answers:
        began, answer = answers[-1]
        yield _of_clock(f"{provider.title}'s", began, answer)
        yield from _of_description(client)


def of_behaviour(context: StreamContext) -> Iterator[Result]:
    """What is assumed of a list, tried now as a first sync tries it: a line for each finding."""
    provider = context.provider
    for one in observe(context):
        what = f"{provider.title} {context.stream.name}: {one.words}"
        if one.standing is Standing.UNCLEAR:
            yield Result(f"{provider.title} {context.stream.name}: {one.assumption}", one.words)
        elif one.standing is Standing.AS_ASSUMED:
            yield Result(f"{what}, as assumed")
        elif one.standing is Standing.OTHERWISE:
            yield Result(f"{what} (other than assumed; it is read so)", is_note=True)
        else:
            yield Result(f"{what}: not testable yet", is_note=True)


def _of_clock(whose: str, began: float, answer: Answer) -> Result:
    try:
        return Result(f"{whose} clock", _apart(seconds(answer.date or ""), began, whose))
    except ValueError:
        return Result(f"{whose} clock is not known (no Date header): not compared", is_note=True)


def _of_stream(client: Client, stream: Stream, region: str | None, answers: list[tuple[float, Answer]]) -> str | None:
    """One small page of each list, read as a sync would read it; adds what was answered, and when it was asked."""
    paging: Any = replace(stream.paging, limit=1)  # type: ignore[type-var]  # each paging is a dataclass
    for listing in stream.listings(client.account.credentials):
        began = time.time()
        answer = client.get(listing.path, listing.params | paging.params(paging.start), Tally())
        answers.append((began, answer))
        records = _opened(client, stream, paging, answer.text)
        # Where the page size is known to have other names, the line about it says which one is obeyed.
        if len(records) > paging.limit and not stream.variants:
            return (
                f"{paging.limit} record was asked for and {len(records)} came: the page size is not obeyed. Report it"
            )
        if problem := _of_page(Parser(stream, region), records):
            return problem
    return None


def _opened(client: Client, stream: Stream, paging: Any, text: str) -> list[str]:
    """The records of a page, in whichever of the envelopes that are known they stand. Raises `ContractBroken`."""
    refusals = list[ContractBroken]()
    for items in [each.items for each in stream.variants.envelopes] if stream.variants else [stream.items]:
        try:
            envelope, records = open_page(client.account.provider, text, items)
        except ContractBroken as error:
            refusals.append(error)
            continue
        paging.following(paging.start, Page(envelope, len(records), len(records)))
        return records
    raise refusals[0]


def _of_page(parser: Parser, records: list[str]) -> str | None:
    for record in records:
        try:
            parser.to_row(parser.parse(record))
        except Rejected as reason:
            return f"the first record cannot be read: {reason}. A sync keeps it aside; look whether more are like it"
    return None


def _of_description(client: Client) -> Iterator[Result]:
    """What the provider's OpenAPI document says of the lists, where it serves one."""
    provider = client.account.provider
    if provider.description is None:
        return
    what = f"{provider.title}'s own description ({provider.description})"
    try:
        document = json.loads(client.get(provider.description, {}, Tally()).text)
        problems = [one for stream in provider.streams for one in _disagreements(client, stream, document["paths"])]
    except RecordNotFound:
        yield Result(f"{what} is not served: not compared", None, is_note=True)
    except (CallweaveError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield Result(f"{what} cannot be read ({type(error).__name__}): not compared", None, is_note=True)
    else:
        yield Result(what, "; ".join(problems) or None)


def _disagreements(client: Client, stream: Stream, paths: Mapping[str, Any]) -> Iterator[str]:
    for listing in stream.listings(client.account.credentials):
        if (path := paths.get(listing.path)) is None or "get" not in path:
            yield f"it does not know GET {listing.path}"
            continue
        declared = {one["name"]: one for one in path["get"].get("parameters", []) if one.get("in") == "query"}
        sent = _sent(stream, listing)
        needed, where = {name for name, one in declared.items() if one.get("required")}, f"GET {listing.path}"
        yield from (f"{where} does not take {name!r}, which we send" for name in sorted(sent - set(declared)))
        yield from (f"{where} demands {name!r}, which we do not send" for name in sorted(needed - sent))


def _sent(stream: Stream, listing: Listing) -> set[str]:
    times = {stream.time_filter.since, stream.time_filter.until} if stream.time_filter else set()
    return set(listing.params) | set(stream.paging.params(stream.paging.start)) | times
