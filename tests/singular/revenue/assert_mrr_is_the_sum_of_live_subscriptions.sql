-- At each month's end, MRR is the sum of the live subscriptions, and customers are
-- their licenses. This test reads every subscription at every month's end, while the
-- mart adds up changes. One row per month, currency and plan that differs.
{{ config(group="revenue") }}

with months as (
    select
        mrr_month,
        currency,
        plan_type,
        closing_mrr_cents,
        customers,
        {{ add_months("mrr_month", 1) }} as next_month
    from {{ ref("fct_mrr_monthly") }}
),

subscriptions as (
    select * from {{ ref("int_mrr__by_subscription") }}
),

live_licenses as (
    select
        months.mrr_month,
        months.currency,
        months.plan_type,
        subscriptions.license_id,
        sum(subscriptions.mrr_cents) as mrr_cents
    from months
    inner join subscriptions
        on
            months.currency = subscriptions.currency
            and months.plan_type = subscriptions.plan_type
            and {{ reporting_time("subscriptions.mrr_starts_at") }} < months.next_month
            and (
                subscriptions.mrr_ends_at is null
                or {{ reporting_time("subscriptions.mrr_ends_at") }}
                >= months.next_month
            )
    group by
        months.mrr_month,
        months.currency,
        months.plan_type,
        subscriptions.license_id
),

recounted as (
    select
        mrr_month,
        currency,
        plan_type,
        sum(mrr_cents) as mrr_cents,
        count(*) as customers
    from live_licenses
    group by mrr_month, currency, plan_type
)

select
    months.mrr_month,
    months.currency,
    months.plan_type,
    months.closing_mrr_cents,
    coalesce(recounted.mrr_cents, 0) as recounted_mrr_cents,
    months.customers,
    coalesce(recounted.customers, 0) as recounted_customers
from months
left join recounted
    on
        months.mrr_month = recounted.mrr_month
        and months.currency = recounted.currency
        and months.plan_type = recounted.plan_type
where
    months.closing_mrr_cents != coalesce(recounted.mrr_cents, 0)
    or months.customers != coalesce(recounted.customers, 0)
