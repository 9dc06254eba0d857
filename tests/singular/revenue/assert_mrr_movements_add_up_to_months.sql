-- The movements of all licenses, by type, are the five columns of the month. One row
-- per month, currency and plan where they aren't.
with movements as (
    select
        movement_month as mrr_month,
        currency,
        plan_type,
        sum(case when movement_type = 'new' then mrr_change_cents else 0 end)
            as new_mrr_cents,
        sum(case when movement_type = 'expansion' then mrr_change_cents else 0 end)
            as expansion_mrr_cents,
        sum(case when movement_type = 'contraction' then mrr_change_cents else 0 end)
            as contraction_mrr_cents,
        sum(case when movement_type = 'churn' then mrr_change_cents else 0 end)
            as churn_mrr_cents,
        sum(case when movement_type = 'reactivation' then mrr_change_cents else 0 end)
            as reactivation_mrr_cents
    from {{ ref("fct_mrr_movements_monthly") }}
    group by movement_month, currency, plan_type
),

both_sides as (
    select
        mrr_month,
        currency,
        plan_type,
        new_mrr_cents,
        expansion_mrr_cents,
        contraction_mrr_cents,
        churn_mrr_cents,
        reactivation_mrr_cents
    from {{ ref("fct_mrr_monthly") }}
    union all
    select
        mrr_month,
        currency,
        plan_type,
        -new_mrr_cents as new_mrr_cents,
        -expansion_mrr_cents as expansion_mrr_cents,
        -contraction_mrr_cents as contraction_mrr_cents,
        -churn_mrr_cents as churn_mrr_cents,
        -reactivation_mrr_cents as reactivation_mrr_cents
    from movements
),

differences as (
    select
        mrr_month,
        currency,
        plan_type,
        sum(new_mrr_cents) as new_mrr_cents,
        sum(expansion_mrr_cents) as expansion_mrr_cents,
        sum(contraction_mrr_cents) as contraction_mrr_cents,
        sum(churn_mrr_cents) as churn_mrr_cents,
        sum(reactivation_mrr_cents) as reactivation_mrr_cents
    from both_sides
    group by mrr_month, currency, plan_type
)

select *
from differences
where
    new_mrr_cents != 0
    or expansion_mrr_cents != 0
    or contraction_mrr_cents != 0
    or churn_mrr_cents != 0
    or reactivation_mrr_cents != 0
