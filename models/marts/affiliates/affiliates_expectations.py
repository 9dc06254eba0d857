"""What the Partner programme counts on in the affiliate marts."""

import great_expectations.expectations as gxe

from saas_analytics.expectations.datasets import ByWeekday, Measured, Rows, Shares
from saas_analytics.expectations.suites import Check, Suite, as_usual

CLICKS_BY_DAY = ByWeekday("""
    select funnel_date as day, sum(clicks) as amount
    from {marts}.fct_affiliate_funnel_daily
    where funnel_date < (now() at time zone {zone})::date
    group by funnel_date
""")

LEDGER_AND_SOURCE = Rows("""
    with source as (
        select upper(currency) as currency, count(*) as commissions
        from {source}.affiliate_commissions
        group by 1
    ),

    mart as (
        select currency, sum(commissions) as commissions
        from {marts}.fct_affiliate_earnings
        group by currency
    )

    select
        currency,
        coalesce(source.commissions, 0) as source_commissions,
        coalesce(mart.commissions, 0) as mart_commissions,
        1 - coalesce(mart.commissions, 0) / greatest(source.commissions, 1)
            as lost_share
    from source
    full join mart using (currency)
    order by currency
""")

CAMPAIGNS = Shares(
    measure="affiliates: share of clicks by campaign",
    margin=0.02,
    query="""
        select
            coalesce(utm_campaign, 'no campaign') as part,
            sum(clicks) / nullif(sum(sum(clicks)) over (), 0) as value
        from {marts}.fct_affiliate_funnel_daily
        where funnel_date > (
            select max(funnel_date) - 91 from {marts}.fct_affiliate_funnel_daily
        )
        group by 1
    """,
)

COMMISSIONS = Measured(
    measure="affiliates: mean commission",
    margin=0.05,
    query="""
        select
            currency as part,
            sum(total_earnings_cents + pending_cents + cancelled_cents + disputed_cents)
                / nullif(sum(commissions), 0) as value
        from {marts}.fct_affiliate_earnings
        group by currency
        -- The mean of a few says nothing.
        having sum(commissions) >= 50
    """,
)

SUITE = Suite(
    owner="Partner programme",
    checks=[
        Check(
            "Affiliates bring as many clicks on a day as usually on its weekday",
            CLICKS_BY_DAY,
            as_usual(),
            severity="warn",
        ),
        Check(
            "The ledger counts all commissions of the source",
            LEDGER_AND_SOURCE,
            gxe.ExpectColumnValuesToBeBetween(
                column="lost_share", min_value=-0.01, max_value=0.01
            ),
            severity="error",
        ),
        Check(
            "Clicks are divided among the campaigns as in earlier runs",
            CAMPAIGNS,
            as_usual(),
            severity="warn",
        ),
        Check(
            "A commission is as large as in earlier runs",
            COMMISSIONS,
            as_usual(),
            severity="warn",
        ),
    ],
)
