-- depends_on: {{ ref("fct_mrr_monthly") }}
-- Measured from the last change of any subscription, not from today: the freshness of
-- the source reports an import that has stopped.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

last_change as (
    select max(updated_at) as changed_at from {{ ref("stg_saas__subscriptions") }}
)

select
    subscriptions.subscription_id,
    subscriptions.license_id,
    case
        when subscriptions.status = 'trialing' then 'trial_is_over'
        else 'period_is_over'
    end as reason,
    subscriptions.currency,
    subscriptions.amount_cents,
    subscriptions.current_period_end_at,
    subscriptions.trial_end_at,
    last_change.changed_at as last_change_at
from subscriptions
cross join last_change
where
    subscriptions.status in ('active', 'trialing')
    and case
        when subscriptions.status = 'trialing' then subscriptions.trial_end_at
        else subscriptions.current_period_end_at
    end < last_change.changed_at - interval '3 days'
