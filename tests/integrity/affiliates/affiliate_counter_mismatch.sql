-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Over all currencies, as in the counters. One statement reads both, so that concurrent
-- writes can't cause a finding.
with affiliates as (
    select * from {{ ref("stg_saas__affiliates") }}
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
),

referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
),

earned as (
    select
        affiliate_id,
        {{ sum_if("amount_cents", "status in ('approved', 'paid')") }}
            as total_earnings_cents,
        {{ sum_if("amount_cents", "status = 'paid'") }} as paid_out_cents,
        {{ sum_if("amount_cents", "status = 'approved'") }} as pending_payout_cents
    from commissions
    group by affiliate_id
),

referred as (
    select
        affiliate_id,
        {{ count_if("status in ('qualified', 'converted')") }} as total_referrals
    from referrals
    group by affiliate_id
),

compared as (
    select
        affiliates.affiliate_id,
        affiliates.total_referrals,
        affiliates.total_earnings_cents,
        affiliates.paid_out_cents,
        affiliates.pending_payout_cents,
        coalesce(referred.total_referrals, 0) as counted_referrals,
        coalesce(earned.total_earnings_cents, 0) as counted_earnings_cents,
        coalesce(earned.paid_out_cents, 0) as counted_paid_out_cents,
        coalesce(earned.pending_payout_cents, 0) as counted_pending_payout_cents
    from affiliates
    left join earned on affiliates.affiliate_id = earned.affiliate_id
    left join referred on affiliates.affiliate_id = referred.affiliate_id
)

select
    affiliate_id,
    case
        when total_referrals != counted_referrals then 'total_referrals'
        when total_earnings_cents != counted_earnings_cents then 'total_earnings_cents'
        when paid_out_cents != counted_paid_out_cents then 'paid_out_cents'
        else 'pending_payout_cents'
    end as reason,
    total_referrals,
    counted_referrals,
    total_earnings_cents,
    counted_earnings_cents,
    paid_out_cents,
    counted_paid_out_cents,
    pending_payout_cents,
    counted_pending_payout_cents
from compared
where
    total_referrals != counted_referrals
    or total_earnings_cents != counted_earnings_cents
    or paid_out_cents != counted_paid_out_cents
    or pending_payout_cents != counted_pending_payout_cents
