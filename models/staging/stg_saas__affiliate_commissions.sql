select
    id as commission_id,
    affiliate_id,
    referral_id,
    payment_transaction_id,
    payout_id,
    commission_type,
    status,
    upper(currency) as currency,
    cast(amount_cents as bigint) as amount_cents,
    commission_rate as commission_percent,
    approved_at,
    paid_at,
    created_at,
    updated_at
from {{ source("saas", "affiliate_commissions") }}
