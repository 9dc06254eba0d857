{{ config(
    meta={"exact": {
        "renamed_from": "int_subscriptions_paid_through",
        "keys": ["subscription_id"],
        "inputs": {
            "stg_saas__subscriptions": {},
            "stg_saas__payment_transactions": {"where": "status in ('succeeded', 'refunded')"},
        },
    }},
) }}
{%- set expected = add_utc_months(
    "starts_at", utc_months_between("starts_at", "current_period_start_at")
) %}

-- One row per subscription: the start of the first period with a price, and the end of
-- the last period with a kept payment. It reads only columns that the payment provider
-- does not rewrite. Of the current period, which moves on in whole periods, it reads
-- the day of the month.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

payments as (
    select
        subscription_id,
        least(processed_at, created_at) as paid_at,
        amount_cents > refunded_amount_cents as is_kept
    from {{ ref("stg_saas__payment_transactions") }}
    where status in ('succeeded', 'refunded') and amount_cents > 0
),

received as (
    select
        subscription_id,
        min(case when is_kept then paid_at end) as first_paid_at,
        max(case when is_kept then paid_at end) as last_paid_at,
        max(case when not is_kept then paid_at end) as last_returned_at
    from payments
    where paid_at is not null
    group by subscription_id
),

-- A trial that a paying customer gets later does not move the start.
started as (
    select
        subscriptions.subscription_id,
        subscriptions.current_period_start_at,
        received.first_paid_at,
        received.last_paid_at,
        case
            when
                received.last_paid_at is null
                or received.last_paid_at < received.last_returned_at
                then received.last_returned_at
        end as returned_paid_at,
        case when subscriptions.billing_cycle = 'yearly' then 12 else 1 end
            as cycle_months,
        case
            when
                received.first_paid_at < subscriptions.trial_start_at
                and subscriptions.created_at + interval '1 day'
                < subscriptions.trial_start_at
                then subscriptions.created_at
            else greatest(subscriptions.created_at, subscriptions.trial_end_at)
        end as starts_at
    from subscriptions
    left join received
        on subscriptions.subscription_id = received.subscription_id
),

-- Periods are counted from the start where the current one is whole months away from
-- it, because then the 31st is known. Otherwise they are counted from the current one.
anchored as (
    select
        *,
        -- A payment is made on the day on which its period begins, or later.
        greatest(last_paid_at + interval '1 day', starts_at) as covered_at,
        case
            when current_period_start_at between
                {{ expected }} - interval '1 day' and {{ expected }} + interval '1 day'
                then starts_at
            else coalesce(current_period_start_at, starts_at)
        end as anchor_at
    from started
),

counted as (
    select
        *,
        cycle_months * cast(floor(
            cast({{ utc_months_between("anchor_at", "covered_at") }} as numeric)
            / cycle_months
        ) as integer) as months
    from anchored
),

bounded as (
    select
        *,
        {{ add_utc_months("anchor_at", "months") }} as boundary_at,
        {{ add_utc_months("anchor_at", "months + cycle_months") }} as next_boundary_at,
        {{ add_utc_months("starts_at", "cycle_months") }} as first_period_ends_at
    from counted
)

select
    subscription_id,
    starts_at,
    first_period_ends_at,
    first_paid_at,
    last_paid_at,
    returned_paid_at,
    case
        when last_paid_at is null then null
        when boundary_at > covered_at then boundary_at
        else next_boundary_at
    end as paid_through_at
from bounded
