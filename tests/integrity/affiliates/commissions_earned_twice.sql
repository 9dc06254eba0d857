-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Bonuses and adjustments may be added to a payment's share. Canceled and disputed ones
-- earn nothing. A share may be granted in parts: their sum is at most the rate's
-- result, plus the rounding of each part.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where
        commission_type in ('initial', 'recurring')
        and status in ('pending', 'approved', 'paid')
        and amount_cents > 0
),

payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
),

counted as (
    select
        commissions.*,
        count(*) over on_payment as commissions_on_payment,
        sum(
            case
                when commissions.currency = payments.currency
                    then commissions.amount_cents
            end
        ) over on_payment as comparable_cents,
        {{ count_if("commissions.currency != payments.currency") }} over on_payment
            as in_other_currencies,
        max(commissions.commission_percent) over on_payment
        * payments.amount_cents / 100 as share_cents
    from commissions
    inner join payments
        on commissions.payment_transaction_id = payments.payment_transaction_id
    window
        on_payment as (
            partition by commissions.affiliate_id, commissions.payment_transaction_id
        )
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
where
    commissions_on_payment > 1
    and (
        in_other_currencies > 0
        or comparable_cents > share_cents + commissions_on_payment
    )
