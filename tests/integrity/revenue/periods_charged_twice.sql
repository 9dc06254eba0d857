-- depends_on: {{ ref("fct_revenue_monthly") }}
-- A customer in arrears pays several invoices in one day, so only a payment beyond the
-- periods begun counts. A month is taken for 28 days and has three days' grace: the
-- count of periods is rather too high. The invoice's number is no column of the staging
-- views.
with payments as (
    select
        payments.*,
        invoices.stripe_invoice_id as invoice_id,
        subscriptions.amount_cents as price_cents,
        1 + floor(
            extract(
                epoch from
                payments.created_at + interval '3 days' - subscriptions.created_at
            )
            / 86400
            / case subscriptions.billing_cycle when 'yearly' then 365 else 28 end
        ) as periods_begun,
        sum(payments.amount_cents - payments.refunded_amount_cents) over of_charge
            as charge_cents,
        row_number() over (
            of_charge order by payments.created_at, payments.payment_transaction_id
        ) as number_in_charge
    from {{ ref("stg_saas__payment_transactions") }} as payments
    inner join {{ ref("stg_saas__subscriptions") }} as subscriptions
        on
            payments.subscription_id = subscriptions.subscription_id
            and payments.currency = subscriptions.currency
    inner join {{ source("saas", "payment_transactions") }} as invoices
        on payments.payment_transaction_id = invoices.id
    where
        payments.status = 'succeeded'
        and subscriptions.amount_cents > 0
        and payments.created_at is not null
        and subscriptions.created_at is not null
    window
        of_charge as (
            partition by
                payments.subscription_id,
                coalesce(invoices.stripe_invoice_id, cast(invoices.id as text))
        )
),

-- The instalments of an invoice are one charge.
charges as (
    select
        *,
        count(*) over of_subscription as payments_so_far,
        lag(created_at) over of_subscription as previous_at,
        lag(invoice_id) over of_subscription as previous_invoice_id
    from payments
    where number_in_charge = 1 and charge_cents >= price_cents
    window
        of_subscription as (
            partition by subscription_id order by created_at, payment_transaction_id
        )
)

select
    payment_transaction_id,
    subscription_id,
    'more_payments_than_periods' as reason,
    currency,
    amount_cents,
    refunded_amount_cents,
    price_cents,
    payments_so_far,
    periods_begun,
    previous_at,
    processed_at,
    created_at
from charges
where
    payments_so_far > periods_begun
    and previous_at >= created_at - interval '1 day'
    -- With one invoice for both, or for one of them, other findings list them.
    and num_nulls(invoice_id, previous_invoice_id) != 1
    and coalesce(invoice_id != previous_invoice_id, true)
