-- depends_on: {{ ref("fct_revenue_monthly") }}
-- Prices depend on the number of seats. So prices of several customers are compared
-- only in currencies for which payment providers use other digits than ISO 4217.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where status in ('pending', 'succeeded', 'refunded')
),

subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
    where amount_cents > 0
),

currencies as (
    select * from {{ ref("dim_currencies") }}
),

lowest_prices as (
    select
        subscriptions.currency,
        subscriptions.plan_type,
        subscriptions.billing_cycle,
        min(subscriptions.amount_cents) as lowest_amount_cents
    from subscriptions
    inner join currencies on subscriptions.currency = currencies.currency
    where currencies.minor_digits != currencies.iso_minor_digits
    group by
        subscriptions.currency, subscriptions.plan_type, subscriptions.billing_cycle
)

select
    payments.payment_transaction_id as row_id,
    case
        when payments.amount_cents > subscriptions.amount_cents
            then 'payment_is_a_hundred_prices'
        else 'payment_is_a_hundredth_of_the_price'
    end as reason,
    payments.currency,
    payments.amount_cents,
    subscriptions.amount_cents as compared_amount_cents,
    payments.created_at
from payments
inner join subscriptions
    on
        payments.subscription_id = subscriptions.subscription_id
        and payments.currency = subscriptions.currency
where
    payments.amount_cents = cast(subscriptions.amount_cents as numeric) * 100
    or cast(payments.amount_cents as numeric) * 100 = subscriptions.amount_cents
union all
select
    subscriptions.subscription_id as row_id,
    'price_is_a_hundred_prices' as reason,
    subscriptions.currency,
    subscriptions.amount_cents,
    lowest_prices.lowest_amount_cents as compared_amount_cents,
    subscriptions.created_at
from subscriptions
inner join lowest_prices
    on
        subscriptions.currency = lowest_prices.currency
        and subscriptions.plan_type = lowest_prices.plan_type
        and subscriptions.billing_cycle = lowest_prices.billing_cycle
where
    subscriptions.amount_cents
    >= cast(lowest_prices.lowest_amount_cents as numeric) * 80
