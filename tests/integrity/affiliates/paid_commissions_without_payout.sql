-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- No foreign key holds payout_id, so it may name a payout that isn't there. A payout
-- under way gets two weeks to arrive, measured from the last change of any payout. A
-- commission of 0 needs no payout, and one that was netted with a clawback has none.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where status = 'paid' and amount_cents > 0
),

payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
),

last_change as (
    select max(updated_at) as changed_at from {{ ref("stg_saas__affiliate_payouts") }}
),

accounts as (
    {{ affiliate_accounts() }}
),

-- What was sent in another currency may be for them: payouts_in_another_currency.
overpaid as (
    select distinct affiliate_id from accounts
    where is_overpaid
)

select
    commissions.commission_id,
    commissions.affiliate_id,
    commissions.payout_id,
    case
        when commissions.payout_id is null then 'names_no_payout'
        when payouts.payout_id is null then 'payout_is_missing'
        else 'payout_is_' || payouts.status
    end as reason,
    commissions.currency,
    commissions.amount_cents,
    commissions.paid_at
from commissions
left join payouts on commissions.payout_id = payouts.payout_id
cross join last_change
left join accounts
    on
        commissions.affiliate_id = accounts.affiliate_id
        and commissions.currency = accounts.currency
left join overpaid on commissions.affiliate_id = overpaid.affiliate_id
where
    case
        when payouts.status = 'completed' then false
        when payouts.status in ('pending', 'processing')
            then payouts.created_at < last_change.changed_at - interval '14 days'
        else accounts.is_underpaid and overpaid.affiliate_id is null
    end
