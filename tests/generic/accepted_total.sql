{#-
    The sum of a column over each group is between `min_value` and `max_value` (SQL
    expressions, at least one of them). It suits parts of either sign.
-#}
{% test accepted_total(
    model, column_name, group_by, min_value=none, max_value=none
) %}
    {%- if min_value is none and max_value is none -%}
        {%- do exceptions.raise_compiler_error(
            "accepted_total of " ~ column_name ~ " needs min_value, max_value or both."
        ) -%}
    {%- endif %}
select
    {{ group_by | join(",\n    ") }},
    sum({{ column_name }}) as total
from {{ model }}
group by {{ group_by | join(", ") }}
having
    {%- if min_value is not none %}
    sum({{ column_name }}) < {{ min_value }}
    {%- endif %}
    {%- if max_value is not none %}
    {% if min_value is not none %}or {% endif -%}
    sum({{ column_name }}) > {{ max_value }}
    {%- endif %}
{% endtest %}
