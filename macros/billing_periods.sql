{#-
    Billing periods. Payment providers count them in calendar months of UTC, from an
    anchor. The 31st is the last day of a shorter month, and the 31st again after it.
-#}


{#- How many months a billing cycle has (integer), by the variable billing_cycles. -#}
{% macro cycle_months(billing_cycle) -%}
    {{ return(adapter.dispatch("cycle_months", "saas_analytics")(billing_cycle)) }}
{%- endmacro %}

{% macro default__cycle_months(billing_cycle) -%}
    case
        {%- for cycle, months in var("billing_cycles").items() %}
            {%- if months != 1 %} when {{ billing_cycle }} = '{{ cycle }}'
                then {{ months }}{% endif %}
        {%- endfor %} else 1 end
{%- endmacro %}


{#- What the price of a billing cycle brings per month, rounded half away from zero. -#}
{% macro price_per_month(amount_cents, billing_cycle) -%}
    {{ return(adapter.dispatch("price_per_month", "saas_analytics")(
        amount_cents, billing_cycle
    )) }}
{%- endmacro %}

{% macro default__price_per_month(amount_cents, billing_cycle) -%}
    case
        {%- for cycle, months in var("billing_cycles").items() if months != 1 %}
            when {{ billing_cycle }} = '{{ cycle }}'
                then {{ divide_round(amount_cents, months) }}
        {%- endfor %}
            else {{ amount_cents }}
        end
{%- endmacro %}


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
