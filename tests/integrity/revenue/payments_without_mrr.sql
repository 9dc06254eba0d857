-- depends_on: {{ ref("fct_mrr_monthly") }}
{{ config(group="revenue") }}

-- Three days are left on each side, for times that two systems write. What was taken
-- after a cancelled subscription's end is named by payments_after_the_end.
with payments as (
    select
        *,
        least(processed_at, created_at) as paid_at,
        greatest(processed_at, created_at) as written_at
    from {{ ref("stg_saas__payment_transactions") }}
    where
        status in ('succeeded', 'refunded') and refunded_amount_cents < amount_cents
),

subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

spans as (
    select * from {{ ref("int_mrr__by_subscription") }}
),

counted as (
    select distinct payments.payment_transaction_id
    from payments
    inner join subscriptions
        on payments.subscription_id = subscriptions.subscription_id
    inner join spans
        on
            subscriptions.license_id = spans.license_id
            and payments.written_at + interval '3 days' >= spans.mrr_starts_at
            and (
                spans.mrr_ends_at is null
                or payments.paid_at - interval '3 days' < spans.mrr_ends_at
            )
)

select
    payments.payment_transaction_id,
    payments.subscription_id,
    subscriptions.license_id,
    'subscription_is_' || subscriptions.status as reason,
    payments.currency,
    payments.amount_cents,
    payments.refunded_amount_cents,
    subscriptions.amount_cents as subscription_amount_cents,
    payments.paid_at
from payments
inner join subscriptions on payments.subscription_id = subscriptions.subscription_id
left join counted
    on payments.payment_transaction_id = counted.payment_transaction_id
where
    counted.payment_transaction_id is null
    and payments.paid_at is not null
    and not (
        subscriptions.status = 'canceled'
        and coalesce(
            payments.created_at > subscriptions.canceled_at + interval '3 days'
            and payments.created_at >= subscriptions.current_period_end_at, false
        )
    )
