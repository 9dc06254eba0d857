-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Bonuses and adjustments may come on top of a payment's share; what is cancelled or
-- disputed earns nothing.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where
        commission_type in ('initial', 'recurring')
        and status in ('pending', 'approved', 'paid')
        and payment_transaction_id is not null
),

counted as (
    select
        *,
        count(*) over (partition by affiliate_id, payment_transaction_id)
            as commissions_on_payment
    from commissions
)

select
    commission_id,
    affiliate_id,
    payment_transaction_id,
    'commission_is_' || status as reason,
    commission_type,
    currency,
    amount_cents,
    commissions_on_payment,
    created_at
from counted
where commissions_on_payment > 1
