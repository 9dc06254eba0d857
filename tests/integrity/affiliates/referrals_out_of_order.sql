-- depends_on: {{ ref("fct_affiliate_funnel_daily") }}
-- An hour is left: a referral may be written while its customer pays. A programme that
-- never qualifies a referral has no such step: then none of at least ten conversions
-- has the time. What was refunded wholly was no sale.
with referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
    where status not in ('cancelled', 'refunded')
),

qualifying as (
    select
        {{ count_if("qualified_at is not null") }} > 0
        or {{ count_if("status = 'converted'") }} < 10 as has_step
    from {{ ref("stg_saas__affiliate_referrals") }}
),

payments as (
    select
        licenses.license_id,
        licenses.user_id,
        min(payments.created_at) as paid_at
    from {{ ref("stg_saas__payment_transactions") }} as payments
    inner join {{ ref("stg_saas__subscriptions") }} as subscriptions
        on payments.subscription_id = subscriptions.subscription_id
    inner join {{ ref("stg_saas__licenses") }} as licenses
        on subscriptions.license_id = licenses.license_id
    where
        payments.status in ('succeeded', 'refunded')
        and payments.refunded_amount_cents < payments.amount_cents
    group by licenses.license_id, licenses.user_id
),

paid_by_users as (
    select
        user_id,
        min(paid_at) as paid_at
    from payments
    group by user_id
),

reasoned as (
    select
        referrals.*,
        least(payments.paid_at, paid_by_users.paid_at) as first_paid_at,
        case
            when
                least(referrals.qualified_at, referrals.converted_at)
                < referrals.created_at - interval '1 hour'
                then 'step_before_the_referral'
            when
                least(payments.paid_at, paid_by_users.paid_at)
                < referrals.created_at - interval '1 hour'
                then 'paid_before_the_referral'
            when
                referrals.status = 'converted'
                and referrals.converted_at is not null
                and referrals.qualified_at is null
                and qualifying.has_step
                then 'converted_without_qualifying'
        end as reason
    from referrals
    cross join qualifying
    left join payments on referrals.license_id = payments.license_id
    left join paid_by_users on referrals.referred_user_id = paid_by_users.user_id
)

select
    referral_id,
    affiliate_id,
    referred_user_id,
    license_id,
    reason,
    status,
    created_at,
    qualified_at,
    converted_at,
    first_paid_at
from reasoned
where reason is not null
