-- depends_on: {{ ref("fct_revenue_monthly") }}
-- The invoice's number stays behind in the staging views, so it is looked up in the
-- source; what was given back wholly has been put right.
with payments as (
    select * from {{ ref("stg_saas__payment_transactions") }}
    where status = 'succeeded' and refunded_amount_cents < amount_cents
),

invoices as (
    select
        id as payment_transaction_id,
        stripe_invoice_id
    from {{ source("saas", "payment_transactions") }}
    where stripe_invoice_id is not null
),

counted as (
    select
        payments.*,
        count(*) over (
            partition by
                invoices.stripe_invoice_id, payments.currency, payments.amount_cents
        ) as payments_of_invoice
    from payments
    inner join invoices
        on payments.payment_transaction_id = invoices.payment_transaction_id
)

select
    payment_transaction_id,
    subscription_id,
    'paid_' || payments_of_invoice || '_times' as reason,
    currency,
    amount_cents,
    refunded_amount_cents,
    processed_at,
    created_at
from counted
where payments_of_invoice > 1
