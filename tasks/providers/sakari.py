"""Sakari: texting and voice. https://developer.sakari.io, API v1.

- Token by client credentials with a JSON body; its lifetime is not documented.
- Calls carry one time, `created.at`, no change time, and the remote number only inside the embedded contact.
- Contact numbers are written nationally beside a country; nothing promises E.164.
- A misspelt query name is ignored in silence, so only documented names are ever sent.

Assumed where the vendor is silent: `from` and `to` filter `created.at`; `duration` is seconds; 4 requests a second.
"""

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Generator
from datetime import timedelta
from enum import StrEnum
from typing import Any, Required

import httpx
from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from models.errors import ContractBroken, CredentialsRejected, ProviderError, ProviderUnavailable, error_for_status
from models.paging import OffsetPaging
from models.payload import (
    Flag,
    Identifier,
    Label,
    Maybe,
    Number,
    Text,
    Time,
    country,
    moment,
    part,
    person_name,
    required_id,
    required_start,
    whole_seconds,
    word,
)
from models.phone import e164
from models.provider import ListFilters, Listing, Lookup, Provider, Stream, TimeFilter, segment
from models.rows import CallRow, ContactRow
from models.vocabulary import Direction, Outcome, StreamName

TOKEN_LIFETIME = 50 * 60
"""Seconds, where the token does not tell: an assumption."""
TOKEN_MARGIN = 60


Flow = Generator[httpx.Request, httpx.Response, None]


class Token(TypedDict, total=False):
    access_token: Required[str]
    expires_in: Number


TOKEN = TypeAdapter(Token)


class Credentials(BaseModel):
    """From the hub's API settings."""

    account_id: str
    client_id: SecretStr
    client_secret: SecretStr


class TokenAuth(httpx.Auth):
    """https://developer.sakari.io/api-reference/authentication/get-token-for-accessing-apis

    The token is kept for the account, renewed before it runs out and once when it is refused. One renewal at a time:
    who waited for it takes its token, or its failure, and does not try the same again.
    """

    requires_response_body = True

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = 0.0
        self._renewals = 0
        self._failure: ProviderError | None = None

    def auth_flow(self, request: httpx.Request) -> Flow:
        token = yield from self._current(request, refused=None)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = yield from self._current(request, refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request

    def _current(self, request: httpx.Request, refused: str | None) -> Generator[httpx.Request, httpx.Response, str]:
        came_at = self._renewals
        with self._lock:
            if self._failure is not None and self._renewals > came_at:
                raise type(self._failure)(str(self._failure))
            if self._token in {"", refused} or time.monotonic() > self._good_until:
                yield from self._noting_failure(self._renew(request))
            return self._token

    def _noting_failure(self, renewal: Flow) -> Flow:
        # httpx closes the flow, without an exception of its own, when the address cannot be reached.
        self._failure = ProviderUnavailable("Sakari's token address cannot be reached.")
        try:
            yield from renewal
            self._failure = None
        except ProviderError as error:
            self._failure = error
            raise
        finally:
            self._renewals += 1

    def _renew(self, request: httpx.Request) -> Flow:
        body = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id.get_secret_value(),
            "client_secret": self._credentials.client_secret.get_secret_value(),
        }
        url = request.url.join("/oauth2/token").copy_with(query=None)
        response = yield httpx.Request("POST", url, json=body, extensions=request.extensions)
        self._token, lifetime = _read_token(response)
        self._good_until = time.monotonic() + lifetime - min(TOKEN_MARGIN, lifetime / 2)


def _read_token(response: httpx.Response) -> tuple[str, float]:
    """The token and its lifetime in seconds: `expires_in`, else the JWT's own, else an assumption."""
    if response.status_code in {400, 401, 403}:
        raise CredentialsRejected(
            f"Sakari refused the client id or secret ({response.status_code}): check SAKARI_CLIENT_ID and "
            "SAKARI_CLIENT_SECRET against the hub's API settings."
        )
    if response.is_error:
        raise error_for_status(response.status_code)(f"Sakari's token address answered {response.status_code}.")
    try:
        answer = TOKEN.validate_json(response.content)
    except ValidationError:
        raise ContractBroken("Sakari's token address answered without an access_token.") from None
    token = answer["access_token"]
    return token, answer.get("expires_in") or _jwt_lifetime(token) or TOKEN_LIFETIME


def _jwt_lifetime(token: str) -> float | None:
    try:
        claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
        return max(float(claims["exp"]) - time.time(), 1)
    except (IndexError, KeyError, TypeError, ValueError):
        return None


class Mobile(TypedDict, total=False):
    number: Text
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


class CallDirection(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class CallStatus(StrEnum):
    INITIATED = "initiated"
    RINGING = "ringing"
    ACTIVE = "active"
    ENDED = "ended"
    REJECTED = "rejected"
    FORWARDED = "forwarded"
    MISSED = "missed"
    TRANSFERRING = "transferring"


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


PROVIDER = Provider(
    name="sakari",
    title="Sakari",
    base_url="https://api.sakari.io",
    credentials=Credentials,
    secret_words="client id or secret",
    account=lambda credentials: credentials.account_id,
    auth=TokenAuth,
    requests_per_second=4,
    lookback=timedelta(hours=48),
    filters=Filters,
    streams=(
        Stream(
            name=StreamName.CALLS,
            listings=lambda credentials: [Listing(path=path(credentials, "calls"))],
            lookups=lambda credentials, id_: [Lookup(path=path(credentials, f"calls/{segment(id_)}"), key="data")],
            address=lambda credentials, id_, _call: path(credentials, f"calls/{segment(id_)}"),
            items="data",
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
            items="data",
            paging=OffsetPaging(limit=100),
            payload=Contact,
            to_row=to_contact,
            filters=ContactFilters,
        ),
    ),
)
