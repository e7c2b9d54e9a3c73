-- Of each day and account: the real calls that it holds, and those that it should hold and does not.
with held as (
    select
        provider,
        account,
        (started_at at time zone '{{ var("callweave_time_zone") }}')::date as day,
        count(distinct unified_call_id) as held
    from {{ source('callweave', 'call') }}
    where deleted_at is null
    group by 1, 2, 3
),

missing as (
    select
        provider,
        account,
        (started_at at time zone '{{ var("callweave_time_zone") }}')::date as day,
        count(*) as not_held
    from {{ source('callweave', 'missing_in') }}
    group by 1, 2, 3
)

select
    provider,
    account,
    day,
    coalesce(held.held, 0) as held,
    coalesce(missing.not_held, 0) as not_held
from held
full join missing using (provider, account, day)
