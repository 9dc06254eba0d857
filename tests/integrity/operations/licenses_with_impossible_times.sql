-- depends_on: {{ ref("dim_licenses") }}
-- depends_on: {{ ref("fct_feature_adoption_monthly") }}
-- An end in the past is measured from the last change of any license, and some days are
-- left for the job that ends it.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

last_change as (
    select max(updated_at) as changed_at from {{ ref("stg_saas__licenses") }}
),

reasoned as (
    select
        licenses.*,
        case
            when least(licenses.cancelled_at, licenses.expires_at) < licenses.started_at
                then 'ends_before_it_starts'
            when
                licenses.status in ('cancelled', 'expired')
                and licenses.cancelled_at is null
                and licenses.expires_at is null
                then 'ended_without_time'
            when
                licenses.status = 'active'
                and licenses.expires_at < last_change.changed_at - interval '3 days'
                then 'active_after_its_end'
        end as reason
    from licenses
    cross join last_change
)

select
    license_id,
    reason,
    status,
    started_at,
    expires_at,
    cancelled_at,
    updated_at
from reasoned
where reason is not null
