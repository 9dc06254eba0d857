-- depends_on: {{ ref("fct_mrr_monthly") }}
-- Compared are versions that brought revenue, or had no price.
with versions as (
    select * from {{ ref("subscriptions_history") }}
),

compared as (
    select
        *,
        lag(status) over version_before as status_before,
        lag(license_id) over version_before as license_before,
        lag(currency) over version_before as currency_before,
        lag(billing_cycle) over version_before as billing_cycle_before,
        lag(plan_type) over version_before as plan_before,
        lag(amount_cents) over version_before as amount_cents_before
    from versions
    window version_before as (partition by subscription_id order by dbt_valid_from)
),

reasoned as (
    select
        *,
        case
            when license_id != license_before then 'another_license'
            when currency != currency_before then 'another_currency'
            when amount_cents_before = 0 and amount_cents > 0 then 'free_before'
            when amount_cents_before > 0 and amount_cents = 0 then 'free_now'
            when billing_cycle != billing_cycle_before then 'another_billing_cycle'
            when plan_type != plan_before then 'another_plan'
            when amount_cents != amount_cents_before then 'another_price'
        end as reason
    from compared
    where status_before in ('active', 'past_due', 'unpaid', 'canceled')
)

select
    subscription_id,
    license_id,
    reason,
    license_before,
    currency,
    currency_before,
    billing_cycle,
    billing_cycle_before,
    plan_type,
    plan_before,
    amount_cents,
    amount_cents_before,
    dbt_valid_from as changed_at
from reasoned
where reason is not null
