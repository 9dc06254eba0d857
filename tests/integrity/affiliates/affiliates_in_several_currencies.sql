-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Counted are the commissions that the counters add up.
with commissions as (
    select * from {{ ref("stg_saas__affiliate_commissions") }}
    where status in ('approved', 'paid')
)

select
    affiliate_id,
    'counters_add_up_currencies' as reason,
    count(distinct currency) as currencies,
    count(*) as commissions,
    min(currency) as first_currency,
    max(currency) as last_currency
from commissions
group by affiliate_id
having count(distinct currency) > 1
