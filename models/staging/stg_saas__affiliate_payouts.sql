select
    id as payout_id,
    affiliate_id,
    {{ name_of("status") }} as status,
    {{ name_of("payment_method") }} as payment_method,
    {{ name_of("upper(currency)") }} as currency,
    cast(amount_cents as bigint) as amount_cents,
    commission_count,
    {{ plausible_time("processed_at") }} as processed_at,
    {{ plausible_time("completed_at") }} as completed_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "affiliate_payouts") }}
