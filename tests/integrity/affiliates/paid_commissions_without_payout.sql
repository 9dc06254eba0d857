-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- No foreign key holds payout_id, so it may name a payout that isn't there.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where status = 'paid'
),

payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
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
where payouts.payout_id is null or payouts.status != 'completed'
