select
    id as click_id,
    affiliate_id,
    referral_id,
    {{ name_of("utm_campaign", "link") }} as utm_campaign,
    converted as is_converted,
    clicked_at
from {{ source("saas", "affiliate_clicks") }}
where {{ plausible_time("clicked_at") }} is not null
