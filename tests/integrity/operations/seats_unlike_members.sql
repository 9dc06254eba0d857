-- depends_on: {{ ref("fct_license_seats") }}
-- The owner may hold a seat without being in a team. An ended licence may free its
-- seats and keep its teams.
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

counted as (
    select
        licenses.license_id,
        count(distinct memberships.user_id) as members,
        {{ count_if("memberships.user_id = licenses.user_id") }} as owners_memberships
    from licenses
    left join teams on licenses.license_id = teams.license_id
    left join memberships on teams.team_id = memberships.team_id
    group by licenses.license_id
)

select
    licenses.license_id,
    case
        when licenses.seats_used < counted.members then 'fewer_seats_than_members'
        else 'more_seats_than_members'
    end as reason,
    licenses.status,
    licenses.seats_total,
    licenses.seats_used,
    counted.members,
    licenses.updated_at
from licenses
inner join counted on licenses.license_id = counted.license_id
where
    licenses.seats_used != counted.members
    and (counted.owners_memberships > 0 or licenses.seats_used != counted.members + 1)
