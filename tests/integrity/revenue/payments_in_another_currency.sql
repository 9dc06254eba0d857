-- depends_on: {{ ref("fct_revenue_monthly") }}
-- depends_on: {{ ref("fct_mrr_monthly") }}
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where status in ('pending', 'succeeded', 'refunded')
),

subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
)

select
    payments.payment_transaction_id,
    payments.subscription_id,
    'payment_is_' || payments.status as reason,
    payments.currency,
    payments.amount_cents,
    subscriptions.currency as subscription_currency,
    subscriptions.amount_cents as subscription_amount_cents,
    payments.created_at
from payments
inner join subscriptions on payments.subscription_id = subscriptions.subscription_id
where payments.currency != subscriptions.currency
