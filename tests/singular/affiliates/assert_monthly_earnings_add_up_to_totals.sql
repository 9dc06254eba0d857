-- Over all months and types, an affiliate's commissions add up to the present ledger.
-- Commissions outside the calendar have no month. One row per affiliate and currency
-- that doesn't add up.
{{ config(group="affiliates") }}

with monthly as (
    select
        affiliate_id,
        currency,
        commissions,
        earned_cents,
        pending_cents,
        cancelled_cents,
        disputed_cents
    from {{ ref("fct_affiliate_earnings_monthly") }}
    union all
    select
        affiliate_id,
        currency,
        entries as commissions,
        case when status in ('approved', 'paid') then amount_cents else 0 end
            as earned_cents,
        case when status = 'pending' then amount_cents else 0 end as pending_cents,
        case when status = 'cancelled' then amount_cents else 0 end as cancelled_cents,
        case when status = 'disputed' then amount_cents else 0 end as disputed_cents
    from {{ ref("int_ledger__by_month_affiliate_type_status_currency") }}
    where entry_month is null and entry_kind = 'commission'
),

sums as (
    select
        affiliate_id,
        currency,
        sum(commissions) as commissions,
        sum(earned_cents) as earned_cents,
        sum(pending_cents) as pending_cents,
        sum(cancelled_cents) as cancelled_cents,
        sum(disputed_cents) as disputed_cents
    from monthly
    group by affiliate_id, currency
),

totals as (
    select * from {{ ref("fct_affiliate_earnings") }}
    where commissions > 0
)

select
    coalesce(sums.affiliate_id, totals.affiliate_id) as affiliate_id,
    coalesce(sums.currency, totals.currency) as currency,
    sums.commissions as commissions_by_month,
    totals.commissions as commissions_in_total,
    sums.earned_cents as earned_by_month,
    totals.total_earnings_cents as earned_in_total,
    sums.pending_cents as pending_by_month,
    totals.pending_cents as pending_in_total
from sums
full outer join totals
    on sums.affiliate_id = totals.affiliate_id and sums.currency = totals.currency
where
    not coalesce(
        sums.commissions = totals.commissions
        and sums.earned_cents = totals.total_earnings_cents
        and sums.pending_cents = totals.pending_cents
        and sums.cancelled_cents = totals.cancelled_cents
        and sums.disputed_cents = totals.disputed_cents,
        false
    )
