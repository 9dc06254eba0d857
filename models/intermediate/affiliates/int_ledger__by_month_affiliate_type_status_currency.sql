{{ config(
    meta={"exact": {
        "renamed_from": "int_affiliates_ledger_monthly",
        "keys": ["entry_month", "affiliate_id"],
        "inputs": {
            "stg_saas__affiliate_commissions": {"keys": {"entry_month": "month of created_at or none"}},
            "stg_saas__affiliate_payouts": {"keys": {"entry_month": "month of created_at or none"}},
        },
    }},
    indexes=[{"columns": ["affiliate_id"]}],
) }}

-- One row per month, affiliate, currency, kind and status of ledger entries.
-- Commissions and payouts are read in one statement, so that both earnings marts show
-- the same moment of the ledger.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
),

payouts as (
    select * from {{ ref("stg_saas__affiliate_payouts") }}
),

entries as (
    select
        affiliate_id,
        'commission' as entry_kind,
        commission_type,
        status,
        currency,
        amount_cents,
        created_at
    from commissions
    union all
    select
        affiliate_id,
        'payout' as entry_kind,
        null as commission_type,
        status,
        currency,
        amount_cents,
        created_at
    from payouts
),

entries_by_month as (
    select
        {{ reporting_month("created_at") }} as entry_month,
        affiliate_id,
        entry_kind,
        commission_type,
        status,
        currency,
        amount_cents
    from entries
)

select
    entry_month,
    affiliate_id,
    entry_kind,
    commission_type,
    status,
    currency,
    count(*) as entries,
    cast(sum(amount_cents) as bigint) as amount_cents
from entries_by_month
group by entry_month, affiliate_id, entry_kind, commission_type, status, currency
