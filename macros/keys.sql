{#-
    One text key for a group of columns in which null equals null (md5). Each part
    carries its length, so that ('a', 'bc') and ('ab', 'c') differ, and so do null and
    ''. Not for timestamps, whose text depends on the session's TimeZone: give it a
    date.
-#}
{% macro surrogate_key(columns) -%}
    {{ return(adapter.dispatch("surrogate_key", "saas_analytics")(columns)) }}
{%- endmacro %}

{% macro default__surrogate_key(columns) -%}
    md5(
        {%- for column in columns %}
        {% if not loop.first %}|| {% endif -%}
        coalesce(
            length(cast({{ column }} as text)) || ':' || cast({{ column }} as text), 'n'
        )
        {%- endfor %}
    )
{%- endmacro %}


{#- True when two values are equal or both null; never null itself. -#}
{% macro same_value(left_value, right_value) -%}
    {{ return(
        adapter.dispatch("same_value", "saas_analytics")(left_value, right_value)
    ) }}
{%- endmacro %}

{% macro default__same_value(left_value, right_value) -%}
    ({{ left_value }} is not distinct from {{ right_value }})
{%- endmacro %}
