"""What Finance analytics counts on in the revenue marts."""

import great_expectations.expectations as gxe

from saas_analytics.expectations.datasets import Measured, Rows, Shares
from saas_analytics.expectations.suites import Check, Suite, as_usual

# All time: late payments and refunds change old months, too.
MART_AND_SOURCE = Rows("""
    with source as (
        select
            upper(currency) as currency,
            count(*) as payments,
            coalesce(
                sum(amount_cents) filter (where status in ('succeeded', 'refunded')), 0
            ) as cents
        from {source}.payment_transactions
        group by 1
    ),

    mart as (
        select
            currency,
            sum(payments + failed_payments + pending_payments + canceled_payments)
                as payments,
            sum(gross_cents) as cents
        from {marts}.fct_revenue_monthly
        group by currency
    )

    select
        currency,
        coalesce(source.payments, 0) as source_payments,
        coalesce(mart.payments, 0) as mart_payments,
        coalesce(source.cents, 0) as source_cents,
        coalesce(mart.cents, 0) as mart_cents,
        greatest(
            abs(1 - coalesce(mart.payments, 0) / greatest(source.payments, 1)),
            abs(1 - coalesce(mart.cents, 0) / greatest(source.cents, 1))
        ) as lost_share
    from source
    full join mart using (currency)
    order by currency
""")

CLOSED_MONTHS = Measured(
    measure="revenue: gross of closed months",
    margin=0.0025,
    enough_runs=1,
    query="""
        with last_month as (
            select max(revenue_month) as revenue_month from {marts}.fct_revenue_monthly
        )

        select
            to_char(revenue_month, 'YYYY-MM') || ' ' || currency as part,
            sum(gross_cents) as value
        from {marts}.fct_revenue_monthly
        where revenue_month < (select revenue_month from last_month)
            and revenue_month >= (
                select revenue_month from last_month
            ) - interval '3 months'
        group by revenue_month, currency
    """,
)

PAYMENT_STATES = Shares(
    measure="revenue: share of payments by status",
    margin=0.01,
    query="""
        select
            status as part,
            count(*)::numeric / sum(count(*)) over () as value
        from {staging}.stg_saas__payment_transactions
        where created_at > (
            select max(created_at) - interval '90 days'
            from {staging}.stg_saas__payment_transactions
        )
        group by status
    """,
)

MRR_BY_PLAN = Shares(
    measure="revenue: share of customers by plan",
    margin=0.01,
    query="""
        select
            plan_type as part,
            sum(customers) / nullif(sum(sum(customers)) over (), 0) as value
        from {marts}.fct_mrr_monthly
        where mrr_month = (select max(mrr_month) from {marts}.fct_mrr_monthly)
        group by plan_type
    """,
)

REFUNDS_AND_GROSS = Rows("""
    select
        to_char(revenue_month, 'YYYY-MM') as month,
        currency,
        sum(gross_cents) / 5 as fifth_of_gross_cents,
        sum(refunded_cents) as refunded_cents
    from {marts}.fct_revenue_monthly
    where revenue_month > (
        select max(revenue_month) from {marts}.fct_revenue_monthly
    ) - interval '1 year'
    group by revenue_month, currency
    order by revenue_month, currency
""")

SUITE = Suite(
    owner="Finance analytics",
    checks=[
        Check(
            "The mart counts all the source's payments, and what they brought",
            MART_AND_SOURCE,
            gxe.ExpectColumnValuesToBeBetween(column="lost_share", max_value=0.01),
            severity="error",
        ),
        Check(
            "A month that is over keeps its revenue: within 1% of earlier runs",
            CLOSED_MONTHS,
            as_usual(),
            severity="error",
        ),
        Check(
            "Payments fail and are given back as often as in earlier runs",
            PAYMENT_STATES,
            as_usual(),
            severity="warn",
        ),
        Check(
            "Paying customers are divided among the plans as in earlier runs",
            MRR_BY_PLAN,
            as_usual(),
            severity="warn",
        ),
        Check(
            "Nine months in ten give back less than a fifth of what they took",
            REFUNDS_AND_GROSS,
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="fifth_of_gross_cents",
                column_B="refunded_cents",
                or_equal=True,
                mostly=0.9,
            ),
            severity="warn",
        ),
    ],
)
