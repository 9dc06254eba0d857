-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Two jobs write one sale's share, and one of them leaves out the payment. Two shares
-- of two payments name both. Several recurring ones without a payment may be months
-- that a job caught up on: only a sale's initial share is one of a kind.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where
        commission_type in ('initial', 'recurring')
        and status in ('pending', 'approved', 'paid')
        and amount_cents > 0
),

neighbors as (
    select
        *,
        lag(created_at) over of_referral as previous_at,
        lead(created_at) over of_referral as next_at,
        -- Of the two, how many name no payment, and whether both are initial ones.
        num_nulls(
            payment_transaction_id, lag(payment_transaction_id) over of_referral
        ) as nulls_with_previous,
        num_nulls(
            payment_transaction_id, lead(payment_transaction_id) over of_referral
        ) as nulls_with_next,
        'initial' = all(
            array[commission_type, lag(commission_type) over of_referral]
        ) as both_initial_with_previous,
        'initial' = all(
            array[commission_type, lead(commission_type) over of_referral]
        ) as both_initial_with_next
    from commissions
    window
        of_referral as (
            partition by affiliate_id, referral_id, currency, amount_cents
            order by created_at, commission_id
        )
)

select
    commission_id,
    affiliate_id,
    referral_id,
    payment_transaction_id,
    'commission_is_' || status as reason,
    commission_type,
    currency,
    amount_cents,
    created_at
from neighbors
where
    (
        previous_at >= created_at - interval '1 hour'
        and (
            nulls_with_previous = 1
            or (nulls_with_previous = 2 and both_initial_with_previous)
        )
    )
    or (
        next_at <= created_at + interval '1 hour'
        and (nulls_with_next = 1 or (nulls_with_next = 2 and both_initial_with_next))
    )
