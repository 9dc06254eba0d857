-- depends_on: {{ ref("fct_mrr_monthly") }}
-- The license counts: after a change of plan, what was paid for the old subscription
-- may cover the new one. Measured from the last payment of all, with time for an
-- invoice.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where status in ('succeeded', 'refunded')
),

last_payment as (
    select max(created_at) as paid_at from {{ ref("stg_saas__payment_transactions") }}
),

paying_licenses as (
    select distinct subscriptions.license_id
    from payments
    inner join subscriptions
        on payments.subscription_id = subscriptions.subscription_id
)

select
    subscriptions.subscription_id,
    subscriptions.license_id,
    'subscription_is_' || subscriptions.status as reason,
    subscriptions.currency,
    subscriptions.amount_cents,
    subscriptions.created_at,
    subscriptions.trial_end_at
from subscriptions
cross join last_payment
left join paying_licenses on subscriptions.license_id = paying_licenses.license_id
where
    subscriptions.status in ('active', 'past_due')
    and subscriptions.amount_cents > 0
    and paying_licenses.license_id is null
    and greatest(subscriptions.created_at, subscriptions.trial_end_at)
    < last_payment.paid_at - interval '45 days'
