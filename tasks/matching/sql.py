"""The named statements of the reconciliation. SQL finds candidates and writes differences; Python decides.

Records travel as binary COPY of fixed width, which numpy reads without a loop. Every column therefore always holds
something: 0 for no number and no parent, -infinity for no time, -1 for no duration.
"""

from models.vocabulary import Direction, Outcome

LOCK = 5_050_505
"""The advisory lock of a reconciliation at work: pieces of two runs would work against each other."""


def _place(column: str, words: type[Outcome] | type[Direction]) -> str:
    """The place of a word in its vocabulary, the unknown one's where it is not in it."""
    array = ", ".join(f"'{word}'" for word in words)
    unknown = list(words).index(words.UNKNOWN)
    return f"coalesce(array_position(ARRAY[{array}], {column}) - 1, {unknown})::int4"


COLUMNS = f"""
    c.id, a.no::int4, hashtextextended(c.external_id, 0), coalesce(hashtextextended(c.parent_external_id, 0), 0),
    coalesce(number_key(c.remote_e164), 0), coalesce(number_key(c.own_e164), 0), c.started_at,
    coalesce(c.answered_at, '-infinity'), coalesce(c.ended_at, '-infinity'), coalesce(c.duration_seconds, -1)::int4,
    {_place("c.direction", Direction)}, {_place("c.outcome", Outcome)},
    coalesce(lower(left(ltrim(c.own_raw), 7)) IN ('client:', 'webrtc:'), false)::int4,
    coalesce(m.unified_call_id, 0), c.changed_at
"""
"""In the order of `models.calibration.columns.COLUMNS`, then the real call it is in so far, and its time of change."""

FROM = """
    FROM call c JOIN unnest(%(providers)s::text[], %(accounts)s::text[]) WITH ORDINALITY AS a (provider, account, no)
        USING (provider, account)
    LEFT JOIN call_member m ON m.call_id = c.id
    WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL
"""

IN_RANGE = (
    f"COPY (SELECT {COLUMNS} {FROM} AND c.started_at >= %(since)s AND c.started_at < %(until)s) "
    "TO STDOUT (FORMAT binary)"
)
BY_ID = f"COPY (SELECT {COLUMNS} {FROM} AND c.id IN (SELECT id FROM wanted)) TO STDOUT (FORMAT binary)"  # noqa: S608
SAMPLE = (
    f"COPY (SELECT {COLUMNS} {FROM} AND c.started_at >= %(since)s AND "
    "abs(coalesce(number_key(c.remote_e164), hashint8(c.id)) %% %(every)s) = 0) TO STDOUT (FORMAT binary)"
)

ACCOUNTS = """
WITH RECURSIVE found AS (
    (SELECT provider, account FROM call ORDER BY provider, account LIMIT 1)
    UNION ALL
    SELECT next.provider, next.account FROM found, LATERAL (
        SELECT provider, account FROM call WHERE (provider, account) > (found.provider, found.account)
        ORDER BY provider, account LIMIT 1) next)
SELECT provider, account FROM found ORDER BY provider, account
"""

LINES = """
WITH RECURSIVE line AS (
    (SELECT own_e164 FROM call WHERE own_e164 IS NOT NULL ORDER BY own_e164 LIMIT 1)
    UNION ALL
    SELECT next.own_e164 FROM line, LATERAL (
        SELECT own_e164 FROM call WHERE own_e164 > line.own_e164 ORDER BY own_e164 LIMIT 1) next)
SELECT DISTINCT number_key(own_e164) FROM line
"""
"""The keys of our own numbers, one look into the index each."""

NEWEST_SINCE = """
SELECT CASE WHEN count(*) = %(most)s THEN min(started_at) END
FROM (SELECT started_at FROM call ORDER BY started_at DESC LIMIT %(most)s) newest
"""
"""Since when the newest records began; null where there are no more than these."""

