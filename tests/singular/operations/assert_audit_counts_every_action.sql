-- A day's audited actions are those of the source. One row per day that differs. The
-- next run checks days with new actions since this run began.
with source_days as (
    select
        {{ reporting_date("occurred_at") }} as audit_date,
        count(*) as events
    from {{ ref("stg_saas__audit_logs") }}
    group by {{ reporting_date("occurred_at") }}
    having max(created_at) < {{ run_start() }}
),

mart_days as (
    select
        audit_date,
        sum(events) as events
    from {{ ref("fct_audit_daily") }}
    group by audit_date
)

select
    source_days.audit_date,
    source_days.events as events_in_source,
    mart_days.events as events_in_mart
from source_days
left join mart_days on source_days.audit_date = mart_days.audit_date
where source_days.events != coalesce(mart_days.events, 0)
