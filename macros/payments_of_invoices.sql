{#-
    One row per received payment that names an invoice and was not wholly refunded.

    `price_cents` is the subscription's price today; null without one, or for a free
    one.
    `highest_price_cents` is the highest of that, of the prices that the snapshot has
    seen, and of single payments for other invoices of the subscription: it includes
    taxes, fees and former prices.
    `equal_payments_nearby` and `equal_payments_at_once` count the payments of the same
    amount for the invoice within three days and within an hour, itself included.
    `is_taken_twice`: the invoice has several payments of exactly the full price of
    today, or within three days of at least the highest price, and together they are
    more than the highest price.

    The invoice's number is no column of the staging views, so it comes from the source.
-#}
{% macro payments_of_invoices() %}
    with payments as (
        select
            payments.*,
            invoices.stripe_invoice_id as invoice_id,
            payments.amount_cents - payments.refunded_amount_cents as kept_cents
        from {{ ref("stg_saas__payment_transactions") }} as payments
        inner join {{ source("saas", "payment_transactions") }} as invoices
            on payments.payment_transaction_id = invoices.id
        where
            payments.status = 'succeeded'
            and payments.refunded_amount_cents < payments.amount_cents
            and invoices.stripe_invoice_id is not null
    ),

    counted as (
        select
            *,
            count(*) over of_invoice as payments_of_invoice,
            sum(kept_cents) over of_invoice as invoice_cents,
            count(*) over of_amount as equal_payments,
            count(*) over (
                partition by invoice_id, currency, amount_cents
                order by created_at
                range between interval '3 days' preceding
                and interval '3 days' following
            ) as equal_payments_nearby,
            count(*) over (
                partition by invoice_id, currency, amount_cents
                order by created_at
                range between interval '1 hour' preceding
                and interval '1 hour' following
            ) as equal_payments_at_once
        from payments
        window
            of_invoice as (partition by invoice_id, currency),
            of_amount as (partition by invoice_id, currency, amount_cents)
    ),

    single_payments as (
        select
            subscription_id,
            currency,
            max(amount_cents) as amount_cents
        from counted
        where payments_of_invoice = 1
        group by subscription_id, currency
    ),

    former_prices as (
        select
            subscription_id,
            currency,
            max(amount_cents) as amount_cents
        from {{ ref("subscriptions_history") }}
        where amount_cents > 0
        group by subscription_id, currency
    ),

    priced as (
        select
            counted.*,
            subscriptions.amount_cents as price_cents,
            greatest(
                subscriptions.amount_cents,
                former_prices.amount_cents,
                single_payments.amount_cents
            ) as highest_price_cents
        from counted
        left join {{ ref("stg_saas__subscriptions") }} as subscriptions
            on
                counted.subscription_id = subscriptions.subscription_id
                and counted.currency = subscriptions.currency
                and subscriptions.amount_cents > 0
        left join single_payments
            on
                counted.subscription_id = single_payments.subscription_id
                and counted.currency = single_payments.currency
        left join former_prices
            on
                counted.subscription_id = former_prices.subscription_id
                and counted.currency = former_prices.currency
    )

    select
        *,
        coalesce(
            equal_payments > 1
            and invoice_cents > highest_price_cents
            and (
                amount_cents = price_cents
                or (amount_cents >= highest_price_cents and equal_payments_nearby > 1)
            ),
            false
        ) as is_taken_twice
    from priced
{% endmacro %}
