-- depends_on: {{ ref("fct_revenue_monthly") }}
-- Some days are allowed for an open attempt. A payment within the row's present period
-- is correct: canceled_at is then the time of a request.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where status = 'succeeded' and refunded_amount_cents < amount_cents
),

ended as (
    select
        *,
        case
            when is_canceled_at_period_end
                then greatest(canceled_at, current_period_end_at)
            else canceled_at
        end as ended_at
    from {{ ref("stg_saas__subscriptions") }}
    where status = 'canceled'
)

select
    payments.payment_transaction_id,
    payments.subscription_id,
    'subscription_is_canceled' as reason,
    payments.currency,
    payments.amount_cents,
    payments.refunded_amount_cents,
    ended.ended_at as subscription_ended_at,
    payments.created_at
from payments
inner join ended on payments.subscription_id = ended.subscription_id
where
    payments.created_at > ended.ended_at + interval '3 days'
    and coalesce(payments.created_at >= ended.current_period_end_at, true)
