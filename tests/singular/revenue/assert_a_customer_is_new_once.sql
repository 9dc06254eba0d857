-- A license's movements in a currency tell one story: new comes first and once, after
-- churn comes a reactivation and nothing else, and each movement opens where the one
-- before closed. One row per license, currency and month that breaks the story.
with license_months as (
    select
        movement_month,
        license_id,
        currency,
        movement_type,
        license_opening_mrr_cents,
        license_closing_mrr_cents,
        sum(mrr_change_cents) as mrr_change_cents
    from {{ ref("fct_mrr_movements_monthly") }}
    group by
        movement_month,
        license_id,
        currency,
        movement_type,
        license_opening_mrr_cents,
        license_closing_mrr_cents
),

with_movement_before as (
    select
        *,
        lag(movement_type) over (
            partition by license_id, currency
            order by movement_month
        ) as type_before,
        lag(movement_month) over (
            partition by license_id, currency
            order by movement_month
        ) as month_before,
        coalesce(
            lag(license_closing_mrr_cents) over (
                partition by license_id, currency
                order by movement_month
            ), 0
        ) as closing_before_cents
    from license_months
)

select *
from with_movement_before
where
    (movement_type = 'new') != (type_before is null)
    or (movement_type = 'reactivation') != (coalesce(type_before, '') = 'churn')
    or license_opening_mrr_cents != closing_before_cents
    or license_opening_mrr_cents + mrr_change_cents != license_closing_mrr_cents
    -- Two types in one month.
    or movement_month = month_before
