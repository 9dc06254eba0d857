select
    id as referral_id,
    affiliate_id,
    referred_user_id,
    license_id,
    subscription_id,
    {{ name_of("status") }} as status,
    {{ name_of("utm_campaign", "link") }} as utm_campaign,
    {{ plausible_time("qualified_at") }} as qualified_at,
    {{ plausible_time("converted_at") }} as converted_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "affiliate_referrals") }}
