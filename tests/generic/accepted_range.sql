{#-
    A non-null value is between `min_value` and `max_value` (SQL expressions, at least
    one of them), including both unless `inclusive` is false.
-#}
{% test accepted_range(
    model, column_name, min_value=none, max_value=none, inclusive=true
) %}
    {{ config(meta={"exact": {"check": "rows"}}) }}
    {%- if min_value is none and max_value is none -%}
        {%- do exceptions.raise_compiler_error(
            "accepted_range on " ~ column_name ~ " needs min_value, max_value or both."
        ) -%}
    {%- endif -%}
    {%- set equal = "" if inclusive else "=" %}
select *
from {{ model }}
where
    {%- if min_value is not none %}
    {{ column_name }} <{{ equal }} {{ min_value }}
    {%- endif %}
    {%- if max_value is not none %}
    {% if min_value is not none %}or {% endif -%}
    {{ column_name }} >{{ equal }} {{ max_value }}
    {%- endif %}
{% endtest %}
