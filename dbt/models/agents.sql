-- What each agent did on each day, each real call once.
select
    agent,
    (started_at at time zone '{{ var("callweave_time_zone") }}')::date as day,
    count(*) as calls,
    count(*) filter (where outcome = 'answered') as answered,
    count(*) filter (where direction = 'outbound') as outbound,
    count(talk_seconds) as of_known_length,
    sum(talk_seconds) as talk_seconds
from {{ source('callweave', 'unified_call') }}
where agent is not null
group by 1, 2