WANTED = "CREATE TEMPORARY TABLE IF NOT EXISTS wanted (id bigint) ON COMMIT DELETE ROWS"

_CLOSE = """started_at BETWEEN a.started_at - %(reach)s AND a.ends + %(reach)s OR
    started_at BETWEEN a.started_at - %(longest)s AND a.started_at AND
    coalesce(ended_at, started_at + coalesce(duration_seconds, 0) * interval '1 second') >= a.started_at - %(reach)s"""
"""Begins near a call, or is one that lasts until near it."""
NEIGHBOURS = f"""
WITH a AS MATERIALIZED (
    SELECT c.*, m.unified_call_id, least(c.started_at + %(longest)s, greatest(c.started_at,
        coalesce(c.ended_at, c.started_at + coalesce(c.duration_seconds, 0) * interval '1 second'))) AS ends
    FROM wanted w JOIN call c ON c.id = w.id LEFT JOIN call_member m ON m.call_id = c.id)
SELECT b.id FROM a, unnest(number_variants(a.remote_e164) || number_variants(a.own_e164)) AS n (e164), LATERAL (
    SELECT id FROM call WHERE remote_e164 = n.e164 AND started_at >= a.started_at - %(longest)s
      AND started_at <= a.ends + %(reach)s AND ({_CLOSE}) OFFSET 0) b
UNION ALL SELECT b.id FROM a, unnest(number_variants(a.own_e164)) AS n (e164), LATERAL (
    SELECT id FROM call WHERE own_e164 = n.e164 AND remote_e164 IS NULL
      AND started_at >= a.started_at - %(longest)s AND started_at <= a.ends + %(reach)s AND ({_CLOSE}) OFFSET 0) b
UNION ALL SELECT b.id FROM a, unnest(number_variants(a.remote_e164) || CASE WHEN a.remote_e164 IS NULL THEN
        number_variants(a.own_e164) END) AS n (e164), LATERAL (
    SELECT id FROM call WHERE own_e164 = n.e164
      AND started_at BETWEEN a.started_at - %(near)s AND a.started_at + %(near)s OFFSET 0) b
UNION ALL SELECT b.id FROM a, LATERAL (
    SELECT id FROM call WHERE remote_e164 IS NULL
      AND started_at BETWEEN a.started_at - %(near)s AND a.started_at + %(near)s OFFSET 0) b
UNION ALL SELECT b.id FROM a, LATERAL (
    SELECT id FROM call WHERE started_at BETWEEN a.started_at - %(near)s AND a.started_at + %(near)s OFFSET 0) b
WHERE a.remote_e164 IS NULL
UNION ALL SELECT b.id FROM a JOIN call b ON (b.provider, b.account, b.external_id)
    = (a.provider, a.account, a.parent_external_id)
UNION ALL SELECT b.id FROM a JOIN call b ON (b.provider, b.account, b.parent_external_id)
    = (a.provider, a.account, a.external_id)
UNION ALL SELECT b.id FROM a JOIN call b ON (b.provider, b.account, b.parent_external_id)
    = (a.provider, a.account, a.parent_external_id)
UNION ALL SELECT m.call_id FROM a JOIN call_member m ON m.unified_call_id = a.unified_call_id
"""  # noqa: S608 - our own words
"""Every record that may have a say about one of the wanted, or was one call with it. `longest`: of a call, and how far
it may reach; `reach`: the longest pause within a call, by two clocks; `near`: how far two starts of one call may lie
apart. OFFSET 0 keeps the planner from reading all calls of a number, or of a time, where one look into the index per
record is meant."""

SPANNING = """
SELECT id FROM call WHERE deleted_at IS NULL AND vanished_at IS NULL
  AND started_at >= %(since)s - %(longest)s AND started_at < %(since)s
  AND coalesce(ended_at, started_at + coalesce(duration_seconds, 0) * interval '1 second') >= %(since)s - %(reach)s
"""
"""Calls before a range that last into it, or until near it."""

