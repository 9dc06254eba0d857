-- depends_on: {{ ref("fct_revenue_monthly") }}
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
),

reasoned as (
    select
        *,
        case
            when refunded_amount_cents > amount_cents then 'more_than_the_payment'
            when
                status = 'refunded' and refunded_amount_cents = 0 and amount_cents > 0
                then 'refunded_without_amount'
            when
                status not in ('succeeded', 'refunded') and refunded_amount_cents > 0
                then 'payment_never_received'
        end as reason
    from payments
)

select
    payment_transaction_id,
    subscription_id,
    reason,
    status,
    currency,
    amount_cents,
    refunded_amount_cents,
    created_at
from reasoned
where reason is not null
