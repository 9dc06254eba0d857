-- A day's errors are those of the source. One row per day that differs. The next run
-- checks days with new errors since this run began.
with source_days as (
    select
        {{ reporting_date("occurred_at") }} as error_date,
        count(*) as errors
    from {{ ref("stg_saas__error_logs") }}
    group by {{ reporting_date("occurred_at") }}
    having max(created_at) < {{ run_start() }}
),

mart_days as (
    select
        error_date,
        sum(errors) as errors
    from {{ ref("fct_errors_daily") }}
    group by error_date
)

select
    source_days.error_date,
    source_days.errors as errors_in_source,
    mart_days.errors as errors_in_mart
from source_days
left join mart_days on source_days.error_date = mart_days.error_date
where source_days.errors != coalesce(mart_days.errors, 0)
