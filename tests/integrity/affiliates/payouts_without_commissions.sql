-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- A pending payout may still wait for its commissions, and one that failed or was
-- cancelled moved no money. One that is processing may get them when it completes:
-- approved commissions account for it. A completed one may settle what an earlier
-- payout was short of.
with payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
),

accounts as (
    {{ affiliate_accounts() }}
),

-- Never in the currency in which they are overpaid.
underpaid as (
    select distinct affiliate_id from accounts
    where is_underpaid
),

approved as (
    select
        affiliate_id,
        currency,
        sum(amount_cents) as approved_cents
    from commissions
    where status = 'approved' and payout_id is null
    group by affiliate_id, currency
)

select
    payouts.payout_id,
    payouts.affiliate_id,
    'payout_is_' || payouts.status as reason,
    payouts.currency,
    payouts.amount_cents,
    payouts.commission_count,
    payouts.created_at
from payouts
left join commissions on payouts.payout_id = commissions.payout_id
left join accounts
    on
        payouts.affiliate_id = accounts.affiliate_id
        and payouts.currency = accounts.currency
left join approved
    on
        payouts.affiliate_id = approved.affiliate_id
        and payouts.currency = approved.currency
left join underpaid on payouts.affiliate_id = underpaid.affiliate_id
where
    commissions.commission_id is null
    and (
        (
            payouts.status = 'completed'
            and accounts.is_overpaid
            -- Otherwise payouts_in_another_currency lists it.
            and underpaid.affiliate_id is null
        )
        or (
            payouts.status = 'processing'
            and payouts.amount_cents > coalesce(approved.approved_cents, 0)
        )
    )
