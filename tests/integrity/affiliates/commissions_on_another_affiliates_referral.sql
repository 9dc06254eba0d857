-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- A share of the customer's payments. A bonus may go to the affiliate who recruited the
-- one that brought the customer, and a dispute is already looked into.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where
        commission_type in ('initial', 'recurring')
        and status in ('pending', 'approved', 'paid')
),

referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
)

select
    commissions.commission_id,
    commissions.affiliate_id,
    commissions.referral_id,
    referrals.affiliate_id as referring_affiliate_id,
    'commission_is_' || commissions.status as reason,
    commissions.currency,
    commissions.amount_cents,
    commissions.created_at
from commissions
inner join referrals on commissions.referral_id = referrals.referral_id
where commissions.affiliate_id != referrals.affiliate_id
