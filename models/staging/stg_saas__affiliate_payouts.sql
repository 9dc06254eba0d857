select
    id as payout_id,
    affiliate_id,
    status,
    payment_method,
    upper(currency) as currency,
    cast(amount_cents as bigint) as amount_cents,
    commission_count,
    {{ plausible_time("processed_at") }} as processed_at,
    {{ plausible_time("completed_at") }} as completed_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "affiliate_payouts") }}
