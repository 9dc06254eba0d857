-- Each month of a plan opens with the closing of the previous month, the first one with
-- 0. With all five movements this also holds for the sum over a currency's plans. One
-- row per month and plan (`all` for the sum) that differs.
with months as (
    select
        mrr_month,
        currency,
        plan_type,
        opening_mrr_cents,
        new_mrr_cents + expansion_mrr_cents + contraction_mrr_cents + churn_mrr_cents
        + reactivation_mrr_cents as movements_cents,
        closing_mrr_cents
    from {{ ref("fct_mrr_monthly") }}
),

with_totals as (
    select * from months
    union all
    select
        mrr_month,
        currency,
        'all' as plan_type,
        sum(opening_mrr_cents) as opening_mrr_cents,
        sum(movements_cents) as movements_cents,
        sum(closing_mrr_cents) as closing_mrr_cents
    from months
    group by mrr_month, currency
),

with_month_before as (
    select
        *,
        coalesce(
            lag(closing_mrr_cents) over (
                partition by currency, plan_type
                order by mrr_month
            ), 0
        ) as closing_before_cents
    from with_totals
)

select *
from with_month_before
where
    opening_mrr_cents != closing_before_cents
    or opening_mrr_cents + movements_cents != closing_mrr_cents
