{#-
    The expression is true for every row, or for those that meet the `where` of the
    test's config. Null counts as false. Use it for identities inside one row; an
    identity of one column belongs to that column.
-#}
{% test expression_is_true(model, expression, column_name=none) %}
    {{ config(meta={"exact": {"check": "rows"}}) }}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
