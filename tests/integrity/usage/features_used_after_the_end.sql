-- depends_on: {{ ref("dim_features") }}
-- A day is allowed for open sessions.
with licenses as (
    select
        *,
        greatest(cancelled_at, expires_at) as ended_at
    from {{ ref("stg_saas__licenses") }}
    where status in ('cancelled', 'expired')
),

feature_usage as (
    select * from {{ ref("fct_feature_usage") }}
)

select
    licenses.license_id,
    'license_is_' || licenses.status as reason,
    licenses.ended_at,
    max(feature_usage.last_used_at) as last_used_at
from licenses
inner join feature_usage on licenses.license_id = feature_usage.license_id
where feature_usage.last_used_at > licenses.ended_at + interval '1 day'
group by licenses.license_id, licenses.status, licenses.ended_at
