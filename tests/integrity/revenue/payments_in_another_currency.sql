-- depends_on: {{ ref("fct_revenue_monthly") }}
-- depends_on: {{ ref("fct_mrr_monthly") }}
-- A subscription whose currency was changed keeps its row: then several payments in
-- the former currency all lie before the first one in the present currency. A payment
-- that was refunded in full is corrected.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where
        status in ('pending', 'succeeded', 'refunded')
        and (amount_cents = 0 or refunded_amount_cents < amount_cents)
),

subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

compared as (
    select
        payments.*,
        subscriptions.currency as subscription_currency,
        subscriptions.amount_cents as subscription_amount_cents,
        min(
            case
                when payments.currency = subscriptions.currency
                    then payments.created_at
            end
        ) over of_subscription as first_in_its_currency_at,
        count(*) over (
            partition by payments.subscription_id, payments.currency
        ) as payments_in_currency,
        max(payments.created_at) over (
            partition by payments.subscription_id, payments.currency
        ) as last_in_currency_at
    from payments
    inner join subscriptions
        on payments.subscription_id = subscriptions.subscription_id
    window of_subscription as (partition by payments.subscription_id)
)

select
    payment_transaction_id,
    subscription_id,
    'payment_is_' || status as reason,
    currency,
    amount_cents,
    subscription_currency,
    subscription_amount_cents,
    created_at
from compared
where
    currency != subscription_currency
    and not coalesce(
        payments_in_currency > 1 and last_in_currency_at < first_in_its_currency_at,
        false
    )
