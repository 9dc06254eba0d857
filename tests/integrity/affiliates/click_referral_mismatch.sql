-- depends_on: {{ ref("fct_affiliate_funnel_daily") }}
-- A click that converted may have lost its referral: it was deleted with its user. Of
-- several clicks of one referral, one has to be marked, and only once it converted.
with clicks as (
    select * from {{ ref("stg_saas__affiliate_clicks") }}
    where referral_id is not null
),

referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
),

marked as (
    select distinct referral_id from clicks
    where is_converted
)

select
    clicks.click_id,
    clicks.affiliate_id,
    clicks.referral_id,
    referrals.affiliate_id as referring_affiliate_id,
    case
        when clicks.affiliate_id != referrals.affiliate_id
            then 'referral_of_another_affiliate'
        else 'not_marked_as_converted'
    end as reason,
    clicks.clicked_at
from clicks
inner join referrals on clicks.referral_id = referrals.referral_id
left join marked on clicks.referral_id = marked.referral_id
where
    clicks.affiliate_id != referrals.affiliate_id
    or (referrals.status = 'converted' and marked.referral_id is null)
