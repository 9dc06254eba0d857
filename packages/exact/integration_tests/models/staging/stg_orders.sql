select
    id as order_id,
    customer_id,
    amount_cents,
    status,
    ordered_at,
    due_at
from {{ source("shop", "orders") }}
