{#-
    A query of the periods (`period_start`) whose application aggregate should equal the
    usage marts. They were aggregated at least an hour before this run, are not marked
    stale, and have no event written afterwards. The hour covers open transactions.
    `period_type` is day or month. The application's days are in UTC, so this requires
    the reporting zone UTC.
-#}
{% macro comparable_usage_periods(period_type) %}
    {%- if period_type == "day" -%}
        {%- set period_of = saas_analytics.reporting_date -%}
    {%- else -%}
        {%- set period_of = saas_analytics.reporting_month -%}
    {%- endif %}
    select runs.period_start
    from {{ source("saas", "usage_aggregate_runs") }} as runs
    where
        runs.period_type = '{{ period_type }}'
        and runs.aggregated_at < cast('{{ run_started_at.isoformat() }}' as timestamptz)
        and runs.period_start not in (
            select stale.period_start
            from {{ source("saas", "usage_aggregate_stale_periods") }} as stale
            where stale.period_type = '{{ period_type }}'
        )
        and runs.period_start not in (
            select aggregated.period_start
            from {{ ref("stg_saas__usage_events") }} as events
            inner join {{ source("saas", "usage_aggregate_runs") }} as aggregated
                on {{ period_of("events.occurred_at") }} = aggregated.period_start
            where
                aggregated.period_type = '{{ period_type }}'
                and events.created_at > aggregated.aggregated_at - interval '1 hour'
        )
{% endmacro %}
