-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- How a share is rounded, and of what, is the programme's affair: only a share of more
-- than all is wrong. What is not earned yet, or never will be, is left alone.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where
        commission_type in ('initial', 'recurring')
        and status in ('approved', 'paid')
),

payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
),

subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
),

reasoned as (
    select
        commissions.*,
        payments.status as payment_status,
        payments.currency as payment_currency,
        payments.amount_cents as payment_amount_cents,
        case
            when payments.status not in ('succeeded', 'refunded')
                then 'payment_never_received'
            when commissions.currency != payments.currency then 'another_currency'
            when commissions.amount_cents > payments.amount_cents
                then 'more_than_the_payment'
            when
                licenses.license_id != referrals.license_id
                and licenses.user_id != referrals.referred_user_id
                then 'payment_of_another_customer'
        end as reason
    from commissions
    inner join payments
        on commissions.payment_transaction_id = payments.payment_transaction_id
    inner join referrals on commissions.referral_id = referrals.referral_id
    left join subscriptions on payments.subscription_id = subscriptions.subscription_id
    left join licenses on subscriptions.license_id = licenses.license_id
)

select
    commission_id,
    affiliate_id,
    referral_id,
    payment_transaction_id,
    reason,
    status,
    payment_status,
    currency,
    amount_cents,
    payment_currency,
    payment_amount_cents,
    created_at
from reasoned
where reason is not null
