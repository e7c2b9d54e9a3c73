"""Skipcall: a sales dialer. https://docs.skipcall.app, API v1.

- Times documented as `object` are "time or null", and may read `{}`.
- Deleted calls are still returned, with `deletedAt`.
- No duration, no answer time, no vocabulary for `status` and `type`.
- A call in another workspace than the key's answers 404.

Assumed where the vendor is silent: the lists take `page` and `limit` and answer `data` beside `meta`; there is no time
filter; on inbound calls `phoneNumber` is still the other party; statuses are Twilio's. The vendor's own description
is at /docs-json.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Required

from pydantic import SecretStr
from typing_extensions import TypedDict

from models.errors import CredentialsRejected, FailureReported, error_for_status
from models.identity.phone import e164
from models.moments import moment
from models.pagination import PagePaging
from models.payload import (
    Flag,
    Identifier,
    Items,
    Label,
    Maybe,
    Phone,
    PhoneText,
    Reference,
    Text,
    Time,
    distinct,
    part,
    person_name,
    required_id,
    required_start,
    word,
)
from models.provider import (
    Envelope,
    Failure,
    ListFilters,
    Listing,
    Lookup,
    PageVariants,
    Provider,
    ProviderCredentials,
    Stream,
    segment,
    separated,
)
from models.rows import CallRow, ContactRow
from models.vocabulary import USUAL_OUTCOMES, Direction, Outcome, StreamName
from tasks.providers.auth import HeaderAuth


class Credentials(ProviderCredentials):
    """A key from Settings; it sees certain workspaces, which `workspace_ids` may narrow further."""

    api_key: SecretStr
    """A key from Settings."""
    workspace_ids: str | None = None
    """Only these workspaces, separated by commas; unset: all that the key sees."""
    account: str = "default"
    """What the account is called here."""


def authenticate(credentials: Credentials) -> HeaderAuth:
    return HeaderAuth("Bearer", credentials.api_key)


class NumberValue(TypedDict, total=False):
    value: Phone


class Caller(TypedDict, total=False):
    id: Label
    firstName: Text
    lastName: Text
    email: Text


class Call(TypedDict, total=False):
    """https://docs.skipcall.app/api-reference/calls/get-a-call"""

    id: Required[Identifier]
    status: Text
    type: Text
    startedAt: Time
    endedAt: Time
    createdAt: Time
    updatedAt: Time
    deletedAt: Time
    contact: Maybe[Reference]
    phoneNumber: Maybe[NumberValue]
    caller: Maybe[Caller]
    callerPhoneNumber: Maybe[NumberValue]
    organizationMembershipId: Label


class Contact(TypedDict, total=False):
    """https://docs.skipcall.app/api-reference/contacts/get-a-contact"""

    id: Required[Identifier]
    firstName: Text
    lastName: Text
    email: Text
    phoneNumbers: Items[PhoneText]
    allowPhoneCalls: Flag
    updatedAt: Time


DIRECTIONS = {"inbound": Direction.INBOUND, "outbound": Direction.OUTBOUND}
OUTCOMES = USUAL_OUTCOMES | {
    "queued": Outcome.IN_PROGRESS,
    "initiated": Outcome.IN_PROGRESS,
    "in-progress": Outcome.IN_PROGRESS,
    "answered": Outcome.ANSWERED,
    "missed": Outcome.MISSED,
    "unanswered": Outcome.MISSED,
    "rejected": Outcome.REJECTED,
    "declined": Outcome.REJECTED,
    "voicemail": Outcome.VOICEMAIL,
}


def agent_of(call: Call) -> str | None:
    caller = part(call.get("caller"))
    ids = (caller.get("email"), caller.get("id"), call.get("organizationMembershipId"))
    return person_name(caller.get("firstName"), caller.get("lastName"), *ids)


