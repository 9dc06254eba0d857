-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- A pending payout may still be waiting for its commissions, and one that failed or was
-- cancelled moved no money.
with payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
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
where
    payouts.status in ('processing', 'completed')
    and commissions.commission_id is null
