{{ config(
    meta={"exact": {"renamed_from": "int_licenses_eligible_monthly"}},
) }}

-- One row per month and plan, from the first event of any feature to the last event of
-- any kind: the number of licenses that were live at some time in it. Earlier changes
-- count in the first month.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

changes as (
    select * from {{ ref("int_eligible_license_changes__by_month_plan") }}
),

feature_uses as (
    select * from {{ ref("int_feature_uses__by_month_feature_license_user") }}
),

last_day as (
    select * from {{ ref("int_last_usage_day__single_row") }}
),

months as (
    select date_month
    from {{ month_spine(
        "(select min(usage_month) from feature_uses)",
        "(select usage_date from last_day)"
    ) }} as spine
),

plans as (
    select distinct plan_type from licenses
    union all
    select 'all' as plan_type
),

first_months as (
    select min(date_month) as first_month from months
),

clipped as (
    select
        changes.plan_type,
        changes.license_change,
        greatest(changes.change_month, first_months.first_month) as change_month
    from changes
    cross join first_months
),

changes_with_all_plans as (
    select
        plan_type,
        change_month,
        license_change
    from clipped
    union all
    select
        'all' as plan_type,
        change_month,
        license_change
    from clipped
),

monthly_changes as (
    select
        plan_type,
        change_month,
        sum(license_change) as license_change
    from changes_with_all_plans
    group by plan_type, change_month
)

select
    months.date_month as eligible_month,
    plans.plan_type,
    cast(sum(coalesce(monthly_changes.license_change, 0)) over (
        partition by plans.plan_type
        order by months.date_month
    ) as bigint) as eligible_licenses
from months
cross join plans
left join monthly_changes
    on
        months.date_month = monthly_changes.change_month
        and plans.plan_type = monthly_changes.plan_type
