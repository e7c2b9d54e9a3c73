"""People: whose each number is, which contact holds it, the log of merges and splits; the views that show persons.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PERSON_ID = "CASE WHEN unlinked IS NULL THEN COALESCE(linked_to, id) ELSE NULL::bigint END"

REAL_NAME = r"""
CREATE FUNCTION real_name(first_name text, last_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) ~ '[^-+()./#*,;:?!_[:space:]0-9]'
     AND btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) !~* '^(an? |new )?(unknown|unnamed|no ?name|no caller id|anonymous|private|withheld|restricted|blocked|unavailable|hidden|inconnu|inconnue|anonyme|masqué|sans nom|unbekannt|anonym|ohne namen|desconocido|anónimo|sin nombre|desconhecido|anônimo|sem nome|sconosciuto|anonimo|onbekend|anoniem|contact|caller|lead|n/?a|none|null|undefined)( (caller|contact|name|number|user|lead|person|customer))*[-+()./#*,;:?!_[:space:]0-9]*$'
    THEN btrim(regexp_replace(coalesce(first_name, '') || ' ' || coalesce(last_name, ''), '[[:space:]]+', ' ', 'g'))
END
"""  # noqa: E501 - one pattern
REAL_NAME_COMMENT = "First and last name; null for what stands in a name's place: a number, Unknown, Anonymous"

CONTACT_OF_PHONE = """
SELECT l.phone_id, l.leads, c.provider, real_name(c.first_name, c.last_name) AS name,
       nullif(btrim(c.email), '') AS email, c.opted_out,
       jsonb_build_object('provider', c.provider, 'account', c.account, 'external_id', c.external_id) AS source,
       c.crm_ids = '{}' AS unknown_to_crm, c.source_updated_at,
       ARRAY[c.provider, c.account, c.external_id] AS key
FROM contact_phone l JOIN contact c ON c.id = l.contact_id
WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL
"""
CONTACT_OF_PHONE_COMMENT = "Live contacts by number"
MOST_TRUSTED_FIRST = "unknown_to_crm, source_updated_at DESC, key"
LEAST_TRUSTED_FIRST = "unknown_to_crm DESC, source_updated_at, key DESC"

CALL = """
SELECT c.provider, c.account, c.external_id, c.direction, c.outcome, c.provider_status, c.started_at, c.answered_at,
       c.ended_at, c.duration_seconds, c.remote_e164, c.own_e164, c.remote_raw, c.own_raw,
       p.person_id AS remote_person_id, c.contact_external_id, c.parent_external_id, c.agent,
       c.is_final OR c.deleted_at IS NOT NULL OR c.vanished_at IS NOT NULL AS is_final,
       coalesce(c.deleted_at, c.vanished_at) AS deleted_at, NULL::bigint AS unified_call_id, c.first_seen_at,
       c.changed_at, c.payload
FROM call c LEFT JOIN phone p ON p.e164 = c.remote_e164
"""

CONTACT = """
SELECT c.provider, c.account, c.external_id, c.first_name, c.last_name, c.email, c.e164s, p.person_id, c.opted_out,
       c.crm_ids, coalesce(c.deleted_at, c.vanished_at) AS deleted_at, c.first_seen_at, c.changed_at, c.payload
FROM contact c LEFT JOIN contact_phone l ON l.contact_id = c.id AND l.leads LEFT JOIN phone p ON p.id = l.phone_id
"""

PERSON = f"""
SELECT p.id AS person_id, held.display_name, coalesce(p.person_e164s, ARRAY[p.e164]) AS e164s,
       ARRAY(SELECT email FROM (SELECT DISTINCT ON (lower(email)) email, place
                                FROM unnest(held.emails) WITH ORDINALITY AS told (email, place)
                                ORDER BY lower(email), place) best ORDER BY place) AS emails,
       ARRAY(SELECT unnest(held.providers) UNION SELECT unnest(calls.providers) ORDER BY 1) AS providers,
       held.contact_count, calls.call_count, held.opted_out,
       jsonb_strip_nulls(jsonb_build_object('display_name', held.named_by, 'emails', held.emails_by,
                                            'e164s', numbers.numbers_by, 'merges', log.merges)) AS provenance,
       calls.first_call_at, calls.last_call_at
FROM phone p
LEFT JOIN LATERAL (
    SELECT count(*) AS contact_count, bool_or(opted_out) AS opted_out, array_agg(DISTINCT c.provider) AS providers,
           (array_agg(name ORDER BY {MOST_TRUSTED_FIRST}) FILTER (WHERE name IS NOT NULL))[1] AS display_name,
           (array_agg(source ORDER BY {MOST_TRUSTED_FIRST}) FILTER (WHERE name IS NOT NULL))[1] AS named_by,
           array_agg(email ORDER BY {MOST_TRUSTED_FIRST}) FILTER (WHERE email IS NOT NULL) AS emails,
           jsonb_object_agg(email, source ORDER BY {LEAST_TRUSTED_FIRST}) FILTER (WHERE email IS NOT NULL) AS emails_by
    FROM phone m JOIN contact_of_phone c ON c.phone_id = m.id AND c.leads WHERE m.person_id = p.id) held ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS call_count, min(c.started_at) AS first_call_at, max(c.started_at) AS last_call_at,
           array_agg(DISTINCT c.provider) AS providers
    FROM phone m JOIN call c ON c.remote_e164 = m.e164
    WHERE m.person_id = p.id AND c.deleted_at IS NULL AND c.vanished_at IS NULL) calls ON true
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(m.e164, coalesce(best.source, jsonb_build_object('calls', true)) || jsonb_build_object(
               'linked_by', CASE WHEN best.others THEN coalesce(m.linked_by, 'name') END)) AS numbers_by
    FROM phone m LEFT JOIN LATERAL (
        SELECT source, count(*) OVER () > 1 AS others FROM contact_of_phone WHERE phone_id = m.id
        ORDER BY {MOST_TRUSTED_FIRST} LIMIT 1) best ON true
    WHERE m.person_id = p.id) numbers ON true
