-- At each month's end, MRR is what the subscriptions that live then bring, and
-- customers are their licences: counted anew by looking at every subscription at every
-- month's end, while the mart adds up changes. One row per month, currency and plan
-- that differs.
{{ config(group="revenue") }}

with months as (
    select
        mrr_month,
        currency,
        plan_type,
        closing_mrr_cents,
        customers,
        {{ start_of_day(add_months("mrr_month", 1)) }} as month_ends_at
    from {{ ref("fct_mrr_monthly") }}
),

subscriptions as (
    select * from {{ ref("int_subscriptions_mrr") }}
),

recounted as (
    select
        months.mrr_month,
        months.currency,
        months.plan_type,
        months.closing_mrr_cents,
        months.customers,
        coalesce(sum(subscriptions.mrr_cents), 0) as recounted_mrr_cents,
        count(distinct subscriptions.license_id) as recounted_customers
    from months
    left join subscriptions
        on
            months.currency = subscriptions.currency
            and months.plan_type = subscriptions.plan_type
            and months.month_ends_at > subscriptions.mrr_starts_at
            and (
                subscriptions.mrr_ends_at is null
                or months.month_ends_at <= subscriptions.mrr_ends_at
            )
    group by
        months.mrr_month,
        months.currency,
        months.plan_type,
        months.closing_mrr_cents,
        months.customers
)

select *
from recounted
where
    closing_mrr_cents != recounted_mrr_cents
    or customers != recounted_customers
