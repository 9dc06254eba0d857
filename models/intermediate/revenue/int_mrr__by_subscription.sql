{{ config(
    meta={"exact": {
        "renamed_from": "int_subscriptions_mrr",
        "keys": ["license_id"],
        "inputs": {"int_mrr_span__by_subscription": {}},
    }},
) }}

-- One row per subscription that ever brings recurring revenue, with the months in which
-- it counts. A subscription that ends within an hour before another one of its license
-- and currency lasts until then. A change of subscriptions takes seconds, and may fall
-- on the end of a month.
with spans as (
    select * from {{ ref("int_mrr_span__by_subscription") }}
),

followed as (
    select
        spans.subscription_id,
        min(successors.mrr_starts_at) as followed_at
    from spans
    inner join spans as successors
        on
            spans.license_id = successors.license_id
            and spans.currency = successors.currency
            and spans.mrr_ends_at < successors.mrr_starts_at
            and spans.mrr_ends_at + interval '1 hour' >= successors.mrr_starts_at
    group by spans.subscription_id
),

bridged as (
    select
        spans.subscription_id,
        spans.license_id,
        spans.plan_type,
        spans.currency,
        spans.mrr_cents,
        spans.mrr_starts_at,
        coalesce(followed.followed_at, spans.mrr_ends_at) as mrr_ends_at
    from spans
    left join followed on spans.subscription_id = followed.subscription_id
)

select
    subscription_id,
    license_id,
    plan_type,
    currency,
    mrr_cents,
    {{ reporting_month("mrr_starts_at") }} as mrr_first_month,
    case
        when mrr_ends_at is not null then {{ reporting_month("mrr_ends_at") }}
    end as mrr_end_month,
    mrr_starts_at,
    mrr_ends_at
from bridged
