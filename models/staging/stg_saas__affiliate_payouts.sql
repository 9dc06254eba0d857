select
    id as payout_id,
    affiliate_id,
    status,
    payment_method,
    upper(currency) as currency,
    cast(amount_cents as bigint) as amount_cents,
    commission_count,
    processed_at,
    completed_at,
    created_at,
    updated_at
from {{ source("saas", "affiliate_payouts") }}
