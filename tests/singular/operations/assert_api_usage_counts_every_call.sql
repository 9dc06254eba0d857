-- A day's requests and errors are the calls of the source. One row per day that
-- differs. The next run checks days with new calls since this run began.
with source_days as (
    select
        {{ reporting_date("occurred_at") }} as usage_date,
        count(*) as requests,
        sum(case when status_code >= 500 then 1 else 0 end) as server_errors
    from {{ ref("stg_saas__api_usage") }}
    group by {{ reporting_date("occurred_at") }}
    having max(created_at) < {{ run_start() }}
),

mart_days as (
    select
        usage_date,
        sum(requests) as requests,
        sum(server_errors) as server_errors
    from {{ ref("fct_api_usage_daily") }}
    group by usage_date
)

select
    source_days.usage_date,
    source_days.requests as requests_in_source,
    mart_days.requests as requests_in_mart,
    source_days.server_errors as server_errors_in_source,
    mart_days.server_errors as server_errors_in_mart
from source_days
left join mart_days on source_days.usage_date = mart_days.usage_date
where
    source_days.requests != coalesce(mart_days.requests, 0)
    or source_days.server_errors != coalesce(mart_days.server_errors, 0)
