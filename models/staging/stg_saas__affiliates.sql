select
    id as affiliate_id,
    user_id,
    status,
    commission_rate as commission_percent,
    cast(total_referrals as bigint) as total_referrals,
    cast(total_earnings_cents as bigint) as total_earnings_cents,
    cast(paid_out_cents as bigint) as paid_out_cents,
    cast(pending_payout_cents as bigint) as pending_payout_cents,
    approved_at,
    suspended_at,
    created_at,
    updated_at
from {{ source("saas", "affiliates") }}
