{#-
    The number that stands under a top-level key of a JSON column, as numeric; null when
    the document is not an object, the key is missing or its value is anything but a
    number ("12" in quotes is text). Never an error, whatever the document holds.
-#}
{% macro json_number(column, key) -%}
    {{ return(adapter.dispatch("json_number", "saas_analytics")(column, key)) }}
{%- endmacro %}

{% macro default__json_number(column, key) -%}
    case
        when jsonb_typeof({{ column }} -> '{{ key }}') = 'number'
            then cast({{ column }} ->> '{{ key }}' as numeric)
    end
{%- endmacro %}
