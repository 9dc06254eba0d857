select
    id as affiliate_id,
    user_id,
    {{ name_of("status") }} as status,
    commission_rate as commission_percent,
    cast(total_referrals as bigint) as total_referrals,
    cast(total_earnings_cents as bigint) as total_earnings_cents,
    cast(paid_out_cents as bigint) as paid_out_cents,
    cast(pending_payout_cents as bigint) as pending_payout_cents,
    {{ plausible_time("approved_at") }} as approved_at,
    {{ plausible_time("suspended_at") }} as suspended_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "affiliates") }}
