{{ config(
    access="protected",
    meta={"exact": {"renamed_from": "int_usage_last_day"}},
) }}

-- One row: the day of the last event of all, null before the first. Most changes do not
-- move it, and then its readers have nothing to do. Without a CTE, an index answers it.
select max(activity_date) as usage_date
from {{ ref("int_user_activity__by_day_user_plan") }}
