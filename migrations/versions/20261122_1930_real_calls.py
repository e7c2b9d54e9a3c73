"""Real calls: members, pairs, rivals, a log, calibrations, verdicts; the views that show them; v1.judge.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBERS = """
CREATE FUNCTION number_variants(e164 text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN e164 NOT LIKE '+5%' THEN ARRAY[e164]
        WHEN e164 ~ '^\\+521\\d{10}$' THEN ARRAY['+52' || substr(e164, 5), e164]
        WHEN e164 ~ '^\\+52\\d{10}$' THEN ARRAY[e164, '+521' || substr(e164, 4)]
        WHEN e164 ~ '^\\+549\\d{10}$' THEN ARRAY['+54' || substr(e164, 5), e164]
        WHEN e164 ~ '^\\+54\\d{10}$' THEN ARRAY[e164, '+549' || substr(e164, 4)]
        WHEN e164 ~ '^\\+55\\d\\d9\\d{8}$' THEN ARRAY[left(e164, 5) || substr(e164, 7), e164]
        WHEN e164 ~ '^\\+55\\d{10}$' THEN ARRAY[e164, left(e164, 5) || '9' || substr(e164, 6)]
        ELSE ARRAY[e164] END
$$;
COMMENT ON FUNCTION number_variants IS 'Spellings of one line (Mexico, Argentina, Brazil), the shortest first';
CREATE FUNCTION number_key(e164 text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(CASE WHEN e164 LIKE '+5%' THEN (number_variants(e164))[1] ELSE e164 END, 0)
$$;
COMMENT ON FUNCTION number_key IS 'The same for every spelling of one line'
"""

CALL = """
SELECT c.provider, c.account, c.external_id, c.direction, c.outcome, c.provider_status, c.started_at, c.answered_at,
       c.ended_at, c.duration_seconds, c.remote_e164, c.own_e164, c.remote_raw, c.own_raw,
       p.person_id AS remote_person_id, c.contact_external_id, c.parent_external_id, c.agent,
       c.is_final OR c.deleted_at IS NOT NULL OR c.vanished_at IS NOT NULL AS is_final,
       coalesce(c.deleted_at, c.vanished_at) AS deleted_at,
       CASE WHEN c.deleted_at IS NULL AND c.vanished_at IS NULL THEN m.unified_call_id END AS unified_call_id,
       c.first_seen_at, c.changed_at, c.payload
FROM call c LEFT JOIN phone p ON p.e164 = c.remote_e164 LEFT JOIN call_member m ON m.call_id = c.id
"""

BEST_FIRST = (
    "ARRAY['answered', 'voicemail', 'forwarded', 'rejected', 'busy', 'missed', 'cancelled', 'failed', 'in_progress', "
    "'scheduled', 'unknown']"
)

UNIFIED_CALL = f"""
SELECT g.unified_call_id, f.direction, ({BEST_FIRST})[g.best] AS outcome, f.started_at, f.answered_at, f.ended_at,
       f.remote_e164, f.own_e164, p.person_id, g.providers, g.record_count, g.confidence, g.provisional,
       g.decided_at
FROM (
    SELECT m.unified_call_id,
           (array_agg(c.id ORDER BY num_nonnulls(c.answered_at, c.ended_at, c.duration_seconds) DESC,
               c.provider, c.account, c.external_id) FILTER (WHERE m.leg_of IS NULL))[1] AS fullest,
           min(array_position({BEST_FIRST}, c.outcome)) FILTER (WHERE m.speaks) AS best,
           array_agg(DISTINCT c.provider ORDER BY c.provider) AS providers,
           count(*) AS record_count, min(m.confidence)::double precision AS confidence,
           bool_or(NOT c.is_final OR m.by_prior) AS provisional, max(m.decided_at) AS decided_at
    FROM call_member m JOIN call c ON c.id = m.call_id
    WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL
    GROUP BY m.unified_call_id) g
JOIN call f ON f.id = g.fullest
LEFT JOIN phone p ON p.e164 = f.remote_e164
"""  # noqa: S608 - our own words

CALL_MATCH = """
SELECT l.provider AS left_provider, l.account AS left_account, l.external_id AS left_external_id,
       r.provider AS right_provider, r.account AS right_account, r.external_id AS right_external_id,
       x.unified_call_id, x.rule, x.score::double precision AS score,
       jsonb_build_object('prior', x.prior, 'start', x.start, 'length', x.length, 'outcome', x.outcome,
           'direction', x.direction, 'margin', x.margin, 'calibration', x.calibration_id) AS evidence,
       x.decided_at
FROM call_match x JOIN call l ON l.id = x.left_call_id JOIN call r ON r.id = x.right_call_id
"""

UNMATCHED_CALL = """
WITH sides AS MATERIALIZED (
    SELECT provider, account, complete_up_to, covered FROM v1.sync_status WHERE stream = 'calls')
SELECT c.provider, c.account, c.external_id, reason.reason,
       CASE reason.reason
           WHEN 'other_side_not_synced_yet' THEN jsonb_build_object('waiting_for', other.waiting_for)
           WHEN 'ambiguous' THEN jsonb_build_object('rivals', (
               SELECT jsonb_agg(jsonb_build_object('provider', o.provider, 'account', o.account,
                   'external_id', o.external_id) ORDER BY o.provider, o.account, o.external_id)
               FROM call_rival x JOIN call o ON o.id = x.rival_call_id WHERE x.call_id = c.id))
           ELSE '{}'::jsonb END AS detail
FROM call_member m
JOIN call c ON c.id = m.call_id
CROSS JOIN LATERAL (
    SELECT coalesce(bool_and(NOT s.covered @> c.started_at AND c.started_at < s.complete_up_to), true) AS outside,
           jsonb_agg(jsonb_build_object('provider', s.provider, 'account', s.account,
               'complete_up_to', s.complete_up_to) ORDER BY s.provider, s.account)
               FILTER (WHERE s.complete_up_to IS NULL OR c.started_at >= s.complete_up_to) AS waiting_for
    FROM sides s WHERE (s.provider, s.account) <> (c.provider, c.account)) other
CROSS JOIN LATERAL (
    SELECT CASE WHEN NOT c.is_final THEN 'not_final'
                WHEN other.outside THEN 'outside_coverage'
                WHEN c.remote_e164 IS NULL THEN 'hidden_number'
                WHEN other.waiting_for IS NOT NULL THEN 'other_side_not_synced_yet'
                WHEN EXISTS (SELECT FROM call_rival x WHERE x.call_id = c.id) THEN 'ambiguous'
                ELSE 'only_here' END AS reason) reason
WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL AND NOT EXISTS (
    SELECT FROM call_member o JOIN call k ON k.id = o.call_id
    WHERE o.unified_call_id = m.unified_call_id AND (o.provider, o.account) <> (m.provider, m.account)
      AND k.deleted_at IS NULL AND k.vanished_at IS NULL)
"""

JUDGE = """
CREATE FUNCTION v1.judge(left_provider text, left_account text, left_external_id text,
                         right_provider text, right_account text, right_external_id text,
                         same boolean, judged_by text DEFAULT session_user) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ids bigint[];
    made bigint;
BEGIN
    ids := ARRAY[
        (SELECT id FROM call c WHERE (c.provider, c.account, c.external_id)
            = (left_provider, left_account, left_external_id)),
        (SELECT id FROM call c WHERE (c.provider, c.account, c.external_id)
            = (right_provider, right_account, right_external_id))];
    IF array_position(ids, NULL) IS NOT NULL THEN
        RAISE no_data_found USING MESSAGE = 'there is no such call';
    END IF;
    INSERT INTO verdict (left_provider, left_account, left_external_id, right_provider, right_account,
                         right_external_id, same, held, judged_by)
    VALUES (left_provider, left_account, left_external_id, right_provider, right_account, right_external_id, same,
            (SELECT count(*) = 2 AND count(DISTINCT unified_call_id) = 1 FROM call_member WHERE call_id = ANY (ids)),
            judged_by)
    RETURNING id INTO made;
    RETURN made;
END $$;
COMMENT ON FUNCTION v1.judge IS 'A human verdict: whether two records are the same call. Wins over the rules for ever';
REVOKE ALL ON FUNCTION v1.judge FROM PUBLIC;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'callweave_judge') THEN
        CREATE ROLE callweave_judge NOLOGIN;
    END IF;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
    NULL;
END $$;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'callweave_judge') THEN
        GRANT USAGE ON SCHEMA v1 TO callweave_judge;
        GRANT EXECUTE ON FUNCTION v1.judge TO callweave_judge;
    END IF;
