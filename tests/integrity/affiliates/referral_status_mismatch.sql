-- depends_on: {{ ref("fct_affiliate_funnel_daily") }}
-- The funnel counts each step on the day it was taken. A cancelled or refunded referral
-- keeps the days of the steps it once took.
with referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
),

reasoned as (
    select
        *,
        case
            when status = 'converted' and converted_at is null
                then 'converted_without_time'
            when status = 'qualified' and qualified_at is null
                then 'qualified_without_time'
            when status in ('pending', 'qualified') and converted_at is not null
                then 'converted_by_time_alone'
            when status = 'pending' and qualified_at is not null
                then 'qualified_by_time_alone'
        end as reason
    from referrals
)

select
    referral_id,
    affiliate_id,
    reason,
    status,
    qualified_at,
    converted_at,
    created_at
from reasoned
where reason is not null