CHANGED = """
SELECT c.id FROM call c LEFT JOIN call_member m ON m.call_id = c.id
WHERE c.changed_at >= %(since)s AND m.changed_at IS DISTINCT FROM c.changed_at
  AND c.deleted_at IS NULL AND c.vanished_at IS NULL
UNION SELECT call_id FROM call_member WHERE changed_at = '-infinity'
UNION SELECT c.id FROM verdict v JOIN call c ON (c.provider, c.account, c.external_id) IN (
    (v.left_provider, v.left_account, v.left_external_id), (v.right_provider, v.right_account, v.right_external_id))
WHERE v.judged_at >= %(since)s AND c.deleted_at IS NULL AND c.vanished_at IS NULL
"""
"""Records to decide again: new or changed ones, what a deleted one left behind, and those judged upon."""

VERDICTS = """
SELECT l.id, r.id, v.same FROM verdict v
JOIN call l ON (l.provider, l.account, l.external_id) = (v.left_provider, v.left_account, v.left_external_id)
JOIN call r ON (r.provider, r.account, r.external_id) = (v.right_provider, v.right_account, v.right_external_id)
ORDER BY v.id DESC
"""

STAGES = (
    """CREATE TEMPORARY TABLE IF NOT EXISTS stage_member (call_id bigint, unified_call_id bigint, no int, leg_of bigint,
    speaks bool, confidence real, by_prior bool, changed_at timestamptz) ON COMMIT DELETE ROWS""",
    """CREATE TEMPORARY TABLE IF NOT EXISTS stage_match (left_call_id bigint, right_call_id bigint,
    unified_call_id bigint, rule int, score real, margin real, prior real, start real, length real, outcome real,
    direction real, run real, calibration_id bigint) ON COMMIT DELETE ROWS""",
    "CREATE TEMPORARY TABLE IF NOT EXISTS stage_rival (call_id bigint, rival_call_id bigint) ON COMMIT DELETE ROWS",
)

DISSOLVE = """
WITH gone AS (
    DELETE FROM call_match x USING stage_member scope
    WHERE scope.call_id IN (x.left_call_id, x.right_call_id) AND NOT EXISTS (
        SELECT FROM stage_match s WHERE (s.left_call_id, s.right_call_id) = (x.left_call_id, x.right_call_id))
    RETURNING x.*)
INSERT INTO match_log (run_id, kind, left_call_id, right_call_id, unified_call_id, score, cause)
SELECT %(run)s, 'dissolved', g.left_call_id, g.right_call_id, g.unified_call_id, g.score, coalesce((
    SELECT 'record changed' FROM stage_member s JOIN call_member m USING (call_id)
    WHERE s.call_id IN (g.left_call_id, g.right_call_id) AND s.changed_at <> m.changed_at LIMIT 1), %(cause)s)
FROM (SELECT DISTINCT * FROM gone) g
"""

CHILDREN = """
SELECT id FROM call WHERE parent_external_id IS NOT NULL AND deleted_at IS NULL AND vanished_at IS NULL
  AND (started_at >= %(since)s - %(reach)s AND started_at < %(since)s
    OR started_at >= %(until)s AND started_at < %(until)s + %(reach)s)
"""

GONE = """
SELECT DISTINCT m.unified_call_id FROM call_member m JOIN call c ON c.id = m.call_id
WHERE (c.deleted_at IS NOT NULL OR c.vanished_at IS NOT NULL) AND c.changed_at >= %(since)s
"""
"""The real calls of records that `CLEAR` takes out."""

