{#-
    No period is missing between the first and the last one of a group. `period` is day
    or month, `column_name` its date, and `group_by` the columns of the group.
-#}
{% test no_missing_periods(model, column_name, period, group_by=[]) %}
    {%- if period == "day" -%}
        {%- set next_period = saas_analytics.add_days("covered." ~ column_name, 1) -%}
    {%- elif period == "month" -%}
        {%- set next_period = saas_analytics.add_months("covered." ~ column_name, 1) -%}
    {%- else -%}
        {%- do exceptions.raise_compiler_error(
            "no_missing_periods has period '" ~ period ~ "': write day or month."
        ) -%}
    {%- endif %}
with covered as (
    select distinct
        {% for column in group_by %}{{ column }}, {% endfor %}{{ column_name }}
    from {{ model }}
),

followed as (
    select
        {% for column in group_by %}covered.{{ column }}, {% endfor -%}
        covered.{{ column_name }} as last_before_gap,
        {{ next_period }} as expected_next,
        lead(covered.{{ column_name }}) over (
            {% if group_by -%}
                partition by covered.{{ group_by | join(", covered.") }}
            {% endif -%}
            order by covered.{{ column_name }}
        ) as found_next
    from covered
)

select *
from followed
where found_next != expected_next
{% endtest %}
