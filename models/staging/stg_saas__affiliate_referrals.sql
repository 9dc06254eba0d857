select
    id as referral_id,
    affiliate_id,
    referred_user_id,
    license_id,
    subscription_id,
    status,
    utm_campaign,
    qualified_at,
    converted_at,
    created_at,
    updated_at
from {{ source("saas", "affiliate_referrals") }}
