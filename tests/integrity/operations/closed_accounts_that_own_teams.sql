-- depends_on: {{ ref("dim_users") }}
-- The account's row can't be deleted, not even together with the license that the team
-- works under. A team that is no longer in use needs no owner, nor does one whose
-- license has ended.
with users as (
    select * from {{ ref("stg_saas__users") }}
    where not is_active
),

teams as (
    select * from {{ ref("stg_saas__teams") }}
    where is_active
),

licenses as (
    select * from {{ ref("stg_saas__licenses") }}
    where status in ('active', 'suspended')
)

select
    users.user_id,
    teams.team_id,
    teams.license_id,
    case
        when licenses.user_id = users.user_id then 'team_on_own_license'
        else 'team_on_another_license'
    end as reason,
    users.updated_at
from users
inner join teams on users.user_id = teams.owner_user_id
inner join licenses on teams.license_id = licenses.license_id
