-- Every active user is new, returning or resurrected. Every user of the previous month
-- returns or churns. One row per month that doesn't add up.
with growth as (
    select
        activity_month,
        active_users,
        new_users,
        returning_users,
        resurrected_users,
        churned_users,
        coalesce(lag(active_users) over (order by activity_month), 0)
            as active_users_before
    from {{ ref("fct_user_growth_monthly") }}
)

select *
from growth
where
    active_users != new_users + returning_users + resurrected_users
    or active_users_before != returning_users + churned_users
