{#-
    The columns identify one row each. Nulls count as equal values.
-#}
{% test unique_grain(model, columns) %}
    {{ config(meta={"exact": {"check": "groups"}}) }}
    {%- if columns is string -%}
        {%- do exceptions.raise_compiler_error(
            "unique_grain needs a list of columns, not '" ~ columns ~ "'."
        ) -%}
    {%- endif %}
select
    {{ columns | join(",\n    ") }},
    count(*) as rows_of_group
from {{ model }}
group by {{ columns | join(", ") }}
having count(*) > 1
{% endtest %}
