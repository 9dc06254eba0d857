{#- A sum is there and at least 0. -#}
{% test not_negative(model, column_name) %}
    {{ config(meta={"exact": {"check": "rows"}}) }}
select *
from {{ model }}
where {{ column_name }} is null or {{ column_name }} < 0
{% endtest %}
