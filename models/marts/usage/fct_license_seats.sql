{{ config(
    meta={"exact": {
        "keys": ["license_id"],
        "inputs": {
            "stg_saas__licenses": {},
            "stg_saas__teams": {},
            "stg_saas__team_members": {"lookup": {"in": "stg_saas__teams", "by": "team_id"}},
            "fct_usage_daily": {"where": "license_id is not null"},
        },
    }},
) }}

-- One row per license: seats bought and taken, members of its teams, and users of the
-- 30 days that end with the last event of any license.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

teams as (
    select * from {{ ref("stg_saas__teams") }}
),

memberships as (
    select * from {{ ref("stg_saas__team_members") }}
),

usage as (
    select * from {{ ref("fct_usage_daily") }}
),

last_day as (
    select * from {{ ref("int_last_usage_day__single_row") }}
),

members_by_license as (
    select
        teams.license_id,
        count(distinct memberships.user_id) as team_members
    from memberships
    inner join teams on memberships.team_id = teams.team_id
    group by teams.license_id
),

-- Made distinct and then counted: a distinct count would sort all rows.
active_users as (
    select distinct
        usage.license_id,
        usage.user_id
    from usage
    where
        usage.license_id is not null
        and usage.user_id is not null
        and usage.usage_date
        > (select {{ add_days("last_day.usage_date", -30) }} from last_day)
),

active_users_by_license as (
    select
        license_id,
        count(*) as active_users_30d
    from active_users
    group by license_id
)

select
    licenses.license_id,
    licenses.plan_type,
    licenses.status,
    cast(licenses.seats_total as bigint) as seats_total,
    cast(licenses.seats_used as bigint) as seats_used,
    {{ safe_ratio("licenses.seats_used", "licenses.seats_total") }} as seat_utilization,
    coalesce(members_by_license.team_members, 0) as team_members,
    coalesce(active_users_by_license.active_users_30d, 0) as active_users_30d
from licenses
left join members_by_license on licenses.license_id = members_by_license.license_id
left join active_users_by_license
    on licenses.license_id = active_users_by_license.license_id