END $$
"""


def execute(statement: str) -> None:
    op.execute(statement.replace(":", r"\:"))


# Forward only. The code before this migration must still run after it: add nullable, fill by a script, enforce later.
def upgrade() -> None:
    execute(NUMBERS)
    tables()
    for name, query in (
        ("call", CALL),
        ("unified_call", UNIFIED_CALL),
        ("call_match", CALL_MATCH),
        ("unmatched_call", UNMATCHED_CALL),
    ):
        execute(f"CREATE OR REPLACE VIEW v1.{name} AS {query}")
    execute(JUDGE)


def tables() -> None:
    op.create_table(
        "calibration",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("left_provider", sa.Text(), nullable=False),
        sa.Column("left_account", sa.Text(), nullable=False),
        sa.Column("right_provider", sa.Text(), nullable=False),
        sa.Column("right_account", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("adopted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("is_prior", sa.Boolean(), nullable=False),
        sa.Column("support", sa.BigInteger(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calibration"),
        sa.UniqueConstraint(
            "left_provider",
            "left_account",
            "right_provider",
            "right_account",
            "version",
            name="uq_calibration_pair_version",
        ),
    )
    op.create_table(
        "call_match",
        sa.Column("left_call_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("right_call_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unified_call_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("margin", sa.REAL(), nullable=False),
        sa.Column("prior", sa.REAL(), nullable=False),
        sa.Column("start", sa.REAL(), nullable=False),
        sa.Column("length", sa.REAL(), nullable=False),
        sa.Column("outcome", sa.REAL(), nullable=False),
        sa.Column("direction", sa.REAL(), nullable=False),
        sa.Column("calibration_id", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("left_call_id", "right_call_id", name="pk_call_match"),
    )
    op.create_index("ix_call_match_right_call_id", "call_match", ["right_call_id"], unique=False)
    op.create_table(
        "call_member",
        sa.Column("call_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unified_call_id", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("leg_of", sa.BigInteger(), nullable=True),
        sa.Column("speaks", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.REAL(), nullable=False),
        sa.Column("by_prior", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("unified_call_id <= call_id", name="ck_call_member_smallest_id"),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_member"),
    )
    op.create_index(
        "ix_call_member_left_behind", "call_member", ["call_id"], postgresql_where=sa.text("changed_at = '-infinity'")
    )
    op.create_index("ix_call_member_unified_call_id", "call_member", ["unified_call_id"], unique=False)
    op.create_index(
        "uq_call_member_unified_call_id_provider_account",
        "call_member",
        ["unified_call_id", "provider", "account"],
        unique=True,
        postgresql_where=sa.text("leg_of IS NULL"),
    )
    op.create_table(
        "call_rival",
        sa.Column("call_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rival_call_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("call_id", "rival_call_id", name="pk_call_rival"),
    )
    op.create_table(
        "match_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("left_call_id", sa.BigInteger(), nullable=False),
        sa.Column("right_call_id", sa.BigInteger(), nullable=False),
        sa.Column("unified_call_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('formed', 'dissolved')", name="ck_match_log_kind"),
        sa.PrimaryKeyConstraint("id", name="pk_match_log"),
    )
    op.create_table(
        "reconcile_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("flow_run_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("horizon", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("records", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("formed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("dissolved", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reconcile_run"),
    )
    op.create_index("ix_reconcile_run_finished_at", "reconcile_run", ["finished_at"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("left_provider", sa.Text(), nullable=False),
        sa.Column("left_account", sa.Text(), nullable=False),
        sa.Column("left_external_id", sa.Text(), nullable=False),
        sa.Column("right_provider", sa.Text(), nullable=False),
        sa.Column("right_account", sa.Text(), nullable=False),
        sa.Column("right_external_id", sa.Text(), nullable=False),
        sa.Column("same", sa.Boolean(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("judged_by", sa.Text(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(left_provider, left_account, left_external_id) <> (right_provider, right_account, right_external_id)",
            name="ck_verdict_two_records",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_verdict"),
    )
    op.create_index(
        "ix_call_hidden", "call", ["own_e164", "started_at"], postgresql_where=sa.text("remote_e164 IS NULL")
    )
    op.create_index("ix_call_own_e164_started_at", "call", ["own_e164", "started_at"], unique=False)
    op.create_index(
        "ix_call_parent_external_id",
        "call",
        ["provider", "account", "parent_external_id"],
        unique=False,
        postgresql_where=sa.text("parent_external_id IS NOT NULL"),
    )
