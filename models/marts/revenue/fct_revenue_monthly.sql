{{ config(
    meta={"exact": {
        "keys": ["revenue_month"],
        "inputs": {
            "stg_saas__payment_transactions": {
                "keys": {"revenue_month": "month of coalesce(processed_at, created_at)"},
            },
            "int_plan__by_subscription": {
                "lookup": {
                    "in": "stg_saas__payment_transactions",
                    "by": "subscription_id",
                    "changed": "plan_type",
                },
            },
        },
    }},
) }}

-- One row per month of processing, currency and the subscription's current plan:
-- payments and refunds. A refund counts in the month of its payment, because the source
-- has no time of the refund.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
),

subscriptions as (
    select * from {{ ref("int_plan__by_subscription") }}
),

payments_by_month as (
    select
        {{ reporting_month("coalesce(payments.processed_at, payments.created_at)") }}
            as revenue_month,
        payments.currency,
        coalesce(subscriptions.plan_type, 'none') as plan_type,
        payments.status,
        payments.amount_cents,
        payments.refunded_amount_cents
    from payments
    left join subscriptions
        on payments.subscription_id = subscriptions.subscription_id
    where coalesce(payments.processed_at, payments.created_at) is not null
),

sums as (
    select
        revenue_month,
        currency,
        plan_type,
        {{ count_if("status in ('succeeded', 'refunded')") }} as payments,
        {{ count_if("status = 'failed'") }} as failed_payments,
        {{ count_if("status = 'pending'") }} as pending_payments,
        {{ count_if("status = 'canceled'") }} as canceled_payments,
        {{ sum_if("amount_cents", "status in ('succeeded', 'refunded')") }}
            as gross_cents,
        {{ sum_if("refunded_amount_cents", "status in ('succeeded', 'refunded')") }}
            as refunded_cents
    from payments_by_month
    group by revenue_month, currency, plan_type
)

select
    revenue_month,
    currency,
    plan_type,
    payments,
    failed_payments,
    pending_payments,
    canceled_payments,
    gross_cents,
    refunded_cents,
    gross_cents - refunded_cents as net_cents
from sums
