{{ config(
    meta={"exact": {
        "keys": ["affiliate_id"],
        "inputs": {"int_ledger__by_month_affiliate_type_status_currency": {}},
    }},
) }}

-- One row per affiliate and currency with any commission or payout: amounts earned,
-- amounts paid out and the difference. Each commission counts by its current status.
with ledger as (
    select * from {{ ref("int_ledger__by_month_affiliate_type_status_currency") }}
),

sums as (
    select
        affiliate_id,
        currency,
        {{ sum_if(
            "amount_cents", "entry_kind = 'commission' and status = 'pending'"
        ) }} as pending_cents,
        {{ sum_if(
            "amount_cents", "entry_kind = 'commission' and status = 'approved'"
        ) }} as approved_cents,
        {{ sum_if(
            "amount_cents", "entry_kind = 'commission' and status = 'paid'"
        ) }} as paid_cents,
        {{ sum_if(
            "amount_cents", "entry_kind = 'commission' and status = 'cancelled'"
        ) }} as cancelled_cents,
        {{ sum_if(
            "amount_cents", "entry_kind = 'commission' and status = 'disputed'"
        ) }} as disputed_cents,
        {{ sum_if("entries", "entry_kind = 'commission'") }} as commissions,
        {{ sum_if(
            "amount_cents", "entry_kind = 'payout' and status = 'completed'"
        ) }} as payouts_completed_cents,
        {{ sum_if(
            "amount_cents",
            "entry_kind = 'payout' and status in ('pending', 'processing')"
        ) }} as payouts_in_flight_cents
    from ledger
    group by affiliate_id, currency
)

select
    affiliate_id,
    currency,
    commissions,
    pending_cents,
    approved_cents,
    paid_cents,
    cancelled_cents,
    disputed_cents,
    approved_cents + paid_cents as total_earnings_cents,
    payouts_completed_cents,
    payouts_in_flight_cents,
    paid_cents - payouts_completed_cents as unreconciled_cents
from sums
