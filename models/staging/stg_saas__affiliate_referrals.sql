select
    id as referral_id,
    affiliate_id,
    referred_user_id,
    license_id,
    subscription_id,
    status,
    utm_campaign,
    {{ plausible_time("qualified_at") }} as qualified_at,
    {{ plausible_time("converted_at") }} as converted_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "affiliate_referrals") }}
