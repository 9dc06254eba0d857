-- Per month and currency, revenue over all plans is that of the payments in the source.
-- One row per month and currency that differs. The next run checks those with a payment
-- that changed since this run began.
with payments as (
    select
        {{ reporting_month("coalesce(processed_at, created_at)") }} as revenue_month,
        currency,
        status,
        amount_cents,
        refunded_amount_cents,
        updated_at
    from {{ ref("stg_saas__payment_transactions") }}
    where coalesce(processed_at, created_at) is not null
),

source_sums as (
    select
        revenue_month,
        currency,
        count(*) as attempts,
        sum(case when status in ('succeeded', 'refunded') then amount_cents else 0 end)
            as gross_cents,
        sum(
            case
                when status in ('succeeded', 'refunded')
                    then amount_cents - refunded_amount_cents
                else 0
            end
        ) as net_cents
    from payments
    group by revenue_month, currency
    having max(updated_at) < {{ run_start() }}
),

mart_sums as (
    select
        revenue_month,
        currency,
        sum(payments + failed_payments + pending_payments + canceled_payments)
            as attempts,
        sum(gross_cents) as gross_cents,
        sum(net_cents) as net_cents
    from {{ ref("fct_revenue_monthly") }}
    group by revenue_month, currency
)

select
    source_sums.revenue_month,
    source_sums.currency,
    source_sums.attempts as attempts_in_source,
    mart_sums.attempts as attempts_in_mart,
    source_sums.gross_cents as gross_in_source,
    mart_sums.gross_cents as gross_in_mart,
    source_sums.net_cents as net_in_source,
    mart_sums.net_cents as net_in_mart
from source_sums
left join mart_sums
    on
        source_sums.revenue_month = mart_sums.revenue_month
        and source_sums.currency = mart_sums.currency
where
    mart_sums.currency is null
    or source_sums.attempts != mart_sums.attempts
    or source_sums.gross_cents != mart_sums.gross_cents
    or source_sums.net_cents != mart_sums.net_cents
