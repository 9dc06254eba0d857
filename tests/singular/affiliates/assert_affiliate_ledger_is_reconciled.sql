-- Every commission that is marked as paid is covered by a completed payout, and the
-- other way round. One row per affiliate and currency with a balance: the partner
-- programme looks into it. A warning, for the marts are right and the ledger is not.
{{ config(severity="warn") }}

select
    affiliate_id,
    currency,
    paid_cents,
    payouts_completed_cents,
    payouts_in_flight_cents,
    unreconciled_cents
from {{ ref("fct_affiliate_earnings") }}
where unreconciled_cents != 0
