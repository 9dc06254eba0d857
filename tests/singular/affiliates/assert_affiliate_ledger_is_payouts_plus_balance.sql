-- Commissions marked as paid equal payouts plus the balance, for every affiliate and
-- currency of the source. One row per affiliate and currency where the mart differs.
-- The next run checks affiliates whose entries changed since this run began.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
),

payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
),

entries as (
    select
        affiliate_id,
        currency,
        case when status = 'paid' then amount_cents else 0 end as paid_cents,
        0 as payouts_completed_cents,
        updated_at
    from commissions
    union all
    select
        affiliate_id,
        currency,
        0 as paid_cents,
        case when status = 'completed' then amount_cents else 0 end
            as payouts_completed_cents,
        updated_at
    from payouts
),

source_sums as (
    select
        affiliate_id,
        currency,
        sum(paid_cents) as paid_cents,
        sum(payouts_completed_cents) as payouts_completed_cents
    from entries
    group by affiliate_id, currency
    having max(updated_at) < {{ run_start() }}
),

earnings as (
    select * from {{ ref("fct_affiliate_earnings") }}
)

select
    source_sums.affiliate_id,
    source_sums.currency,
    source_sums.paid_cents as paid_in_source,
    source_sums.payouts_completed_cents as payouts_in_source,
    earnings.paid_cents as paid_in_mart,
    earnings.payouts_completed_cents as payouts_in_mart,
    earnings.unreconciled_cents as balance_in_mart
from source_sums
left join earnings
    on
        source_sums.affiliate_id = earnings.affiliate_id
        and source_sums.currency = earnings.currency
where
    earnings.affiliate_id is null
    or source_sums.paid_cents
    != source_sums.payouts_completed_cents + earnings.unreconciled_cents
    or source_sums.paid_cents != earnings.paid_cents
    or source_sums.payouts_completed_cents != earnings.payouts_completed_cents
