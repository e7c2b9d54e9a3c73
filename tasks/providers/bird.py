"""Bird: the channels API of api.bird.com. https://docs.bird.com/api/voice-api/voice-calls-api/list-calls-from-a-channel

- Lists run newest first by `createdAt`; the token is a position in that order, absent on the last page.
- A row keeps its place while its status, end and duration change.
- An agent's web call is logged as `incoming` (into the platform); the party that is a client is always ours.
- `answeredAt` stands on unanswered calls too, even before `ringingAt`: only the status is believed.
- Numbers come with and without a plus; an unset time may read 0001-01-01.
- A contact's featured identifiers can be a part of them; `identifierCount` says how many there are.

Assumed where the vendor is silent: `startAt` and `endAt` filter `createdAt`; numbers without plus are international.
"""

from datetime import timedelta
from functools import partial
from typing import Any, Literal, Required
from uuid import UUID

from pydantic import Field, SecretStr, TypeAdapter
from typing_extensions import TypedDict

from models.identity.countries import country
from models.identity.phone import e164
from models.moments import moment
from models.pagination import CursorPaging
from models.payload import (
    Flag,
    Identifier,
    Items,
    Label,
    Maybe,
    Number,
    Phone,
    Reference,
    Text,
    Time,
    distinct,
    part,
    required_id,
    required_start,
    whole_seconds,
    word,
)
from models.provider import (
    Details,
    ListFilters,
    Listing,
    Lookup,
    Provider,
    ProviderCredentials,
    Repeated,
    Stream,
    TimeFilter,
    segment,
    separated,
)
from models.rows import CallRow, ContactRow
from models.vocabulary import USUAL_OUTCOMES, Direction, Outcome, StreamName
from tasks.providers.auth import HeaderAuth


class Credentials(ProviderCredentials):
    """https://docs.bird.com/api/api-access/common-api-usage"""

    workspace_id: str
    """The workspace, by the id in its address."""
    access_key: SecretStr
    """An access key with the right to read the workspace's channels and contacts."""
    channel_ids: str | None = None
    """Only these channels, separated by commas; unset: the call log of the whole workspace."""


class PhoneNumber(TypedDict, total=False):
    type: Text
    number: Phone
    identity: Phone
    anonymous: Flag
    countryIsoCode: Text


class Linked(Reference, total=False):
    identifierKey: Text
    identifierValue: Phone


class Party(TypedDict, total=False):
    contact: Maybe[Linked]
    number: Maybe[PhoneNumber]


# "from" is a Python keyword, hence the other form of a TypedDict.
Call = TypedDict(
    "Call",
    {
        "id": Required[Identifier],
        "originator": Maybe[Party],
        "receiver": Maybe[Party],
        "from": Phone,
        "to": Phone,
        "parentId": Label,
        "direction": Text,
        "status": Text,
        "duration": Number,
        "createdAt": Time,
        "updatedAt": Time,
        "answeredAt": Time,
        "endedAt": Time,
    },
    total=False,
)


class KeyValue(TypedDict, total=False):
    key: Text
    value: Phone


class Attributes(TypedDict, total=False):
    firstName: Text
    lastName: Text


class Contact(TypedDict, total=False):
    """https://docs.bird.com/api/contacts-api/api-reference/manage-workspace-contacts/list-contacts"""

    id: Required[Identifier]
    updatedAt: Time
    featuredIdentifiers: Items[KeyValue]
    identifierCount: Number
    attributes: Maybe[Attributes]


DIRECTIONS = {"incoming": Direction.INBOUND, "outgoing": Direction.OUTBOUND}
OUTCOMES = USUAL_OUTCOMES | {"accepted": Outcome.IN_PROGRESS, "starting": Outcome.IN_PROGRESS}
SHOWS_ANSWER = {Outcome.ANSWERED, Outcome.VOICEMAIL, Outcome.IN_PROGRESS}
international = partial(e164, assume_international=True)
NUMBERS = TypeAdapter(list[KeyValue])
LABEL = TypeAdapter(Label)


def is_client(party: Party, address: str | None) -> bool:
    number = part(party.get("number"))
    addresses = [(one or "").strip().lower() for one in (address, number.get("number"))]
    return word(number.get("type")) == "webrtc" or any(one.startswith("client:") for one in addresses)


def direction_of(call: Call) -> Direction:
    if is_client(part(call.get("originator")), call.get("from")):
        return Direction.OUTBOUND
    if is_client(part(call.get("receiver")), call.get("to")):
        return Direction.INBOUND
    return DIRECTIONS.get(word(call.get("direction")), Direction.UNKNOWN)


def number_of(party: Party, region: str | None) -> str | None:
    """The party's own, else the one by which its contact was found: also where the caller hides it."""
    number, contact = part(party.get("number")), part(party.get("contact"))
    home = country(number.get("countryIsoCode"), region)
    named = None if word(number.get("type")) == "webrtc" else number.get("number")
    shown = () if number.get("anonymous") else (named, number.get("identity"))
    linked = contact.get("identifierValue") if word(contact.get("identifierKey")) == "phonenumber" else None
    return next(filter(None, (international(one, home) for one in (*shown, linked))), None)


def sides(call: Call, direction: Direction) -> tuple[Party, str | None, Party, str | None]:
    """The other party and its address, ours and its address."""
    caller = part(call.get("originator")), call.get("from")
    called = part(call.get("receiver")), call.get("to")
    known = {Direction.OUTBOUND: (*called, *caller), Direction.INBOUND: (*caller, *called)}
    return known.get(direction, ({}, None, {}, None))


