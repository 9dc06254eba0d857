{#-
    Every billing cycle is one of the variable `billing_cycles`, which says how many
    months each has; one row per cycle that is missing there.
-#}
{% test known_billing_cycle(model, column_name) %}
select
    {{ column_name }},
    count(*) as rows_of_cycle,
    'add it to billing_cycles in dbt_project.yml' as what_to_do
from {{ model }}
where {{ column_name }} not in (
    {%- for cycle in var("billing_cycles") %}
    '{{ cycle }}'{{ "," if not loop.last }}
    {%- endfor %}
)
group by {{ column_name }}
{% endtest %}
