{#-
    A time is a point in time, not infinity: rows beyond all calendars count nowhere. On
    a partition key it reads the default partition only.
-#}
{% test finite_time(model, column_name) %}
select {{ column_name }}, count(*) as rows_of_time
from {{ model }}
where
    {{ column_name }} = cast('infinity' as timestamptz)
    or {{ column_name }} = cast('-infinity' as timestamptz)
group by {{ column_name }}
{% endtest %}
