{#-
    The number under a top-level key of a JSON column, as numeric, if it is at least
    `at_least` and less than `below`. Otherwise null: the key is missing, the column
    holds no object, or the value is out of range or not a number. "12" in quotes is
    text. It never raises an error. The range keeps sums
    away from the 131,072 digits that a JSON number may have.
-#}
{% macro json_number(column, key, at_least, below) -%}
    {{ return(
        adapter.dispatch("json_number", "saas_analytics")(column, key, at_least, below)
    ) }}
{%- endmacro %}

{% macro default__json_number(column, key, at_least, below) -%}
    cast(
        jsonb_path_query_first(
            {{ column }},
            'strict $."{{ key }}" ? (@ >= {{ at_least }} && @ < {{ below }})',
            '{}',
            true
        ) as numeric
    )
{%- endmacro %}
