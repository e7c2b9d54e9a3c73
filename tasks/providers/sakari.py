"""Sakari: texting and voice. https://developer.sakari.io, API v1.

- Token by client credentials with a JSON body; its lifetime is not documented.
- Calls carry one time, `created.at`, no change time, and the remote number only inside the embedded contact.
- Contact numbers are written nationally beside a country; nothing promises E.164.
- A misspelt query name is ignored in silence, so only documented names are ever sent.

Assumed where the vendor is silent: `from` and `to` filter `created.at`; `duration` is seconds; 4 requests a second.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, Required

from pydantic import Field, SecretStr
from typing_extensions import TypedDict

from models.identity.countries import country
from models.identity.phone import e164
from models.moments import moment
from models.pagination import OffsetPaging
from models.payload import (
    Flag,
    Identifier,
    Label,
    Maybe,
    Number,
    Phone,
    Text,
    Time,
    part,
    person_name,
    required_id,
    required_start,
    whole_seconds,
    word,
)
from models.provider import (
    Failure,
    ListFilters,
    Listing,
    Lookup,
    Provider,
    ProviderCredentials,
    Stream,
    TimeFilter,
    segment,
)
from models.rows import CallRow, ContactRow
from models.vocabulary import Direction, Outcome, StreamName
from tasks.providers.auth import ClientCredentialsAuth, TokenSource


class Credentials(ProviderCredentials):
    """From the hub's API settings."""

    account_id: str
    """The account, by its id in the hub."""
    client_id: SecretStr
    """Of the hub's API settings."""
    client_secret: SecretStr
    """Of the hub's API settings."""


def authenticate(credentials: Credentials) -> ClientCredentialsAuth:
    """https://developer.sakari.io/api-reference/authentication/get-token-for-accessing-apis"""
    advice = "check SAKARI_CLIENT_ID and SAKARI_CLIENT_SECRET against the hub's API settings"
    source = TokenSource("Sakari", "/oauth2/token", credentials.client_id, credentials.client_secret, advice)
    return ClientCredentialsAuth(source)


class Mobile(TypedDict, total=False):
    number: Phone
    country: Text


class Stamp(TypedDict, total=False):
    at: Time


class User(TypedDict, total=False):
    id: Label
    firstName: Text
    lastName: Text
    email: Text


class CallContact(TypedDict, total=False):
    id: Label
    mobile: Maybe[Mobile]


class Call(TypedDict, total=False):
    """https://developer.sakari.io/api-reference/calls/fetch-call-history"""

    id: Required[Identifier]
    direction: Text
    status: Text
    contact: Maybe[CallContact]
    phoneNumber: Maybe[Mobile]
    user: Maybe[User]
    duration: Number
    voicemail: Flag
    created: Maybe[Stamp]


class CrmLink(TypedDict, total=False):
    id: Maybe[int | str]
    vid: Maybe[int | str]


class ContactError(TypedDict, total=False):
    code: Text


class Contact(TypedDict, total=False):
    """https://developer.sakari.io/api-reference/contacts/fetch-contacts"""

    id: Required[Identifier]
    email: Text
    firstName: Text
    lastName: Text
    mobile: Maybe[Mobile]
    blocked: Any
    error: Maybe[ContactError]
    activecampaign: Maybe[CrmLink]
    hubspot: Maybe[CrmLink]
    pipedrive: Maybe[CrmLink]
    updated: Maybe[Stamp]


DIRECTIONS = {"inbound": Direction.INBOUND, "outbound": Direction.OUTBOUND}
OUTCOMES = {
    "initiated": Outcome.IN_PROGRESS,
    "ringing": Outcome.IN_PROGRESS,
    "active": Outcome.IN_PROGRESS,
    "transferring": Outcome.IN_PROGRESS,
    "ended": Outcome.ANSWERED,
    "missed": Outcome.MISSED,
    "rejected": Outcome.REJECTED,
    "forwarded": Outcome.FORWARDED,
}
OPTED_OUT = "CONT-010"


def outcome_of(call: Call) -> Outcome:
    outcome = OUTCOMES.get(word(call.get("status")), Outcome.UNKNOWN)
    if outcome.is_final and call.get("voicemail"):
        return Outcome.VOICEMAIL
    return Outcome.MISSED if outcome is Outcome.ANSWERED and call.get("duration") == 0 else outcome


def number_of(phone: Mobile, region: str | None) -> str | None:
    return e164(phone.get("number"), country(phone.get("country"), region))


