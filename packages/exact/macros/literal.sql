{#-
    A text as a literal, whatever it holds: a name may hold the tag of a dollar quote.
-#}
{% macro literal(text) -%}
    {{ return("'" ~ (text | string | replace("'", "''")) ~ "'") }}
{%- endmacro %}
