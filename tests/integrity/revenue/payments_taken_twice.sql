-- depends_on: {{ ref("fct_revenue_monthly") }}
-- Installments of one invoice are correct: they add up to its price. A payment that was
-- refunded in full is corrected.
with payments as (
    {{ payments_of_invoices() }}
)

select
    payment_transaction_id,
    subscription_id,
    'paid_' || equal_payments || '_times' as reason,
    currency,
    amount_cents,
    refunded_amount_cents,
    price_cents,
    invoice_cents,
    processed_at,
    created_at
from payments
where is_taken_twice
