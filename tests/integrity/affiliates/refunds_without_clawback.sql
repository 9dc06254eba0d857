-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Only of payments that were refunded in full, by the amount and not by the status. The
-- program decides the effect of a partial refund on the commission. A pending one can
-- still be canceled. A person makes an adjustment.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where
        status in ('succeeded', 'refunded')
        and amount_cents > 0
        and refunded_amount_cents >= amount_cents
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where status in ('approved', 'paid') and commission_type != 'adjustment'
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
