{{ config(
    scope=["subscription_id"],
    changes={"stg_saas__subscriptions": {"subscription_id": "subscription_id"}},
    indexes=[{"columns": ["license_id"]}],
) }}

-- One row per subscription that ever brings recurring revenue: how much per month and
-- over which span, the end excluded. docs/metrics.md says why each rule is as it is.
-- The source holds current terms only, so these stand for the subscription's whole
-- life.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

contributing as (
    select * from subscriptions
    where
        status in ('active', 'past_due', 'unpaid', 'canceled')
        -- Cancelled within the trial: it never came to a payment.
        and not coalesce(status = 'canceled' and canceled_at < trial_end_at, false)
),

spans as (
    select
        subscription_id,
        license_id,
        plan_type,
        currency,
        case
            when billing_cycle = 'yearly' then {{ divide_round("amount_cents", 12) }}
            else amount_cents
        end as mrr_cents,
        greatest(created_at, trial_end_at) as mrr_starts_at,
        case
            when status = 'canceled' and is_canceled_at_period_end
                then coalesce(current_period_end_at, canceled_at, updated_at)
            when status = 'canceled'
                then coalesce(canceled_at, current_period_end_at, updated_at)
            when status = 'unpaid'
                then coalesce(current_period_start_at, canceled_at, updated_at)
            when is_canceled_at_period_end then current_period_end_at
        end as mrr_ends_at
    from contributing
)

select
    subscription_id,
    license_id,
    plan_type,
    currency,
    mrr_cents,
    {{ reporting_month("mrr_starts_at") }} as mrr_first_month,
    case
        when {{ is_finite("mrr_ends_at") }} then {{ reporting_month("mrr_ends_at") }}
    end as mrr_end_month,
    mrr_starts_at,
    case when {{ is_finite("mrr_ends_at") }} then mrr_ends_at end as mrr_ends_at
from spans
where
    mrr_cents > 0
    and {{ is_finite("mrr_starts_at") }}
    and (mrr_ends_at is null or mrr_ends_at > mrr_starts_at)
