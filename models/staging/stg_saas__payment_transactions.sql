select
    id as payment_transaction_id,
    subscription_id,
    status,
    payment_method,
    upper(currency) as currency,
    cast(amount_cents as bigint) as amount_cents,
    cast(coalesce(refunded_amount_cents, 0) as bigint) as refunded_amount_cents,
    processed_at,
    created_at,
    updated_at
from {{ source("saas", "payment_transactions") }}
