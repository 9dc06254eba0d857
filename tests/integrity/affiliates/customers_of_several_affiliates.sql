-- depends_on: {{ ref("fct_affiliate_funnel_daily") }}
-- A unique key keeps one affiliate from claiming a user twice, not two from doing so.
with referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
    where status = 'converted'
),

counted as (
    select
        *,
        count(*) over (partition by referred_user_id) as converted_referrals
    from referrals
)

select
    referral_id,
    affiliate_id,
    referred_user_id,
    'converted_for_several' as reason,
    converted_referrals,
    converted_at
from counted
where converted_referrals > 1
