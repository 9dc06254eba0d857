-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- A payout without any commission is not listed here but as one of those.
with payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
),

settled as (
    select
        payouts.payout_id,
        count(*) as commissions,
        sum(commissions.amount_cents) as commissions_cents,
        {{ count_if("commissions.affiliate_id != payouts.affiliate_id") }}
            as of_other_affiliates,
        {{ count_if("commissions.currency != payouts.currency") }}
            as in_other_currencies
    from payouts
    inner join commissions on payouts.payout_id = commissions.payout_id
    where payouts.status in ('pending', 'processing', 'completed')
    group by payouts.payout_id
)

select
    payouts.payout_id,
    payouts.affiliate_id,
    case
        when settled.of_other_affiliates > 0 then 'commissions_of_another_affiliate'
        when settled.in_other_currencies > 0 then 'commissions_in_another_currency'
        when settled.commissions_cents != payouts.amount_cents then 'another_amount'
        else 'another_count'
    end as reason,
    payouts.status,
    payouts.currency,
    payouts.amount_cents,
    settled.commissions_cents,
    payouts.commission_count,
    settled.commissions,
    payouts.created_at
from payouts
inner join settled on payouts.payout_id = settled.payout_id
where
    settled.of_other_affiliates > 0
    or settled.in_other_currencies > 0
    or settled.commissions_cents != payouts.amount_cents
    or settled.commissions != payouts.commission_count
