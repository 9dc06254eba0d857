-- depends_on: {{ ref("fct_license_seats") }}
-- The application decides whether a closed account, an unused team, or an owner without
-- a team uses a seat. Only a count outside these bounds is wrong. An ended license may
-- free its seats and keep its teams.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
    where status in ('active', 'suspended')
),

teams as (
    select * from {{ ref("stg_saas__teams") }}
),

memberships as (
    select * from {{ ref("stg_saas__team_members") }}
),

users as (
    select * from {{ ref("stg_saas__users") }}
),

counted as (
    select
        licenses.license_id,
        count(distinct memberships.user_id) as members,
        count(
            distinct case
                when teams.is_active and users.is_active then memberships.user_id
            end
        ) as active_members,
        {{ count_if("memberships.user_id = licenses.user_id") }} as owners_memberships
    from licenses
    left join teams on licenses.license_id = teams.license_id
    left join memberships on teams.team_id = memberships.team_id
    left join users on memberships.user_id = users.user_id
    group by licenses.license_id
)

select
    licenses.license_id,
    case
        when licenses.seats_used < counted.active_members
            then 'fewer_seats_than_members'
        else 'more_seats_than_members'
    end as reason,
    licenses.status,
    licenses.seats_total,
    licenses.seats_used,
    counted.members,
    counted.active_members,
    licenses.updated_at
from licenses
inner join counted on licenses.license_id = counted.license_id
where
    licenses.seats_used < counted.active_members
    or licenses.seats_used
    > counted.members + case when counted.owners_memberships = 0 then 1 else 0 end
