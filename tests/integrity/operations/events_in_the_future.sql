-- depends_on: {{ ref("fct_active_users_daily") }}
-- An event can't be written before it happens. The test uses the real clock and not
-- `as_of`, with an hour for clocks that differ.
with events as (
    select
        'usage_events' as source_table,
        usage_event_id as event_id,
        occurred_at,
        created_at
    from {{ ref("stg_saas__usage_events") }}
    union all
    select
        'api_usage' as source_table,
        api_usage_id as event_id,
        occurred_at,
        created_at
    from {{ ref("stg_saas__api_usage") }}
    union all
    select
        'error_logs' as source_table,
        error_log_id as event_id,
        occurred_at,
        created_at
    from {{ ref("stg_saas__error_logs") }}
    union all
    select
        'audit_logs' as source_table,
        audit_log_id as event_id,
        occurred_at,
        created_at
    from {{ ref("stg_saas__audit_logs") }}
    union all
    select
        'affiliate_clicks' as source_table,
        click_id as event_id,
        clicked_at as occurred_at,
        current_timestamp as created_at
    from {{ ref("stg_saas__affiliate_clicks") }}
)

select
    event_id,
    source_table,
    case
        when occurred_at > current_timestamp + interval '1 hour' then 'in_the_future'
        else 'after_it_was_written'
    end as reason,
    occurred_at,
    created_at
from events
where
    occurred_at > created_at + interval '1 hour'
    or occurred_at > current_timestamp + interval '1 hour'
