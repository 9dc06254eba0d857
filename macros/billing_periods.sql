{#-
    Billing periods. Payment providers count them in calendar months of UTC, from an
    anchor. The 31st is the last day of a shorter month, and the 31st again after it.
-#}


{#- Calendar months of UTC (integer) from one timestamp's month to another's. -#}
{% macro utc_months_between(from_moment, to_moment) -%}
    {{ return(
        adapter.dispatch("utc_months_between", "saas_analytics")(from_moment, to_moment)
    ) }}
{%- endmacro %}

{% macro default__utc_months_between(from_moment, to_moment) -%}
    {%- set from_utc = "(" ~ from_moment ~ ") at time zone 'UTC'" -%}
    {%- set to_utc = "(" ~ to_moment ~ ") at time zone 'UTC'" -%}
    cast(
        (extract(year from {{ to_utc }}) - extract(year from {{ from_utc }})) * 12
        + extract(month from {{ to_utc }}) - extract(month from {{ from_utc }})
        as integer
    )
{%- endmacro %}


{#-
    A timestamp moved by a whole number of months of UTC; the number may be an
    expression. Null where the number is.
-#}
{% macro add_utc_months(moment, number_of_months) -%}
    {{ return(
        adapter.dispatch("add_utc_months", "saas_analytics")(moment, number_of_months)
    ) }}
{%- endmacro %}

{% macro default__add_utc_months(moment, number_of_months) -%}
    (
        (
            ({{ moment }}) at time zone 'UTC'
            + ({{ number_of_months }}) * interval '1 month'
        ) at time zone 'UTC'
    )
{%- endmacro %}