def to_call(call: Call, region: str | None, _details: list[Any]) -> CallRow:
    contact, own, user = part(call.get("contact")), part(call.get("phoneNumber")), part(call.get("user"))
    remote = part(contact.get("mobile"))
    outcome = outcome_of(call)
    return CallRow(
        external_id=required_id(call["id"]),
        started_at=required_start(part(call.get("created")).get("at")),
        direction=DIRECTIONS.get(word(call.get("direction")), Direction.UNKNOWN),
        outcome=outcome,
        provider_status=call.get("status"),
        duration_seconds=whole_seconds(call.get("duration")),
        remote_e164=number_of(remote, region),
        own_e164=number_of(own, region),
        remote_raw=remote.get("number"),
        own_raw=own.get("number"),
        contact_external_id=contact.get("id"),
        agent=person_name(user.get("firstName"), user.get("lastName"), user.get("email"), user.get("id")),
        is_final=outcome.is_final,
    )


def to_contact(contact: Contact, region: str | None, _details: list[Any]) -> ContactRow:
    number = number_of(part(contact.get("mobile")), region)
    links = {
        "activecampaign": part(contact.get("activecampaign")),
        "hubspot": part(contact.get("hubspot")),
        "pipedrive": part(contact.get("pipedrive")),
    }
    return ContactRow(
        external_id=required_id(contact["id"]),
        first_name=contact.get("firstName"),
        last_name=contact.get("lastName"),
        email=contact.get("email"),
        e164s=[number] if number else [],
        opted_out=bool(contact.get("blocked")) or part(contact.get("error")).get("code") == OPTED_OUT,
        crm_ids={crm: found for crm, link in links.items() if (found := link.get("id") or link.get("vid"))},
        source_updated_at=moment(part(contact.get("updated")).get("at")),
    )


CallDirection = Literal["inbound", "outbound"]
CallStatus = Literal["initiated", "ringing", "active", "ended", "rejected", "forwarded", "missed", "transferring"]


class CallFilters(ListFilters):
    conversationId: str | None = Field(None, description="Id of the conversation")
    phonenumberId: str | None = Field(None, description="Id of the Sakari number")
    contactId: str | None = Field(None, description="Id of the contact")
    userId: str | None = Field(None, description="Id of the user")
    groupId: str | None = Field(None, description="Id of the group")
    direction: CallDirection | None = Field(None, description="Direction of the call")
    status: CallStatus | None = Field(None, description="Status of the call")


class ContactFilters(ListFilters):
    firstName: str | None = Field(None, description="First name or part of it")
    lastName: str | None = Field(None, description="Last name or part of it")
    mobile: str | None = Field(None, description="Mobile number or part of it")
    email: str | None = Field(None, description="E-mail address or part of it")
    tags: str | None = Field(None, description="Tags")


class Filters(ContactFilters, CallFilters):
    """Sakari's documented filters; each belongs to calls or to contacts."""


def path(credentials: Credentials, resource: str) -> str:
    return f"/v1/accounts/{segment(credentials.account_id)}/{resource}"


def failure(envelope: Mapping[str, Any]) -> Failure | None:
    """`{"success": false, "error": {"code": "CONT-001", "message": "…"}}`"""
    error = part(envelope.get("error"))
    if envelope.get("success") is not False and not error:
        return None
    found = error if isinstance(error, dict) else {"message": error}
    return Failure(str(found.get("code") or ""), str(found.get("message") or found.get("description") or ""))


PROVIDER = Provider(
    name="sakari",
    title="Sakari",
    base_url="https://api.sakari.io",
    credentials=Credentials,
    secret_words="client id or secret",
    account=lambda credentials: credentials.account_id,
    auth=authenticate,
    failure=failure,
    requests_per_second=4,
    lookback=timedelta(hours=48),
    filters=Filters,
    streams=(
        Stream(
            name=StreamName.CALLS,
            listings=lambda credentials: [Listing(path=path(credentials, "calls"))],
            lookups=lambda credentials, id_: [Lookup(path=path(credentials, f"calls/{segment(id_)}"), key="data")],
            address=lambda credentials, id_, _call: path(credentials, f"calls/{segment(id_)}"),
            items=("data",),
            paging=OffsetPaging(limit=100),
            time_filter=TimeFilter(since="from", until="to"),
            payload=Call,
            to_row=to_call,
            filters=CallFilters,
        ),
        Stream(
            name=StreamName.CONTACTS,
            listings=lambda credentials: [Listing(path=path(credentials, "contacts"))],
            lookups=lambda credentials, id_: [Lookup(path=path(credentials, f"contacts/{segment(id_)}"), key="data")],
            address=lambda credentials, id_, _contact: path(credentials, f"contacts/{segment(id_)}"),
            items=("data",),
            paging=OffsetPaging(limit=100),
            payload=Contact,
            to_row=to_contact,
            filters=ContactFilters,
        ),
    ),
)
