-- The mart's sums equal the counters on affiliates. The test omits affiliates who earn
-- in several currencies, because only counters add up currencies. One row per affiliate
-- who differs. The next run checks affiliates who changed since this run began.
with affiliates as (
    select * from {{ ref("stg_saas__affiliates") }}
    where updated_at < {{ run_start() }}
),

earnings as (
    select
        affiliate_id,
        count(*) as currencies,
        sum(total_earnings_cents) as total_earnings_cents,
        sum(paid_cents) as paid_cents,
        sum(approved_cents) as approved_cents
    from {{ ref("fct_affiliate_earnings") }}
    where commissions > 0
    group by affiliate_id
)

select
    affiliates.affiliate_id,
    affiliates.total_earnings_cents as total_earnings_counter,
    affiliates.paid_out_cents as paid_out_counter,
    affiliates.pending_payout_cents as pending_payout_counter,
    coalesce(earnings.total_earnings_cents, 0) as total_earnings_in_mart,
    coalesce(earnings.paid_cents, 0) as paid_in_mart,
    coalesce(earnings.approved_cents, 0) as approved_in_mart
from affiliates
left join earnings on affiliates.affiliate_id = earnings.affiliate_id
where
    coalesce(earnings.currencies, 0) <= 1
    and (
        affiliates.total_earnings_cents != coalesce(earnings.total_earnings_cents, 0)
        or affiliates.paid_out_cents != coalesce(earnings.paid_cents, 0)
        or affiliates.pending_payout_cents != coalesce(earnings.approved_cents, 0)
    )
