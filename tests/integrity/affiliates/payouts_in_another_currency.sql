-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- An affiliate may request one currency for all customers' payments. Without a link, a
-- payout without commissions probably pays commissions that no payout covers.
with payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
    where status in ('pending', 'processing', 'completed')
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
),

accounts as (
    {{ affiliate_accounts() }}
),

named as (
    select
        payouts.payout_id,
        'commissions_in_another_currency' as reason,
        commissions.currency as commission_currency,
        sum(commissions.amount_cents) as commissions_cents
    from payouts
    inner join commissions on payouts.payout_id = commissions.payout_id
    where payouts.currency != commissions.currency
    group by payouts.payout_id, commissions.currency
),

unnamed as (
    select
        payouts.payout_id,
        'no_commission_names_it' as reason,
        underpaid.currency as commission_currency,
        underpaid.underpaid_cents as commissions_cents
    from payouts
    inner join accounts
        on
            payouts.affiliate_id = accounts.affiliate_id
            and payouts.currency = accounts.currency
            and accounts.is_overpaid
    inner join accounts as underpaid
        on
            payouts.affiliate_id = underpaid.affiliate_id
            and underpaid.is_underpaid
    left join commissions on payouts.payout_id = commissions.payout_id
    where payouts.status = 'completed' and commissions.commission_id is null
),

listed as (
    select * from named
    union all
    select * from unnamed
)

select
    payouts.payout_id,
    payouts.affiliate_id,
    listed.reason,
    payouts.status,
    payouts.currency,
    payouts.amount_cents,
    listed.commission_currency,
    listed.commissions_cents,
    payouts.created_at
from payouts
inner join listed on payouts.payout_id = listed.payout_id
