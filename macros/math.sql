{#- Arithmetic that engines differ in, and that is easy to get wrong. -#}


{#-
    numerator / denominator as numeric, null where the denominator is 0 or null. Every
    rate of the project uses it, so that none divides integers or by zero. It removes
    trailing zeros: 0.5 and not 0.50000000000000000000.
-#}
{% macro safe_ratio(numerator, denominator) -%}
    {{ return(
        adapter.dispatch("safe_ratio", "saas_analytics")(numerator, denominator)
    ) }}
{%- endmacro %}

{% macro default__safe_ratio(numerator, denominator) -%}
    trim_scale(cast({{ numerator }} as numeric) / nullif({{ denominator }}, 0))
{%- endmacro %}


{#-
    A whole amount (minor units) divided into equal parts, as bigint, a half rounded
    away from zero: for example a yearly price per month.
-#}
{% macro divide_round(amount, divisor) -%}
    {{ return(adapter.dispatch("divide_round", "saas_analytics")(amount, divisor)) }}
{%- endmacro %}

{% macro default__divide_round(amount, divisor) -%}
    cast(round(cast({{ amount }} as numeric) / {{ divisor }}, 0) as bigint)
{%- endmacro %}


{#-
    The continuous percentile of a column's non-null values as numeric: an aggregate,
    null over no value. `fraction` lies between 0 and 1.
-#}
{% macro percentile(column, fraction) -%}
    {{ return(adapter.dispatch("percentile", "saas_analytics")(column, fraction)) }}
{%- endmacro %}

{% macro default__percentile(column, fraction) -%}
    cast(
        percentile_cont({{ fraction }}) within group (order by {{ column }}) as numeric
    )
{%- endmacro %}


{#- How many rows of the group meet a condition (bigint): an aggregate, 0 over none. -#}
{% macro count_if(condition) -%}
    {{ return(adapter.dispatch("count_if", "saas_analytics")(condition)) }}
{%- endmacro %}

{% macro default__count_if(condition) -%}
    count(*) filter (where {{ condition }})
{%- endmacro %}


{#-
    The sum of a bigint column over the rows that meet a condition, as bigint and 0 over
    none. It is summed as numeric: a total past 2^63 is an error and never wraps around.
-#}
{% macro sum_if(column, condition) -%}
    {{ return(adapter.dispatch("sum_if", "saas_analytics")(column, condition)) }}
{%- endmacro %}

{% macro default__sum_if(column, condition) -%}
    cast(coalesce(sum({{ column }}) filter (where {{ condition }}), 0) as bigint)
{%- endmacro %}
