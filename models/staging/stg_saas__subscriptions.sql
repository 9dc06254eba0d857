select
    id as subscription_id,
    license_id,
    status,
    plan_type,
    billing_cycle,
    upper(currency) as currency,
    cast(amount_cents as bigint) as amount_cents,
    cancel_at_period_end as is_canceled_at_period_end,
    current_period_start as current_period_start_at,
    current_period_end as current_period_end_at,
    canceled_at,
    trial_start as trial_start_at,
    trial_end as trial_end_at,
    created_at,
    updated_at
from {{ source("saas", "subscriptions") }}
