select
    customer_id,
    visited_at
from {{ source("shop", "visits") }}
