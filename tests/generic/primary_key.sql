{#-
    The column identifies one row each: `not_null` and `unique` in one scan.
-#}
{% test primary_key(model, column_name) %}
    {{ config(meta={"exact": {"check": "groups"}}) }}
select
    {{ column_name }},
    count(*) as rows_of_key
from {{ model }}
group by {{ column_name }}
having count(*) > 1 or {{ column_name }} is null
{% endtest %}
