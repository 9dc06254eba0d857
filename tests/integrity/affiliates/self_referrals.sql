-- depends_on: {{ ref("fct_affiliate_funnel_daily") }}
with referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
    where status not in ('cancelled', 'refunded')
),

affiliates as (
    select * from {{ ref("stg_saas__affiliates") }}
),

licenses as (
    select * from {{ ref("stg_saas__licenses") }}
)

select
    referrals.referral_id,
    referrals.affiliate_id,
    referrals.referred_user_id,
    referrals.license_id,
    case
        when referrals.referred_user_id = affiliates.user_id then 'own_account'
        else 'own_license'
    end as reason,
    referrals.status,
    referrals.created_at
from referrals
inner join affiliates on referrals.affiliate_id = affiliates.affiliate_id
left join licenses on referrals.license_id = licenses.license_id
where
    referrals.referred_user_id = affiliates.user_id
    or licenses.user_id = affiliates.user_id
