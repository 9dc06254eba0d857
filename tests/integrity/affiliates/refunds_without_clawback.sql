-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Only of payments that were given back wholly: what a refund in part does to the
-- commission is the programme's affair. One that is pending can still be cancelled.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where
        status = 'refunded'
        or (status = 'succeeded' and refunded_amount_cents >= amount_cents)
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where status in ('approved', 'paid')
)

select
    commissions.commission_id,
    commissions.affiliate_id,
    payments.payment_transaction_id,
    'commission_is_' || commissions.status as reason,
    commissions.currency,
    commissions.amount_cents,
    payments.currency as payment_currency,
    payments.refunded_amount_cents,
    payments.updated_at as payment_changed_at
from payments
inner join commissions
    on payments.payment_transaction_id = commissions.payment_transaction_id
where payments.amount_cents > 0
