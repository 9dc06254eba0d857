select
    id as payment_transaction_id,
    subscription_id,
    {{ name_of("status") }} as status,
    {{ name_of("payment_method") }} as payment_method,
    {{ name_of("upper(currency)") }} as currency,
    cast(amount_cents as bigint) as amount_cents,
    cast(coalesce(refunded_amount_cents, 0) as bigint) as refunded_amount_cents,
    {{ plausible_time("processed_at") }} as processed_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "payment_transactions") }}
