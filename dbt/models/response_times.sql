-- Missed calls of people whose number is known, and the next call to them, or the next of theirs that was answered.
with calls as (
    select
        unified_call_id,
        person_id,
        direction,
        outcome,
        started_at,
        min(started_at) filter (where direction = 'outbound' or outcome = 'answered') over (
            partition by person_id order by started_at desc
            range between unbounded preceding and '1 microsecond' preceding
        ) as responded_at
    from {{ source('callweave', 'unified_call') }}
    where person_id is not null
)

select
    unified_call_id,
    person_id,
    started_at as missed_at,
    responded_at,
    extract(epoch from responded_at - started_at)::bigint as wait_seconds
from calls
where direction = 'inbound' and outcome = 'missed'