LEFT JOIN LATERAL (
    SELECT jsonb_agg(g.id ORDER BY g.id) AS merges
    FROM phone m JOIN person_change g ON g.person_id = m.id AND g.kind = 'merge' AND g.undone_at IS NULL
    WHERE m.person_id = p.id) log ON true
WHERE p.person_id = p.id
"""  # noqa: S608 - our own words

PERSON_COMMENTS = {
    "display_name": "Best name: of the most trusted contact that has one (known to a CRM, then the freshest); no "
    "placeholders",
    "e164s": "Every telephone number of the person, those of the most trusted contact first",
    "emails": "Every e-mail address of the person's contacts, that of the most trusted contact first",
    "provenance": "Which contact each shown value comes from, what linked each number, and the merges not undone",
}

UNLINKED_PHONE = """
SELECT p.e164, p.unlinked AS reason,
       ARRAY(SELECT DISTINCT name FROM contact_of_phone WHERE phone_id = p.id AND name IS NOT NULL ORDER BY 1) AS names,
       p.unlinked_since AS since
FROM phone p WHERE p.unlinked IS NOT NULL
"""

VIEWS = {"call": CALL, "contact": CONTACT, "person": PERSON, "unlinked_phone": UNLINKED_PHONE}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def escaped(query: str) -> str:
    return query.replace(":", r"\:")


# Forward only. The code before this migration must still run after it: add nullable, fill by a script, enforce later.
def upgrade() -> None:
    phones()
    tables()
    op.execute(escaped(REAL_NAME))
    op.execute(f"COMMENT ON FUNCTION real_name IS {quoted(REAL_NAME_COMMENT)}")
    op.execute(f"CREATE VIEW contact_of_phone AS {CONTACT_OF_PHONE}")
    op.execute(f"COMMENT ON VIEW contact_of_phone IS {quoted(CONTACT_OF_PHONE_COMMENT)}")
    for name, query in VIEWS.items():
        op.execute(escaped(f"CREATE OR REPLACE VIEW v1.{name} AS {query}"))
    for column, meaning in PERSON_COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN v1.person.{column} IS {quoted(meaning)}")


def phones() -> None:
    op.add_column("phone", sa.Column("linked_to", sa.BigInteger(), nullable=True))
    op.add_column("phone", sa.Column("unlinked", sa.Text(), nullable=True))
    op.add_column("phone", sa.Column("unlinked_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("phone", sa.Column("linked_by", sa.Text(), nullable=True))
    op.add_column("phone", sa.Column("person_e164s", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("phone", sa.Column("person_id", sa.BigInteger(), sa.Computed(PERSON_ID, persisted=True)))
    op.create_index("ix_phone_person_id", "phone", ["person_id"])
    op.create_index(
        "ix_phone_person_e164s",
        "phone",
        [sa.text("coalesce(person_e164s, ARRAY[e164])")],
        postgresql_using="gin",
        postgresql_where=sa.text("person_id = id"),
    )
    op.create_index("ix_phone_unlinked", "phone", ["unlinked"], postgresql_where=sa.text("unlinked IS NOT NULL"))
    op.create_index(
        "ix_phone_two_ways", "phone", ["first_seen_at", "id"], postgresql_where=sa.text(r"e164 ~ '^\+5[245]'")
    )
    op.drop_index("ix_contact_changed_at", "contact")
    op.create_index("ix_contact_changed_at", "contact", ["changed_at", "id"])


def tables() -> None:
    op.create_table(
        "contact_phone",
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("phone_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("leads", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "phone_id", name="pk_contact_phone"),
    )
    op.create_index("ix_contact_phone_phone_id", "contact_phone", ["phone_id"])
    op.create_table(
        "person_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("sides", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cause", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('merge', 'split')", name="ck_person_change_kind"),
        sa.PrimaryKeyConstraint("id", name="pk_person_change"),
    )
    op.create_index("ix_person_change_person_id", "person_change", ["person_id"])
    op.create_table(
        "person_apart",
        sa.Column("merge_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("phone_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("merge_id", "phone_id", name="pk_person_apart"),
    )
    op.create_index("ix_person_apart_phone_id", "person_apart", ["phone_id"])
    op.create_table(
        "person_progress",
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", name="pk_person_progress"),
    )
