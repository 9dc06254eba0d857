-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- What was earned before stays owed: the payment's time counts, whenever a job wrote
-- its commission. What is pending can still be refused. A person makes an adjustment,
-- and may settle the account by it.
with affiliates as (
    select * from {{ ref("stg_saas__affiliates") }}
    where status in ('suspended', 'banned')
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where status in ('approved', 'paid') and commission_type != 'adjustment'
),

payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
)

select
    commissions.commission_id,
    commissions.affiliate_id,
    'affiliate_is_' || affiliates.status as reason,
    commissions.status,
    commissions.currency,
    commissions.amount_cents,
    affiliates.suspended_at,
    commissions.created_at
from affiliates
inner join commissions on affiliates.affiliate_id = commissions.affiliate_id
left join payments
    on commissions.payment_transaction_id = payments.payment_transaction_id
where
    least(
        commissions.created_at, coalesce(payments.processed_at, payments.created_at)
    ) > affiliates.suspended_at
