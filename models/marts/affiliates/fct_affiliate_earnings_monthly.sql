{{ config(
    meta={"exact": {
        "keys": ["earnings_month", "affiliate_id"],
        "inputs": {
            "int_ledger__by_month_affiliate_type_status_currency": {
                "keys": {"earnings_month": "entry_month"},
            },
        },
    }},
) }}

-- One row per month of the commission's creation, affiliate, currency and commission
-- type: the current status of the commissions of the month. A commission stays in its
-- month when its status changes, so past months change until all is settled.
with ledger as (
    select * from {{ ref("int_ledger__by_month_affiliate_type_status_currency") }}
    where entry_kind = 'commission' and entry_month is not null
)

select
    entry_month as earnings_month,
    affiliate_id,
    currency,
    commission_type,
    cast(sum(entries) as bigint) as commissions,
    {{ sum_if("amount_cents", "status in ('approved', 'paid')") }} as earned_cents,
    {{ sum_if("amount_cents", "status = 'pending'") }} as pending_cents,
    {{ sum_if("amount_cents", "status = 'cancelled'") }} as cancelled_cents,
    {{ sum_if("amount_cents", "status = 'disputed'") }} as disputed_cents
from ledger
group by entry_month, affiliate_id, currency, commission_type
