"""Reading one record: both parsers say the same, and an odd value costs no more than itself."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.arrivals import Arrival, Rejection
from models.vocabulary import StreamName
from tasks.load.parser import Parser
from tasks.providers import PROVIDERS
from tests.support.builders import Office, take_in
from tests.support.records import at, bird_call, sakari_call, skipcall_call, skipcall_contact
from tests.support.rows import CALLS, CONTACTS, STREAMS, call_of

Json = dict[str, Any]

ISO = r"20[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9](:[0-6][0-9]([.,][0-9]{0,9})?)?"
ZONE = r"([zZ]|[+-][0-9]{2}:?([0-9]{2})?)?"
TIMES = st.one_of(st.datetimes().map(lambda moment: moment.isoformat() + "Z"), st.from_regex(ISO + ZONE))
NUMBERS = st.one_of(st.integers(), st.integers(0, 2 * 10**13), st.floats())
VALUES = st.one_of(TIMES, NUMBERS, st.none(), st.booleans(), st.text(max_size=9), st.just({}), st.lists(st.none()))
WHOLE = {
    ("sakari", CALLS): sakari_call(),
    ("sakari", CONTACTS): {
        "id": "c",
        "mobile": {"number": "1", "country": "FR"},
        "updated": {"at": ""},
        "hubspot": {"id": 1},
    },
    ("bird", CALLS): bird_call(),
    ("bird", CONTACTS): {"id": "c", "updatedAt": "", "featuredIdentifiers": [{"key": "phonenumber", "value": "1"}]},
    ("skipcall", CALLS): skipcall_call(updatedAt="", deletedAt=""),
    ("skipcall", CONTACTS): skipcall_contact(),
}
"""A record of each stream with all that is used of it."""


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value inside, objects before what is in them."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, part in inside for found in ((*way, key), *places(part, (*way, key)))]


def with_value(record: Json, way: tuple[Any, ...], value: Any) -> Json:
    copy: Json = json.loads(json.dumps(record))
    holder: Any = copy
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = value
    return copy


def said(value: Any) -> Any:
    """The same without fields that are None, which are as good as missing."""
    if isinstance(value, dict):
        return {key: said(part) for key, part in value.items() if part is not None}
    return [said(part) for part in value] if isinstance(value, list) else value


def read(parse: Any, record: str) -> Any:
    """What a parser makes of a record, None where it refuses it."""
    try:
        return parse(record)
    except (msgspec.MsgspecError, ValidationError):
        return None


@pytest.mark.parametrize(("provider", "stream"), STREAMS)
@given(st.data())
def test_parsers_agree(provider: str, stream: StreamName, data: st.DataObject) -> None:
    """What the strict parser takes, the lenient one reads in the same way (airbyte#48492)."""
    reader, whole = Parser(PROVIDERS[provider].stream(stream), None), WHOLE[provider, stream]
    record = with_value(whole, data.draw(st.sampled_from(places(whole))), data.draw(VALUES))
    strict, lenient = (
        read(parse, json.dumps(record)) for parse in (reader._strict.decode, reader._lenient.validate_json)
    )

    assert strict is None or said(strict) == said(lenient)


@pytest.mark.parametrize(("provider", "stream"), STREAMS)
def test_all_is_used(provider: str, stream: StreamName) -> None:
    """The records above are read by the strict parser, so that there is something to agree on."""
    reader = Parser(PROVIDERS[provider].stream(stream), None)

    assert reader._strict.decode(json.dumps(WHOLE[provider, stream]))


@given(st.sampled_from(["startedAt", "endedAt", "deletedAt", "updatedAt"]), VALUES)
@example("deletedAt", 10**400)
@example("startedAt", float("nan"))
@example("startedAt", float("-inf"))
def test_odd_times(name: str, value: Any) -> None:
    """Whatever stands in a time, the call is stored, with a time of our era there or none."""
    row = call_of("skipcall", skipcall_call(**{name: value}))

    assert all(moment is None or 1970 <= moment.year <= 2100 for moment in (row.ended_at, row.deleted_at))
    assert 1970 <= row.started_at.year <= 2100


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_not_json(office: Office, number: str) -> None:
    """A record with a number that JSON does not have is set aside with a reason, all others are stored."""
    context = office.context("sakari")
    bad = json.dumps(sakari_call(id="bad", duration="@")).replace('"@"', number)
    counts = take_in(context, [bad, sakari_call(id="good")])
    (aside,) = office.rows("SELECT external_id, reason, payload FROM v1.rejected_row")

    assert (counts.inserted, counts.rejected) == (1, 1)
    assert office.ids("sakari") == {"good"}
    assert aside["external_id"] == "bad"
    assert aside["reason"]
    assert aside["payload"] is None


@pytest.mark.parametrize("ids", [(1, "1"), ("1", 1), (-7, "-7"), ("1", 1, "1", 1)], ids=str)
def test_number_and_text(office: Office, ids: tuple[Any, ...]) -> None:
    """Of two records of a list whose ids are 1 and "1" the first is stored, the other is set aside with a reason."""
    records = [sakari_call(id=id_, duration=n) for n, id_ in enumerate(ids)]
    counts = take_in(office.context("sakari"), records)
    aside = office.rows("SELECT reason, resolved_at FROM v1.rejected_row")

    assert counts.fetched == len(ids)
    assert counts.inserted == 1
    assert counts.rejected == len([id_ for id_ in ids if type(id_) is not type(ids[0])])
    assert [row["resolved_at"] for row in aside] == [None] * counts.rejected
    assert all("that of another record is" in row["reason"] for row in aside)


def test_number_in_later_readings(office: Office) -> None:
    """An id that a later reading writes as text is the same record's: vendors change how they write ids."""
    take_in(office.context("sakari"), [sakari_call(id=1)])

    assert take_in(office.context("sakari"), [sakari_call(id="1", duration=9)], at(1)).updated == 1
    assert office.ids("sakari") == {"1"}


@pytest.mark.parametrize("id_", [1.5, True, [], {}, float("nan")], ids=repr)
def test_no_id(id_: Any) -> None:
    """An id that is no text and no whole number is none."""
    parser = Parser(PROVIDERS["sakari"].stream(CALLS), None)
    assert isinstance(parser.identify(json.dumps(sakari_call(id=id_)), at(), ""), Rejection)


def test_kind_of_a_deep_record() -> None:
    """A record too deep for the quick parser says as well whether its id is a number."""
    deep, parser = "[" * 5_000 + "]" * 5_000, Parser(PROVIDERS["sakari"].stream(CALLS), None)
    kinds = [parser.identify(f'{{"notes": {deep}, "id": {id_}}}', at(), "") for id_ in ("7", '"7"')]

    assert [one.id_is_number for one in kinds if isinstance(one, Arrival)] == [True, False]


@pytest.mark.parametrize("channel", [42, "42"], ids=repr)
def test_channel_as_a_number(channel: Any) -> None:
    """A call whose channel is a JSON number has an address of its own, so that its deletion can be confirmed."""
    stream = PROVIDERS["bird"].stream(CALLS)
    credentials = PROVIDERS["bird"].credentials(workspace_id="w", access_key="k")

    assert stream.address(credentials, "b1", bird_call(channelId=channel)) == "/workspaces/w/channels/42/calls/b1"
