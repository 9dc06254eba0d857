{{ config(
    meta={"exact": {
        "keys": ["license_id"],
        "inputs": {"int_mrr_changes__by_month_license_currency_plan": {}},
    }},
) }}

-- One row per month, license, currency and plan whose recurring revenue changed. All
-- plans of a license and currency carry the one type that describes the license's
-- month, so that opening + movements = closing holds for each plan and for their sum.
with changes as (
    select * from {{ ref("int_mrr_changes__by_month_license_currency_plan") }}
),

plans as (
    select * from {{ ref("plans") }}
),

license_changes as (
    select
        changes.change_month,
        changes.license_id,
        changes.currency,
        sum(changes.mrr_change_cents) as mrr_change_cents,
        -- Positive when MRR moves to larger plans.
        sum(changes.mrr_change_cents * coalesce(plans.plan_rank, 0)) as rank_change
    from changes
    left join plans on changes.plan_type = plans.plan_type
    group by changes.change_month, changes.license_id, changes.currency
),

license_totals as (
    select
        change_month,
        license_id,
        currency,
        mrr_change_cents,
        rank_change,
        sum(mrr_change_cents) over (
            partition by license_id, currency
            order by change_month
        ) as closing_mrr_cents,
        min(change_month) over (partition by license_id, currency) as first_month
    from license_changes
),

license_movements as (
    select
        change_month,
        license_id,
        currency,
        closing_mrr_cents - mrr_change_cents as opening_mrr_cents,
        closing_mrr_cents,
        case
            when change_month = first_month then 'new'
            when closing_mrr_cents = mrr_change_cents then 'reactivation'
            when closing_mrr_cents = 0 then 'churn'
            when mrr_change_cents > 0 then 'expansion'
            when mrr_change_cents < 0 then 'contraction'
            when rank_change < 0 then 'contraction'
            else 'expansion'
        end as movement_type
    from license_totals
),

plan_totals as (
    select
        change_month,
        license_id,
        currency,
        plan_type,
        mrr_change_cents,
        sum(mrr_change_cents) over (
            partition by license_id, currency, plan_type
            order by change_month
        ) as closing_mrr_cents
    from changes
)

select
    plan_totals.change_month as movement_month,
    plan_totals.license_id,
    plan_totals.currency,
    plan_totals.plan_type,
    license_movements.movement_type,
    cast(plan_totals.closing_mrr_cents - plan_totals.mrr_change_cents as bigint)
        as opening_mrr_cents,
    plan_totals.mrr_change_cents,
    cast(plan_totals.closing_mrr_cents as bigint) as closing_mrr_cents,
    cast(license_movements.opening_mrr_cents as bigint) as license_opening_mrr_cents,
    cast(license_movements.closing_mrr_cents as bigint) as license_closing_mrr_cents
from plan_totals
inner join license_movements
    on
        plan_totals.change_month = license_movements.change_month
        and plan_totals.license_id = license_movements.license_id
        and plan_totals.currency = license_movements.currency
