-- Over all days and campaigns, the funnel holds every click and referral of the source
-- once. One row per affiliate with more or fewer. The next run checks affiliates with a
-- click or referral since this run began.
with clicks as (
    select * from {{ ref("stg_saas__affiliate_clicks") }}
),

referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
),

entries as (
    select
        affiliate_id,
        1 as clicks,
        case when is_converted then 1 else 0 end as converted_clicks,
        0 as referrals,
        0 as qualified_referrals,
        0 as converted_referrals,
        clicked_at as written_at
    from clicks
    union all
    select
        affiliate_id,
        0 as clicks,
        0 as converted_clicks,
        case when created_at is not null then 1 else 0 end as referrals,
        case
            when status in ('cancelled', 'refunded') then 0
            when qualified_at is not null then 1
            else 0
        end as qualified_referrals,
        case
            when status in ('cancelled', 'refunded') then 0
            when converted_at is not null then 1
            else 0
        end as converted_referrals,
        updated_at as written_at
    from referrals
),

source_sums as (
    select
        affiliate_id,
        sum(clicks) as clicks,
        sum(converted_clicks) as converted_clicks,
        sum(referrals) as referrals,
        sum(qualified_referrals) as qualified_referrals,
        sum(converted_referrals) as converted_referrals
    from entries
    group by affiliate_id
    having max(written_at) < {{ run_start() }}
),

mart_sums as (
    select
        affiliate_id,
        sum(clicks) as clicks,
        sum(converted_clicks) as converted_clicks,
        sum(referrals) as referrals,
        sum(qualified_referrals) as qualified_referrals,
        sum(converted_referrals) as converted_referrals
    from {{ ref("fct_affiliate_funnel_daily") }}
    group by affiliate_id
)

select
    source_sums.affiliate_id,
    source_sums.clicks as clicks_in_source,
    mart_sums.clicks as clicks_in_mart,
    source_sums.referrals as referrals_in_source,
    mart_sums.referrals as referrals_in_mart,
    source_sums.qualified_referrals as qualified_in_source,
    mart_sums.qualified_referrals as qualified_in_mart,
    source_sums.converted_referrals as converted_in_source,
    mart_sums.converted_referrals as converted_in_mart
from source_sums
left join mart_sums on source_sums.affiliate_id = mart_sums.affiliate_id
where
    source_sums.clicks != coalesce(mart_sums.clicks, 0)
    or source_sums.converted_clicks != coalesce(mart_sums.converted_clicks, 0)
    or source_sums.referrals != coalesce(mart_sums.referrals, 0)
    or source_sums.qualified_referrals != coalesce(mart_sums.qualified_referrals, 0)
    or source_sums.converted_referrals != coalesce(mart_sums.converted_referrals, 0)
