select
    id as subscription_id,
    license_id,
    {{ name_of("status") }} as status,
    {{ name_of("plan_type") }} as plan_type,
    {{ name_of("billing_cycle") }} as billing_cycle,
    {{ name_of("upper(currency)") }} as currency,
    cast(amount_cents as bigint) as amount_cents,
    cancel_at_period_end as is_canceled_at_period_end,
    {{ plausible_time("current_period_start") }} as current_period_start_at,
    {{ plausible_time("current_period_end") }} as current_period_end_at,
    {{ plausible_time("canceled_at") }} as canceled_at,
    {{ plausible_time("trial_start") }} as trial_start_at,
    {{ plausible_time("trial_end") }} as trial_end_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "subscriptions") }}
