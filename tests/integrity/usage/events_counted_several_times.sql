-- depends_on: {{ ref("fct_active_users_daily") }}
-- An event table's key is time and id, because it is partitioned by time. So an event
-- that is sent again with another time is another row. The test reads the last 400
-- days, so its cost doesn't grow with the history.
{%- set ids = {
    "usage_events": "usage_event_id",
    "api_usage": "api_usage_id",
    "error_logs": "error_log_id",
    "audit_logs": "audit_log_id",
} %}
{% for table, id in ids.items() %}
    select
        {{ id }} as event_id,
        '{{ table }}' as source_table,
        'written_with_several_times' as reason,
        count(*) as times_counted,
        min(occurred_at) as first_occurred_at,
        max(occurred_at) as last_occurred_at
    from {{ ref("stg_saas__" ~ table) }}
    where
        occurred_at > (
            select max(recent.occurred_at) - interval '400 days' as since
            from {{ ref("stg_saas__" ~ table) }} as recent
        )
    group by {{ id }}
    having count(*) > 1
    {% if not loop.last %}union all{% endif %}
{% endfor %}
