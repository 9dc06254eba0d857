-- There is one last day of usage, and it is that of the usage mart. A row if it
-- differs.
with last_days as (
    select
        count(*) as days_there,
        max(usage_date) as last_day
    from {{ ref("int_last_usage_day__single_row") }}
),

usage as (
    select max(usage_date) as last_day from {{ ref("fct_usage_daily") }}
)

select
    last_days.days_there,
    last_days.last_day,
    usage.last_day as last_day_of_usage
from last_days
cross join usage
where
    last_days.days_there != 1
    or last_days.last_day is distinct from usage.last_day
