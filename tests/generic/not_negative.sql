{#-
    A count or sum is not null and at least 0. On a table, `columns` names several,
    which one scan tests.
-#}
{% test not_negative(model, column_name=none, columns=none) %}
    {{ config(meta={"exact": {"check": "rows"}}) }}
select *
from {{ model }}
where
    {%- for column in columns or [column_name] %}
    {% if not loop.first %}or {% endif %}{{ column }} is null or {{ column }} < 0
    {%- endfor %}
{% endtest %}
