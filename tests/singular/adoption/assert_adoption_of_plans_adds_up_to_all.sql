-- A license has one plan, so the plans' licenses and uses add up to `all`; a user may
-- use several plans, so users may only be fewer. One row per month and feature that
-- disagrees.
with adoption as (
    select * from {{ ref("fct_feature_adoption_monthly") }}
),

plans as (
    select
        adoption_month,
        feature_name,
        sum(eligible_licenses) as eligible_licenses,
        sum(active_licenses) as active_licenses,
        sum(new_licenses) as new_licenses,
        sum(adopted_licenses) as adopted_licenses,
        sum(active_users) as active_users,
        sum(total_uses) as total_uses
    from adoption
    where plan_type != 'all'
    group by adoption_month, feature_name
),

all_plans as (
    select * from adoption
    where plan_type = 'all'
)

select
    all_plans.adoption_month,
    all_plans.feature_name,
    all_plans.eligible_licenses - coalesce(plans.eligible_licenses, 0)
        as eligible_licenses_apart,
    all_plans.active_licenses - coalesce(plans.active_licenses, 0)
        as active_licenses_apart,
    all_plans.new_licenses - coalesce(plans.new_licenses, 0) as new_licenses_apart,
    all_plans.adopted_licenses - coalesce(plans.adopted_licenses, 0)
        as adopted_licenses_apart,
    all_plans.total_uses - coalesce(plans.total_uses, 0) as total_uses_apart,
    all_plans.active_users - coalesce(plans.active_users, 0) as active_users_apart
from all_plans
left join plans
    on
        all_plans.adoption_month = plans.adoption_month
        and all_plans.feature_name = plans.feature_name
where
    all_plans.eligible_licenses != coalesce(plans.eligible_licenses, 0)
    or all_plans.active_licenses != coalesce(plans.active_licenses, 0)
    or all_plans.new_licenses != coalesce(plans.new_licenses, 0)
    or all_plans.adopted_licenses != coalesce(plans.adopted_licenses, 0)
    or all_plans.total_uses != coalesce(plans.total_uses, 0)
    or all_plans.active_users > coalesce(plans.active_users, 0)
