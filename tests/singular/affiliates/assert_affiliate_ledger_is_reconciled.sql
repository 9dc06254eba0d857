-- Every commission that is marked as paid is covered by a completed payout, and the
-- other way round. One row per affiliate and currency with a balance: the partner
-- programme looks into it. A warning, because the marts are right and the ledger is
-- not. A balance that wholly comes from payouts in another currency than their
-- commissions is left to payouts_in_another_currency.
{{ config(severity="warn", store_failures=true) }}

with earnings as (
    select * from {{ ref("fct_affiliate_earnings") }}
    where unreconciled_cents != 0
),

accounts as (
    {{ affiliate_accounts() }}
)

select
    earnings.affiliate_id,
    earnings.currency,
    earnings.paid_cents,
    earnings.payouts_completed_cents,
    earnings.payouts_in_flight_cents,
    earnings.unreconciled_cents,
    coalesce(accounts.converted_cents, 0) as converted_cents
from earnings
left join accounts
    on
        earnings.affiliate_id = accounts.affiliate_id
        and earnings.currency = accounts.currency
where earnings.unreconciled_cents != coalesce(accounts.converted_cents, 0)
