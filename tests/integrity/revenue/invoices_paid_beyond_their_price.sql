-- depends_on: {{ ref("fct_revenue_monthly") }}
-- An invoice's own total is not in the source, so its price is the subscription's. An
-- invoice with a single payment may be of any amount. Without a price, only equal
-- payments within three days are suspicious. After a price was lowered, two payments of
-- today's price may be instalments of the former one, unless they came at once.
with payments as (
    {{ payments_of_invoices() }}
)

select
    payment_transaction_id,
    subscription_id,
    case
        when highest_price_cents is null then 'price_is_unknown'
        when invoice_cents <= highest_price_cents then 'price_of_today_at_once'
        else 'more_than_the_price'
    end as reason,
    currency,
    amount_cents,
    refunded_amount_cents,
    highest_price_cents,
    invoice_cents,
    processed_at,
    created_at
from payments
where
    payments_of_invoice > 1
    and not is_taken_twice
    and (
        invoice_cents > highest_price_cents
        or (highest_price_cents is null and equal_payments_nearby > 1)
        or (
            amount_cents = price_cents
            and invoice_cents > price_cents
            and equal_payments_at_once > 1
        )
    )
