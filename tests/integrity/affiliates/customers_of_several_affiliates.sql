-- depends_on: {{ ref("fct_affiliate_funnel_daily") }}
-- A unique key keeps one affiliate from claiming a user twice, not two from doing so.
-- Two affiliates may bring one user for two licenses; a referral without a license may
-- be for each of them.
with referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
    where status = 'converted'
),

counted as (
    select
        *,
        count(*) over (partition by referred_user_id) as converted_referrals,
        count(*) over (partition by referred_user_id, license_id) as of_license,
        {{ count_if("license_id is null") }} over (partition by referred_user_id)
            as of_no_license
    from referrals
)

select
    referral_id,
    affiliate_id,
    referred_user_id,
    'converted_for_several' as reason,
    license_id,
    converted_referrals,
    converted_at
from counted
where
    converted_referrals > 1
    and (of_license > 1 or of_no_license > 0)
