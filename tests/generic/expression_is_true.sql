{#-
    The expression holds for every row (null doesn't count as holding), or for those
    that meet the `where` of the test's config. For identities inside one row; one that
    says what a column is made of stands with that column.
-#}
{% test expression_is_true(model, expression, column_name=none) %}
    {{ config(meta={"exact": {"check": "rows"}}) }}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
