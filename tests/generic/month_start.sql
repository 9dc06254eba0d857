{#- The date of a month is its first day. -#}
{% test month_start(model, column_name) %}
    {{ config(meta={"exact": {"check": "rows"}}) }}
select *
from {{ model }}
where {{ column_name }} != {{ saas_analytics.month_start_of(column_name) }}
{% endtest %}
