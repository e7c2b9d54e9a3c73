"""Reads what touched numbers are linked to, round by round, and stops at numbers that link no contacts."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from models.identity.link_rules import Holder, Rule, is_crowd
from models.identity.persons import Phone, State, Surroundings, Unlinked, decide
from models.identity.phone import line_of, spellings

PHONE = "SELECT id, e164, linked_to, unlinked, linked_by, person_e164s FROM phone WHERE "
PHONES_BY_ID = PHONE + "id = ANY (%s)"
PHONES_BY_NUMBER = PHONE + "e164 = ANY (%s)"
MATES = "SELECT id FROM phone WHERE person_id = ANY (%s)"
HOLDERS = """
    SELECT c.id, c.provider, c.account, c.external_id, real_name(c.first_name, c.last_name), c.email,
           nullif(c.crm_ids, '{}'), extract(epoch FROM c.source_updated_at)::float8, its.phones, its.lead
    FROM (SELECT DISTINCT contact_id FROM contact_phone WHERE phone_id = ANY (%s) OFFSET 0) held
    JOIN contact c ON c.id = held.contact_id
    CROSS JOIN LATERAL (
        SELECT array_agg(phone_id ORDER BY position, phone_id) AS phones, min(phone_id) FILTER (WHERE leads) AS lead
        FROM contact_phone l WHERE l.contact_id = c.id) its
"""
SOME_NAMES = """
    SELECT few.phone_id, real_name(c.first_name, c.last_name)
    FROM unnest(%s::bigint[]) AS suspect (phone_id) CROSS JOIN LATERAL (
        SELECT l.phone_id, l.contact_id FROM contact_phone l WHERE l.phone_id = suspect.phone_id LIMIT 50) few
    JOIN contact c ON c.id = few.contact_id
"""
SIDES = "SELECT phone_id, merge_id, side FROM person_apart WHERE phone_id = ANY (%s)"

Cursor = psycopg.Connection[Any]


def explore(connection: Cursor, touched: Iterable[int], own: frozenset[str]) -> Surroundings:
    """The phones `touched` and all that they are linked to; `own` are the lines that are ours."""
    phones: dict[int, Phone] = {}
    holders: dict[int, Holder] = {}
    decided: dict[int, State] = {}
    ahead = set(touched)
    while ahead:
        found = _phones(connection, ahead)
        crowds = _crowds(connection, found)
        near = _holders(connection, [id_ for id_, phone in found.items() if line_of(phone.e164) not in crowds])
        verdicts = decide(found, near.values(), own, crowds)
        phones |= found
        holders |= near
        decided |= verdicts
        ahead = _further(connection, found, verdicts, near) - phones.keys()
    return Surroundings(phones, holders, decided, _sides(connection, list(phones)))


def _phones(connection: Cursor, ids: set[int]) -> dict[int, Phone]:
    """These phones, and the other ways to write their lines."""
    found = {phone.id: phone for phone in map(_phone, connection.execute(PHONES_BY_ID, [list(ids)]))}
    others = [form for phone in found.values() for form in spellings(phone.e164) if form != phone.e164]
    if others:
        found |= {phone.id: phone for phone in map(_phone, connection.execute(PHONES_BY_NUMBER, [others]))}
    return found


def _phone(row: tuple[Any, ...]) -> Phone:
    id_, e164, linked_to, unlinked, linked_by, e164s = row
    state = State(linked_to, unlinked and Unlinked(unlinked), linked_by and Rule(linked_by), e164s)
    return Phone(id_, e164, state)


def _holders(connection: Cursor, phone_ids: list[int]) -> dict[int, Holder]:
    rows = connection.execute(HOLDERS, [phone_ids])
    return {row[0]: Holder(row[0], row[1:4], row[4], row[5], row[6] or {}, *row[7:]) for row in rows}


def _crowds(connection: Cursor, phones: Mapping[int, Phone]) -> set[str]:
    """Lines that too many names shared and still share, by as few of their contacts as prove it."""
    suspects = [id_ for id_, phone in phones.items() if phone.state.unlinked is Unlinked.SHARED]
    names: dict[str, set[str | None]] = {}
    if suspects:
        for id_, name in connection.execute(SOME_NAMES, [suspects]):
            names.setdefault(line_of(phones[id_].e164), set()).add(name)
    return {line for line, some in names.items() if is_crowd(some)}


def _further(
    connection: Cursor, phones: Mapping[int, Phone], verdicts: Mapping[int, State], holders: Mapping[int, Holder]
) -> set[int]:
    """Numbers that a number now linking, or linking before, leads to: through contacts, and through its old person."""
    opened = {id_ for id_, phone in phones.items() if not verdicts[id_].unlinked or not phone.state.unlinked}
    through = {id_ for holder in holders.values() if not opened.isdisjoint(holder.phones) for id_ in holder.phones}
    joined = (phones[id_] for id_ in opened if phones[id_].state.linked_to or phones[id_].state.person_e164s)
    if persons := list({phone.person_id for phone in joined}):
        through.update(id_ for (id_,) in connection.execute(MATES, [persons]))
    return through


def _sides(connection: Cursor, phone_ids: list[int]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for phone_id, merge_id, side in connection.execute(SIDES, [phone_ids]):
        found.setdefault(phone_id, {})[merge_id] = side
    return found
