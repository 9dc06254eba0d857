{{ config(
    meta={"exact": {
        "renamed_from": "int_licenses_mrr_changes",
        "keys": ["license_id"],
        "inputs": {"int_mrr__by_subscription": {}},
        "clock": "day",
    }},
) }}

-- One row per month, license, currency and plan whose recurring revenue at the month's
-- end differs from that of the month before. A subscription adds its amount in its
-- first month and subtracts it in its last: two rows per subscription, whatever its
-- length.
with subscriptions as (
    select * from {{ ref("int_mrr__by_subscription") }}
),

-- An end in an earlier month than the start: clocks went back over midnight between.
seen_at_a_month_end as (
    select * from subscriptions
    where mrr_end_month is null or mrr_first_month < mrr_end_month
),

steps as (
    select
        mrr_first_month as change_month,
        license_id,
        currency,
        plan_type,
        mrr_cents as mrr_change_cents
    from seen_at_a_month_end
    union all
    select
        mrr_end_month as change_month,
        license_id,
        currency,
        plan_type,
        -mrr_cents as mrr_change_cents
    from seen_at_a_month_end
    where mrr_end_month is not null
)

select
    change_month,
    license_id,
    currency,
    plan_type,
    cast(sum(mrr_change_cents) as bigint) as mrr_change_cents
from steps
where change_month <= {{ reporting_month(reporting_now()) }}
group by change_month, license_id, currency, plan_type
-- A subscription between two ends of months, or one that replaces its equal, changes
-- nothing.
having sum(mrr_change_cents) != 0
