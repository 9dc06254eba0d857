{#-
    Every plan is one of seeds/plans.csv; one row per plan that is missing there.
-#}
{% test known_plan(model, column_name) %}
select
    holders.{{ column_name }},
    count(*) as rows_of_plan,
    'add it to seeds/plans.csv' as what_to_do
from {{ model }} as holders
left join {{ ref("plans") }} as plans
    on holders.{{ column_name }} = plans.plan_type
where plans.plan_type is null
group by holders.{{ column_name }}
{% endtest %}
