{#-
    The expression holds for every row (null doesn't count as holding), or for those
    that meet the `where` of the test's config. For identities inside one row.
-#}
{% test expression_is_true(model, expression) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
