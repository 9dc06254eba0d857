-- depends_on: {{ ref("fct_active_users_daily") }}
{% for table in ("usage_events", "api_usage", "error_logs", "audit_logs") %}
    {{ implausible_times(table, ["occurred_at"], created_at="created_at") }}
    {% if not loop.last %}union all{% endif %}
{% endfor %}
