{#- A share of something: null, or from 0 to 1. -#}
{% test rate(model, column_name) %}
select *
from {{ model }}
where {{ column_name }} < 0 or {{ column_name }} > 1
{% endtest %}
