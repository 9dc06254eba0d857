{{ config(
    scope=["user_id", "activity_month"],
    changes={"fct_usage_monthly": {"activity_month": "usage_month", "user_id": "user_id"}},
) }}

-- One row per user and month with an event. Users without an id are nobody in
-- particular and have no row.
with usage as (
    select * from {{ ref("fct_usage_monthly") }}
)

select distinct
    user_id,
    usage_month as activity_month
from usage
where user_id is not null
