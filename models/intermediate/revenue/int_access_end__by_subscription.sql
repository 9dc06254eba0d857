{{ config(
    meta={"exact": {
        "renamed_from": "int_subscriptions_access",
        "keys": ["license_id"],
        "inputs": {"stg_saas__subscriptions": {}, "stg_saas__licenses": {}},
    }},
) }}

-- One row per subscriptionwith the time at which its license ended or another
-- subscription replaced it. The rest of the period is credited to the other one.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

replacements as (
    select
        subscriptions.subscription_id,
        min(successors.created_at) as replaced_at
    from subscriptions
    inner join subscriptions as successors
        on
            subscriptions.license_id = successors.license_id
            and subscriptions.subscription_id != successors.subscription_id
            and subscriptions.canceled_at < successors.created_at + interval '1 hour'
    where successors.status not in ('incomplete', 'incomplete_expired')
    group by subscriptions.subscription_id
)

select
    subscriptions.subscription_id,
    subscriptions.license_id,
    least(replacements.replaced_at, licenses.cancelled_at, licenses.expires_at)
        as access_ends_at
from subscriptions
inner join licenses on subscriptions.license_id = licenses.license_id
left join replacements
    on subscriptions.subscription_id = replacements.subscription_id
