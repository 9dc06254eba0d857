-- depends_on: {{ ref("fct_mrr_monthly") }}
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

reasoned as (
    select
        *,
        case
            when status = 'canceled' and canceled_at is null
                then 'canceled_without_time'
            when canceled_at < created_at then 'canceled_before_it_began'
            when current_period_end_at <= current_period_start_at
                then 'period_ends_before_it_starts'
            when trial_end_at < trial_start_at then 'trial_ends_before_it_starts'
        end as reason
    from subscriptions
)

select
    subscription_id,
    license_id,
    reason,
    status,
    currency,
    amount_cents,
    created_at,
    canceled_at,
    current_period_start_at,
    current_period_end_at,
    trial_start_at,
    trial_end_at
from reasoned
where reason is not null