CLEAR = """
WITH gone AS (
    DELETE FROM call_member m USING call c
    WHERE c.id = m.call_id AND (c.deleted_at IS NOT NULL OR c.vanished_at IS NOT NULL) AND c.changed_at >= %(since)s
    RETURNING m.call_id, m.unified_call_id),
pairs AS (
    DELETE FROM call_match x USING gone WHERE gone.call_id IN (x.left_call_id, x.right_call_id) RETURNING x.*),
rivals AS (
    DELETE FROM call_rival x USING gone WHERE gone.call_id IN (x.call_id, x.rival_call_id)),
left_behind AS (
    UPDATE call_member m SET changed_at = '-infinity' FROM call c
    WHERE m.unified_call_id IN (SELECT unified_call_id FROM gone) AND c.id = m.call_id
      AND c.deleted_at IS NULL AND c.vanished_at IS NULL)
INSERT INTO match_log (run_id, kind, left_call_id, right_call_id, unified_call_id, score, cause)
SELECT DISTINCT %(run)s, 'dissolved', left_call_id, right_call_id, unified_call_id, score, 'record deleted' FROM pairs
"""
"""Deleted records leave; those they leave behind are marked as to be decided again."""

FORM = """
WITH written AS (
    INSERT INTO call_match (left_call_id, right_call_id, unified_call_id, rule, score, margin, prior, start, length,
        outcome, direction, run, calibration_id)
    SELECT s.left_call_id, s.right_call_id, s.unified_call_id, (%(rules)s::text[])[s.rule + 1], s.score, s.margin,
        s.prior, s.start, s.length, s.outcome, s.direction, s.run, s.calibration_id
    FROM stage_match s LEFT JOIN call_match x USING (left_call_id, right_call_id)
    WHERE x.left_call_id IS NULL OR (x.unified_call_id, x.score, x.margin, x.rule, x.calibration_id)
        IS DISTINCT FROM (s.unified_call_id, s.score, s.margin, (%(rules)s::text[])[s.rule + 1], s.calibration_id)
    ON CONFLICT (left_call_id, right_call_id) DO UPDATE SET unified_call_id = excluded.unified_call_id,
        rule = excluded.rule, score = excluded.score, margin = excluded.margin, prior = excluded.prior,
        start = excluded.start, length = excluded.length, outcome = excluded.outcome, direction = excluded.direction,
        run = excluded.run, calibration_id = excluded.calibration_id, decided_at = now()
    RETURNING left_call_id, right_call_id, unified_call_id, score, xmax = 0 AS is_new)
INSERT INTO match_log (run_id, kind, left_call_id, right_call_id, unified_call_id, score, cause)
SELECT %(run)s, 'formed', w.left_call_id, w.right_call_id, w.unified_call_id, w.score,
    CASE WHEN l.call_id IS NULL OR r.call_id IS NULL THEN 'new record'
         WHEN l.changed_at <> sl.changed_at OR r.changed_at <> sr.changed_at THEN 'record changed'
         ELSE %(cause)s END
FROM written w
JOIN stage_member sl ON sl.call_id = w.left_call_id JOIN stage_member sr ON sr.call_id = w.right_call_id
LEFT JOIN call_member l ON l.call_id = w.left_call_id LEFT JOIN call_member r ON r.call_id = w.right_call_id
WHERE w.is_new
"""
"""Before the members are written, so that it still shows which record is new and which has changed."""

LEAVE = """
DELETE FROM call_member m USING stage_member s
WHERE m.call_id = s.call_id
  AND (m.unified_call_id, m.leg_of, m.speaks, m.confidence, m.by_prior)
    IS DISTINCT FROM (s.unified_call_id, nullif(s.leg_of, 0), s.speaks, s.confidence, s.by_prior)
"""
"""First everybody leaves who is to be elsewhere: at no moment may a real call hold two calls of an account."""

ENTER = """
INSERT INTO call_member (call_id, unified_call_id, provider, account, leg_of, speaks, confidence, by_prior, changed_at)
SELECT s.call_id, s.unified_call_id, a.provider, a.account, nullif(s.leg_of, 0), s.speaks, s.confidence, s.by_prior,
    s.changed_at
FROM stage_member s LEFT JOIN call_member m USING (call_id)
JOIN unnest(%(providers)s::text[], %(accounts)s::text[]) WITH ORDINALITY AS a (provider, account, no) ON a.no = s.no
WHERE m.call_id IS NULL
"""

