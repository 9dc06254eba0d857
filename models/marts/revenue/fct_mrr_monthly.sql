{{ config(
    meta={"exact": {
        "clock": "day",
    }},
) }}

-- One row per month, currency and plan, without gaps from the plan's first revenue in
-- the currency to the current month: recurring revenue at the end of the month and its
-- movements. It reads the movements alone, so that both agree.
with movements as (
    select * from {{ ref("fct_mrr_movements_monthly") }}
),

plans_by_currency as (
    select
        currency,
        plan_type,
        min(movement_month) as first_month
    from movements
    group by currency, plan_type
),

months as (
    select date_month
    from {{ month_spine(
        "(select min(movement_month) from movements)",
        reporting_month(reporting_now())
    ) }} as spine
),

covered_months as (
    select
        months.date_month as mrr_month,
        plans_by_currency.currency,
        plans_by_currency.plan_type
    from plans_by_currency
    inner join months on plans_by_currency.first_month <= months.date_month
),

monthly_movements as (
    select
        movement_month,
        currency,
        plan_type,
        sum(mrr_change_cents) as mrr_change_cents,
        {{ sum_if("mrr_change_cents", "movement_type = 'new'") }} as new_mrr_cents,
        {{ sum_if("mrr_change_cents", "movement_type = 'expansion'") }}
            as expansion_mrr_cents,
        {{ sum_if("mrr_change_cents", "movement_type = 'contraction'") }}
            as contraction_mrr_cents,
        {{ sum_if("mrr_change_cents", "movement_type = 'churn'") }} as churn_mrr_cents,
        {{ sum_if("mrr_change_cents", "movement_type = 'reactivation'") }}
            as reactivation_mrr_cents,
        {{ count_if("opening_mrr_cents = 0") }}
        - {{ count_if("closing_mrr_cents = 0") }} as customer_change
    from movements
    group by movement_month, currency, plan_type
),

running_totals as (
    select
        covered_months.mrr_month,
        covered_months.currency,
        covered_months.plan_type,
        coalesce(monthly_movements.mrr_change_cents, 0) as mrr_change_cents,
        coalesce(monthly_movements.new_mrr_cents, 0) as new_mrr_cents,
        coalesce(monthly_movements.expansion_mrr_cents, 0) as expansion_mrr_cents,
        coalesce(monthly_movements.contraction_mrr_cents, 0) as contraction_mrr_cents,
        coalesce(monthly_movements.churn_mrr_cents, 0) as churn_mrr_cents,
        coalesce(monthly_movements.reactivation_mrr_cents, 0) as reactivation_mrr_cents,
        sum(coalesce(monthly_movements.mrr_change_cents, 0)) over (
            partition by covered_months.currency, covered_months.plan_type
            order by covered_months.mrr_month
        ) as closing_mrr_cents,
        sum(coalesce(monthly_movements.customer_change, 0)) over (
            partition by covered_months.currency, covered_months.plan_type
            order by covered_months.mrr_month
        ) as customers
    from covered_months
    left join monthly_movements
        on
            covered_months.mrr_month = monthly_movements.movement_month
            and covered_months.currency = monthly_movements.currency
            and covered_months.plan_type = monthly_movements.plan_type
)

select
    mrr_month,
    currency,
    plan_type,
    cast(closing_mrr_cents - mrr_change_cents as bigint) as opening_mrr_cents,
    new_mrr_cents,
    expansion_mrr_cents,
    contraction_mrr_cents,
    churn_mrr_cents,
    reactivation_mrr_cents,
    cast(closing_mrr_cents as bigint) as closing_mrr_cents,
    cast(customers as bigint) as customers
from running_totals
