-- depends_on: {{ ref("fct_revenue_monthly") }}
-- Two jobs write one charge, and one of them doesn't know the invoice. Two charges for
-- two invoices name both. The invoice's number is no column of the staging views.
with payments as (
    select
        payments.*,
        invoices.stripe_invoice_id is null as is_without_invoice
    from {{ ref("stg_saas__payment_transactions") }} as payments
    inner join {{ source("saas", "payment_transactions") }} as invoices
        on payments.payment_transaction_id = invoices.id
    where
        payments.status = 'succeeded'
        and payments.refunded_amount_cents < payments.amount_cents
        and payments.subscription_id is not null
),

neighbors as (
    select
        *,
        lag(created_at) over of_amount as previous_at,
        lag(is_without_invoice) over of_amount as previous_is_without_invoice,
        lead(created_at) over of_amount as next_at,
        lead(is_without_invoice) over of_amount as next_is_without_invoice
    from payments
    window
        of_amount as (
            partition by subscription_id, currency, amount_cents
            order by created_at, payment_transaction_id
        )
)

select
    payment_transaction_id,
    subscription_id,
    'one_names_no_invoice' as reason,
    is_without_invoice,
    currency,
    amount_cents,
    refunded_amount_cents,
    processed_at,
    created_at
from neighbors
where
    (
        previous_at >= created_at - interval '10 minutes'
        and previous_is_without_invoice != is_without_invoice
    )
    or (
        next_at <= created_at + interval '10 minutes'
        and next_is_without_invoice != is_without_invoice
    )
