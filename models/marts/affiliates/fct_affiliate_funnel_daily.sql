{{ config(
    meta={"exact": {
        "keys": ["funnel_date", "affiliate_id"],
        "inputs": {
            "stg_saas__affiliate_clicks": {"keys": {"funnel_date": "day of clicked_at"}},
            "stg_saas__affiliate_referrals": {
                "keys": [
                    {"funnel_date": "day of created_at"},
                    {"funnel_date": "day of qualified_at"},
                    {"funnel_date": "day of converted_at"},
                ],
            },
        },
    }},
) }}

-- One row per day, affiliate and campaign with any step; a null campaign is a group.
-- Each step counts on its own day, so the conversions of a day may come from clicks of
-- earlier days. Cancelled and refunded referrals lose their later steps.
with clicks as (
    select * from {{ ref("stg_saas__affiliate_clicks") }}
),

referrals as (
    select * from {{ ref("stg_saas__affiliate_referrals") }}
),

valid_referrals as (
    select * from referrals
    where status not in ('cancelled', 'refunded')
),

steps as (
    select
        {{ reporting_date("clicked_at") }} as funnel_date,
        affiliate_id,
        utm_campaign,
        count(*) as clicks,
        {{ count_if("is_converted") }} as converted_clicks,
        0 as referrals,
        0 as qualified_referrals,
        0 as converted_referrals
    from clicks
    group by {{ reporting_date("clicked_at") }}, affiliate_id, utm_campaign
    union all
    select
        {{ reporting_date("created_at") }} as funnel_date,
        affiliate_id,
        utm_campaign,
        0 as clicks,
        0 as converted_clicks,
        count(*) as referrals,
        0 as qualified_referrals,
        0 as converted_referrals
    from referrals
    where created_at is not null
    group by {{ reporting_date("created_at") }}, affiliate_id, utm_campaign
    union all
    select
        {{ reporting_date("qualified_at") }} as funnel_date,
        affiliate_id,
        utm_campaign,
        0 as clicks,
        0 as converted_clicks,
        0 as referrals,
        count(*) as qualified_referrals,
        0 as converted_referrals
    from valid_referrals
    where qualified_at is not null
    group by {{ reporting_date("qualified_at") }}, affiliate_id, utm_campaign
    union all
    select
        {{ reporting_date("converted_at") }} as funnel_date,
        affiliate_id,
        utm_campaign,
        0 as clicks,
        0 as converted_clicks,
        0 as referrals,
        0 as qualified_referrals,
        count(*) as converted_referrals
    from valid_referrals
    where converted_at is not null
    group by {{ reporting_date("converted_at") }}, affiliate_id, utm_campaign
)

select
    funnel_date,
    affiliate_id,
    utm_campaign,
    cast(sum(clicks) as bigint) as clicks,
    cast(sum(converted_clicks) as bigint) as converted_clicks,
    cast(sum(referrals) as bigint) as referrals,
    cast(sum(qualified_referrals) as bigint) as qualified_referrals,
    cast(sum(converted_referrals) as bigint) as converted_referrals,
    {{ safe_ratio("sum(converted_referrals)", "sum(clicks)") }} as conversion_rate
from steps
group by funnel_date, affiliate_id, utm_campaign
