select
    id as commission_id,
    affiliate_id,
    referral_id,
    payment_transaction_id,
    payout_id,
    {{ name_of("commission_type") }} as commission_type,
    {{ name_of("status") }} as status,
    {{ name_of("upper(currency)") }} as currency,
    cast(amount_cents as bigint) as amount_cents,
    commission_rate as commission_percent,
    {{ plausible_time("approved_at") }} as approved_at,
    {{ plausible_time("paid_at") }} as paid_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "affiliate_commissions") }}
