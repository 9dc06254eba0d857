-- depends_on: {{ ref("fct_revenue_monthly") }}
-- The test uses the real clock and not `as_of`, with an hour for clocks that differ.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
),

reasoned as (
    select
        *,
        case
            when
                greatest(processed_at, created_at)
                > current_timestamp + interval '1 hour'
                then 'in_the_future'
            when status in ('succeeded', 'refunded') and processed_at is null
                then 'received_without_time'
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
    processed_at,
    created_at
from reasoned
where reason is not null
