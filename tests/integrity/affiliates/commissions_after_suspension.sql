-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- What was earned before stays owed; what is pending can still be refused.
with affiliates as (
    select * from {{ ref("stg_saas__affiliates") }}
    where status in ('suspended', 'banned')
),

commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where status in ('approved', 'paid')
)

select
    commissions.commission_id,
    commissions.affiliate_id,
    'affiliate_is_' || affiliates.status as reason,
    commissions.status,
    commissions.currency,
    commissions.amount_cents,
    affiliates.suspended_at,
    commissions.created_at
from affiliates
inner join commissions on affiliates.affiliate_id = commissions.affiliate_id
where commissions.created_at > affiliates.suspended_at
