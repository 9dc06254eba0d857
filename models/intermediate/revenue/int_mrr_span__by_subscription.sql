{{ config(
    meta={"exact": {
        "renamed_from": "int_subscriptions_spans",
        "keys": ["license_id"],
        "inputs": {
            "stg_saas__subscriptions": {},
            "int_access_end__by_subscription": {},
            "int_paid_through__by_subscription": {
                "lookup": {"in": "stg_saas__subscriptions", "by": "subscription_id"},
            },
        },
    }},
) }}

-- One row per subscription that ever brings recurring revenue: the amount per month and
-- the span, without its end. docs/reference/metrics.md has the reason of each rule. The
-- source has current terms only, so they count for the whole life of the subscription.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

access as (
    select * from {{ ref("int_access_end__by_subscription") }}
),

paid_through as (
    select * from {{ ref("int_paid_through__by_subscription") }}
),

joined as (
    select
        subscriptions.*,
        paid_through.starts_at,
        paid_through.first_period_ends_at,
        paid_through.paid_through_at,
        case
            when paid_through.paid_through_at is not null
                then least(
                        subscriptions.current_period_end_at,
                        paid_through.paid_through_at,
                        access.access_ends_at
                    )
        end as service_ends_at,
        -- updated_at moves with every backfill: only where no other time is known.
        coalesce(
            subscriptions.current_period_end_at,
            subscriptions.canceled_at,
            paid_through.paid_through_at,
            paid_through.returned_paid_at,
            subscriptions.updated_at
        ) as known_end_at,
        greatest(
            coalesce(subscriptions.canceled_at, paid_through.returned_paid_at),
            paid_through.paid_through_at
        ) as given_up_at,
        -- Of the last payment.
        paid_through.returned_paid_at is not null as is_given_back,
        coalesce(subscriptions.trial_end_at > paid_through.starts_at, false)
            as is_trial_of_payer,
        min(paid_through.first_paid_at) over (partition by subscriptions.license_id)
        < subscriptions.created_at as is_license_paid_before
    from subscriptions
    inner join access
        on subscriptions.subscription_id = access.subscription_id
    inner join paid_through
        on subscriptions.subscription_id = paid_through.subscription_id
),

spans as (
    select
        *,
        case
            when billing_cycle = 'yearly' then {{ divide_round("amount_cents", 12) }}
            else amount_cents
        end as mrr_cents,
        case
            when
                status = 'canceled' and is_canceled_at_period_end and is_given_back
                then least(known_end_at, given_up_at)
            when
                status = 'canceled'
                and (is_canceled_at_period_end or canceled_at is null)
                then known_end_at
            when status = 'canceled'
                then greatest(canceled_at, service_ends_at)
            when status = 'unpaid' and paid_through_at is not null
                then paid_through_at
            when status = 'unpaid' and is_license_paid_before
                then first_period_ends_at
            when status = 'unpaid' then starts_at
            when is_canceled_at_period_end then current_period_end_at
        end as mrr_ends_at
    from joined
    where
        (
            status in ('active', 'past_due', 'unpaid', 'canceled')
            or (status = 'trialing' and is_trial_of_payer)
        )
        -- Cancelled within the trial: there was no payment.
        and not coalesce(
            status = 'canceled'
            and canceled_at < trial_end_at
            and not is_trial_of_payer, false
        )
)

select
    subscription_id,
    license_id,
    plan_type,
    currency,
    mrr_cents,
    starts_at as mrr_starts_at,
    mrr_ends_at
from spans
where
    mrr_cents > 0
    and starts_at is not null
    and (mrr_ends_at is null or mrr_ends_at > starts_at)