def to_call(call: Call, region: str | None, _details: list[Any]) -> CallRow:
    direction = direction_of(call)
    outcome = OUTCOMES.get(word(call.get("status")), Outcome.UNKNOWN)
    remote, remote_raw, own, own_raw = sides(call, direction)
    return CallRow(
        external_id=required_id(call["id"]),
        started_at=required_start(call.get("createdAt")),
        direction=direction,
        outcome=outcome,
        provider_status=call.get("status"),
        answered_at=moment(call.get("answeredAt")) if outcome in SHOWS_ANSWER else None,
        ended_at=moment(call.get("endedAt")),
        duration_seconds=whole_seconds(call.get("duration")),
        remote_e164=number_of(remote, region),
        own_e164=number_of(own, region),
        remote_raw=remote_raw,
        own_raw=own_raw,
        contact_external_id=part(remote.get("contact")).get("id"),
        parent_external_id=call.get("parentId"),
        is_final=outcome.is_final,
        source_updated_at=moment(call.get("updatedAt")),
    )


def to_contact(contact: Contact, region: str | None, details: list[Any]) -> ContactRow:
    attributes, identifiers = part(contact.get("attributes")), part(contact.get("featuredIdentifiers"))
    pairs = filter(None, (*identifiers, *NUMBERS.validate_python(details)))
    values = [(word(pair.get("key")), pair.get("value")) for pair in pairs]
    numbers = (international(value, region) for key, value in values if key == "phonenumber")
    return ContactRow(
        external_id=required_id(contact["id"]),
        first_name=attributes.get("firstName"),
        last_name=attributes.get("lastName"),
        email=next((value for key, value in values if key == "emailaddress" and value), None),
        e164s=distinct(numbers),
        source_updated_at=moment(contact.get("updatedAt")),
    )


def missing_identifiers(credentials: Credentials, contact: Contact) -> str | None:
    featured = part(contact.get("featuredIdentifiers"))
    rest = workspace(credentials, f"contacts/{segment(contact['id'])}/identifiers")
    return rest if (contact.get("identifierCount") or 0) > len(featured) else None


CallStatus = Literal[
    "accepted", "starting", "ringing", "ongoing", "completed", "no-answer", "busy", "failed", "cancelled", "scheduled"
]


class CallFilters(ListFilters):
    status: CallStatus | None = Field(None, description="Status of the call")
    type: Literal["pstn", "sip", "webrtc"] | None = Field(None, description="Kind of the call")
    direction: Literal["incoming", "outgoing"] | None = Field(None, description="Direction as Bird logs it")
    to: str | None = Field(None, min_length=1, max_length=100, description="Called address")
    from_: str | None = Field(None, alias="from", min_length=1, max_length=100, description="Calling address")
    duration: int | None = Field(None, ge=0, description="Seconds")
    id: UUID | None = Field(None, description="Id of a call")
    tag: Repeated = Field(None, description="Tags")


class ContactFilters(ListFilters):
    reverse: bool | None = Field(None, description="The list from its other end")


class Filters(ContactFilters, CallFilters):
    """Bird's documented filters; each belongs to calls or to contacts."""


def workspace(credentials: Credentials, resource: str) -> str:
    return f"/workspaces/{segment(credentials.workspace_id)}/{resource}"


def call_lists(credentials: Credentials) -> list[Listing]:
    """One list per named channel, else the log of the whole workspace."""
    named = {channel: f"channels/{segment(channel)}/calls" for channel in separated(credentials.channel_ids)}
    paths = named or {"": "channels/calls"}
    return [Listing(path=workspace(credentials, path), scope=channel) for channel, path in paths.items()]


def call_lookups(credentials: Credentials, id_: str) -> list[Lookup]:
    """Through the lists' own `id` filter: a call's own address needs its channel."""
    params = {"id": id_, "limit": 10}
    return [Lookup(path=one.path, params=params, key="results") for one in call_lists(credentials)]


def call_address(credentials: Credentials, id_: str, call: Any) -> str | None:
    channel = LABEL.validate_python(call.get("channelId"))
    return workspace(credentials, f"channels/{segment(channel)}/calls/{segment(id_)}") if channel else None


PROVIDER = Provider(
    name="bird",
    title="Bird",
    base_url="https://api.bird.com",
    credentials=Credentials,
    secret_words="access key",
    account=lambda credentials: credentials.workspace_id,
    auth=lambda credentials: HeaderAuth("AccessKey", credentials.access_key),
    requests_per_second=50,
    lookback=timedelta(hours=24),
    filters=Filters,
    streams=(
        Stream(
            name=StreamName.CALLS,
            listings=call_lists,
            lookups=call_lookups,
            address=call_address,
            items=("results",),
            paging=CursorPaging(limit=1_000),
            time_filter=TimeFilter(since="startAt", until="endAt"),
            payload=Call,
            to_row=to_call,
            filters=CallFilters,
        ),
        Stream(
            name=StreamName.CONTACTS,
            listings=lambda credentials: [Listing(path=workspace(credentials, "contacts"))],
            lookups=lambda credentials, id_: [Lookup(path=workspace(credentials, f"contacts/{segment(id_)}"))],
            address=lambda credentials, id_, _contact: workspace(credentials, f"contacts/{segment(id_)}"),
            items=("results",),
            paging=CursorPaging(limit=100),
            payload=Contact,
            to_row=to_contact,
            filters=ContactFilters,
            details=Details(path=missing_identifiers, items=("results",), paging=CursorPaging(limit=100)),
        ),
    ),
)
