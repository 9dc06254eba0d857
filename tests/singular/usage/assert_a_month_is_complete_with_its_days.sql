-- A month is complete when all its days are. One row per month where it differs.
with dates as (
    select * from {{ ref("dim_dates") }}
)

select month_start
from dates
group by month_start
having bool_or(is_complete_month) != bool_and(is_complete_day)
