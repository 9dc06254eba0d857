-- A payment gives back no more than came in, a refunded one gives back something, and
-- one that never came in gives back nothing. One row per payment that breaks this: net
-- revenue is off by it until the application's data is put right. A warning, for the
-- marts are as the source says.
{{ config(severity="warn") }}

select
    payment_transaction_id,
    status,
    currency,
    amount_cents,
    refunded_amount_cents
from {{ ref("stg_saas__payment_transactions") }}
where
    refunded_amount_cents > amount_cents
    or (status = 'refunded' and refunded_amount_cents = 0 and amount_cents > 0)
    or (status not in ('succeeded', 'refunded') and refunded_amount_cents > 0)