def to_call(call: Call, region: str | None, _details: list[Any]) -> CallRow:
    remote, own = part(call.get("phoneNumber")).get("value"), part(call.get("callerPhoneNumber")).get("value")
    outcome = OUTCOMES.get(word(call.get("status")), Outcome.UNKNOWN)
    deleted_at = moment(call.get("deletedAt"))
    return CallRow(
        external_id=required_id(call["id"]),
        started_at=required_start(call.get("startedAt"), call.get("createdAt")),
        direction=DIRECTIONS.get(word(call.get("type")), Direction.UNKNOWN),
        outcome=outcome,
        provider_status=call.get("status"),
        ended_at=moment(call.get("endedAt")),
        remote_e164=e164(remote, region),
        own_e164=e164(own, region),
        remote_raw=remote,
        own_raw=own,
        contact_external_id=part(call.get("contact")).get("id"),
        agent=agent_of(call),
        is_final=outcome.is_final or deleted_at is not None,
        deleted_at=deleted_at,
        source_updated_at=moment(call.get("updatedAt")),
    )


def to_contact(contact: Contact, region: str | None, _details: list[Any]) -> ContactRow:
    numbers = (e164(raw, region) for raw in part(contact.get("phoneNumbers")))
    allowed = contact.get("allowPhoneCalls")
    return ContactRow(
        external_id=required_id(contact["id"]),
        first_name=contact.get("firstName"),
        last_name=contact.get("lastName"),
        email=contact.get("email"),
        e164s=distinct(numbers),
        opted_out=None if allowed is None else not allowed,
        source_updated_at=moment(contact.get("updatedAt")),
    )


class Filters(ListFilters):
    """Skipcall documents none besides the workspaces, which SKIPCALL_WORKSPACE_IDS sets."""


def listing(credentials: Credentials, path: str) -> list[Listing]:
    workspaces = separated(credentials.workspace_ids)
    return [Listing(path=path, params={"workspaceIds": workspaces} if workspaces else {}, scope=",".join(workspaces))]


REFUSALS = {"API_KEY_INVALID": CredentialsRejected}


def failure(envelope: Mapping[str, Any]) -> Failure | None:
    """`{"statusCode": 500, "message": "…", "error": "…"}`, or `{"code": "API_KEY_INVALID", "details": null}`"""
    status, code = envelope.get("statusCode"), envelope.get("code") or envelope.get("error")
    if isinstance(status, int) and status >= 400:
        return Failure(str(status), str(envelope.get("message") or ""), error_for_status(status))
    if code:
        kind = REFUSALS.get(str(code), FailureReported)
        return Failure(str(code), str(envelope.get("message") or envelope.get("details") or ""), kind)
    return None


ENVELOPES = (
    Envelope(items=("data",), total_at=("meta", "total"), limit_at=("meta", "limit"), number_at=("meta", "page")),
    Envelope(
        items=("data", "results"),
        total_at=("data", "metadata", "pagination", "total"),
        number_at=("data", "metadata", "pagination", "current_page"),
        last_at=("data", "metadata", "pagination", "total_pages"),
    ),
)
"""The documented list of a sister product is the second."""
VARIANTS = PageVariants(starts=("1", "0"), size_params=("limit", "size"), envelopes=ENVELOPES)


PROVIDER = Provider(
    name="skipcall",
    title="Skipcall",
    base_url="https://api-public.skipcall.app",
    credentials=Credentials,
    secret_words="API key",
    description="/docs-json",
    account=lambda credentials: credentials.account,
    auth=authenticate,
    failure=failure,
    requests_per_second=100 / 60,
    lookback=timedelta(hours=48),
    filters=Filters,
    streams=(
        Stream(
            name=StreamName.CALLS,
            listings=lambda credentials: listing(credentials, "/v1/calls"),
            lookups=lambda _credentials, id_: [Lookup(path=f"/v1/calls/{segment(id_)}")],
            address=lambda _credentials, id_, _call: f"/v1/calls/{segment(id_)}",
            items=("data",),
            paging=PagePaging(limit=100),
            variants=VARIANTS,
            payload=Call,
            sorted_by=lambda call: moment(call.get("createdAt")),
            to_row=to_call,
            filters=Filters,
        ),
        Stream(
            name=StreamName.CONTACTS,
            listings=lambda credentials: listing(credentials, "/v1/contacts"),
            lookups=lambda _credentials, id_: [Lookup(path=f"/v1/contacts/{segment(id_)}")],
            address=lambda _credentials, id_, _contact: f"/v1/contacts/{segment(id_)}",
            items=("data",),
            paging=PagePaging(limit=100),
            variants=VARIANTS,
            payload=Contact,
            to_row=to_contact,
            filters=Filters,
        ),
    ),
)