LOGGED_SO_FAR = "SELECT coalesce(max(id), 0) FROM match_log"

_WRITE = "INSERT INTO record_change (entity, provider, account, external_id, unified_call_id, kind)"
_ANNOUNCE = """
INSERT INTO change_notice (provider, account, pending_since)
SELECT provider, account, clock_timestamp() FROM written GROUP BY provider, account
ON CONFLICT (provider, account) DO UPDATE
SET pending_since = coalesce(change_notice.pending_since, excluded.pending_since)
"""

FEED = f"""
WITH pairs AS MATERIALIZED (
    SELECT left_call_id, right_call_id, kind FROM match_log WHERE id > %(since)s AND happened_at = now()
), touched AS MATERIALIZED (
    SELECT ends.id, bool_or(kind = 'dissolved') AS dissolved
    FROM pairs CROSS JOIN LATERAL (VALUES (left_call_id), (right_call_id)) AS ends (id) GROUP BY ends.id
), held AS MATERIALIZED (
    SELECT t.id, x.* FROM touched t CROSS JOIN LATERAL (
        SELECT left_call_id, right_call_id FROM call_match WHERE left_call_id = t.id
        UNION ALL SELECT left_call_id, right_call_id FROM call_match WHERE right_call_id = t.id OFFSET 0) x
), standing AS MATERIALIZED (
    SELECT h.id, bool_or(p.kind IS NULL) AS from_before
    FROM held h LEFT JOIN pairs p
        ON (p.left_call_id, p.right_call_id, p.kind) = (h.left_call_id, h.right_call_id, 'formed') GROUP BY h.id
), judged AS MATERIALIZED (
    SELECT t.id, t.dissolved OR coalesce(s.from_before, false) AS was_matched, s.id IS NOT NULL AS is_matched
    FROM touched t LEFT JOIN standing s USING (id)
), written AS (
    {_WRITE}
    SELECT 'call', c.provider, c.account, c.external_id, m.unified_call_id,
        CASE WHEN NOT j.is_matched THEN 'unmatched' WHEN j.was_matched THEN 'rematched' ELSE 'matched' END
    FROM judged j JOIN call c ON c.id = j.id LEFT JOIN call_member m ON m.call_id = j.id
    WHERE j.was_matched OR j.is_matched ORDER BY j.id
    RETURNING provider, account)
{_ANNOUNCE}"""  # noqa: S608 - our own words
"""What this transaction did to records, by the pairs that it logged after `since`; announced when the run ends."""

FEED_OF_NEW = f"""
WITH written AS (
    {_WRITE}
    SELECT 'call', c.provider, c.account, c.external_id, m.unified_call_id, 'matched'
    FROM unnest(%(matched)s::bigint[]) AS matched (id) JOIN call c USING (id) JOIN call_member m ON m.call_id = c.id
    ORDER BY id
    RETURNING provider, account)
{_ANNOUNCE}"""  # noqa: S608 - our own words
"""The same for records that were in no real call so far."""

NOTE = """
UPDATE call_member m SET changed_at = s.changed_at FROM stage_member s
WHERE m.call_id = s.call_id AND m.changed_at <> s.changed_at
"""

CALM = """
DELETE FROM call_rival x USING stage_member scope WHERE x.call_id = scope.call_id AND NOT EXISTS (
    SELECT FROM stage_rival s WHERE (s.call_id, s.rival_call_id) = (x.call_id, x.rival_call_id))
"""
VIE = "INSERT INTO call_rival SELECT DISTINCT call_id, rival_call_id FROM stage_rival ON CONFLICT DO NOTHING"
