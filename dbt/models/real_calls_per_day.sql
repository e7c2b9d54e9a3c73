-- Real calls of each day, and whether the day is whole: an incomplete one may still grow.
with calls as (
    select
        (started_at at time zone '{{ var("callweave_time_zone") }}')::date as day,
        direction,
        outcome,
        talk_seconds,
        cardinality(providers) > 1 as seen_in_several
    from {{ source('callweave', 'unified_call') }}
),

days as (
    select
        day,
        coalesce(v1.complete(
            day::timestamp at time zone '{{ var("callweave_time_zone") }}',
            (day + 1)::timestamp at time zone '{{ var("callweave_time_zone") }}'
        ), false) as is_complete
    from (select distinct day from calls) as seen
)

select
    calls.day,
    calls.direction,
    calls.outcome,
    days.is_complete,
    count(*) as calls,
    count(*) filter (where calls.seen_in_several) as seen_in_several_systems,
    sum(calls.talk_seconds) as talk_seconds
from calls
inner join days on calls.day = days.day
group by calls.day, calls.direction, calls.outcome, days.is_complete
