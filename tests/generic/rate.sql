{#- A share: null, or from 0 to 1. -#}
{% test rate(model, column_name) %}
    {{ config(meta={"exact": {"check": "rows"}}) }}
select *
from {{ model }}
where {{ column_name }} < 0 or {{ column_name }} > 1
{% endtest %}
