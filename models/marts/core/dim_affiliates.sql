-- One row per affiliate with status, terms and dates, as they are now. It has no
-- counters of money, because they add up currencies. See fct_affiliate_earnings
-- instead.
with affiliates as (
    select * from {{ ref("stg_saas__affiliates") }}
)

select
    affiliate_id,
    user_id,
    status,
    commission_percent,
    total_referrals as valid_referrals,
    created_at,
    approved_at,
    suspended_at
from affiliates
