{#-
    The rows of int_users_active_days by which a change may open or close a window of
    active users: those of the day and user that changed, and the user's days just
    before and after it, of any plan and of the same one. Anonymous days have no
    neighbours.
-#}
{% macro active_days_around() -%}
select days.activity_date, days.user_id, days.plan_type
from changes
inner join int_users_active_days as days
    on changes.user_id = days.user_id
    and changes.activity_date = days.activity_date
union
select days.activity_date, days.user_id, days.plan_type
from changes
inner join int_users_active_days as days
    on days.user_id is null
    and changes.activity_date = days.activity_date
where changes.user_id is null
union
select days.activity_date, days.user_id, days.plan_type
from changes
cross join lateral (
    {%- for condition in ("true", "days.plan_type = changes.plan_type") -%}
    {%- set is_last = loop.last -%}
    {%- for side, direction in (("<", "desc"), (">", "asc")) %}
    (
        select * from int_users_active_days as days
        where days.user_id = changes.user_id
            and {{ condition }}
            and days.activity_date {{ side }} changes.activity_date
        order by days.activity_date {{ direction }} limit 1
    )
    {{- " union all" if not (is_last and loop.last) }}
    {%- endfor -%}
    {%- endfor %}
) as days
{%- endmacro %}
