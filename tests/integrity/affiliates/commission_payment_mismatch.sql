-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- The program decides the base and the rounding of a share: only a share above the
-- whole payment is wrong. A rate of 0 is a fixed fee and no share. A commission may be
-- converted into another currency; one that is the payment's share to the minor unit
-- was not. A bank transfer gets 30 days to arrive, up to the last payment of all.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where
        commission_type in ('initial', 'recurring')
        and status in ('pending', 'approved', 'paid')
),

payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
),

last_payment as (
    select max(created_at) as created_at from payments
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

-- A commission that is not earned yet, or never will be, is compared only together with
-- the others of its payment: one of them should be refused.
joined as (
    select
        commissions.*,
        payments.status as payment_status,
        payments.currency as payment_currency,
        payments.amount_cents as payment_amount_cents,
        payments.created_at
        < last_payment.created_at - interval '30 days' as is_overdue,
        commissions.status in ('approved', 'paid') as is_earned,
        commissions.commission_percent > 0 as is_share,
        coalesce(
            licenses.license_id != referrals.license_id
            and licenses.user_id != referrals.referred_user_id,
            false
        ) as is_of_another_customer,
        sum(
            case
                when
                    commissions.currency = payments.currency
                    and commissions.commission_percent > 0
                    then commissions.amount_cents
            end
        ) over (partition by commissions.payment_transaction_id) as shares_cents
    from commissions
    inner join payments
        on commissions.payment_transaction_id = payments.payment_transaction_id
    cross join last_payment
    inner join referrals on commissions.referral_id = referrals.referral_id
    left join subscriptions on payments.subscription_id = subscriptions.subscription_id
    left join licenses on subscriptions.license_id = licenses.license_id
),

reasoned as (
    select
        *,
        case
            when is_earned and payment_status in ('failed', 'canceled')
                then 'payment_never_received'
            when
                payment_status = 'pending'
                and (status = 'paid' or (is_earned and is_overdue))
                then 'payment_never_received'
            when
                is_earned
                and is_share
                and currency != payment_currency
                and abs(
                    amount_cents - payment_amount_cents * commission_percent / 100
                ) < 1
                then 'another_currency'
            when
                is_earned
                and is_share
                and currency = payment_currency
                and amount_cents > payment_amount_cents
                then 'more_than_the_payment'
            when is_earned and is_of_another_customer then 'payment_of_another_customer'
            when
                is_share
                and currency = payment_currency
                and amount_cents <= payment_amount_cents
                and shares_cents > payment_amount_cents
                then 'together_more_than_the_payment'
        end as reason
    from joined
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
