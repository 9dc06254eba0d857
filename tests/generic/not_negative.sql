{#- Counts and sums of the columns are there and at least 0, all in one scan. -#}
{% test not_negative(model, columns) %}
select *
from {{ model }}
where
    {%- for column in columns %}
    {% if not loop.first %}or {% endif %}{{ column }} is null or {{ column }} < 0
    {%- endfor %}
{% endtest %}
