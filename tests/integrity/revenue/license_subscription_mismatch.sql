-- depends_on: {{ ref("fct_mrr_monthly") }}
-- depends_on: {{ ref("dim_licenses") }}
-- A license that never had a subscription may be paid for in another way.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

subscribed as (
    select
        licenses.license_id,
        {{ count_if("subscriptions.status in ('active', 'past_due', 'trialing')") }}
            as live_subscriptions,
        {{ count_if(
            "subscriptions.status in ('active', 'past_due', 'trialing')"
            " and subscriptions.plan_type = licenses.plan_type"
        ) }} as live_subscriptions_on_plan
    from licenses
    inner join subscriptions on licenses.license_id = subscriptions.license_id
    group by licenses.license_id
),

reasoned as (
    select
        licenses.*,
        subscribed.live_subscriptions,
        case
            when
                licenses.status in ('cancelled', 'expired')
                and subscribed.live_subscriptions > 0
                then 'charged_without_access'
            when
                licenses.status = 'active'
                and licenses.plan_type != 'free'
                and subscribed.live_subscriptions = 0
                then 'access_without_subscription'
            when
                licenses.status = 'active'
                and subscribed.live_subscriptions > 0
                and subscribed.live_subscriptions_on_plan = 0
                then 'another_plan'
        end as reason
    from licenses
    inner join subscribed on licenses.license_id = subscribed.license_id
)

select
    license_id,
    reason,
    status,
    plan_type,
    live_subscriptions,
    updated_at
from reasoned
where reason is not null
