"""What Product analytics counts on in the adoption marts."""

import great_expectations.expectations as gxe

from saas_analytics.expectations.datasets import Measured, Rows, Shares
from saas_analytics.expectations.suites import Check, Suite, as_usual

MART_AND_SOURCE = Rows("""
    with source as (
        select event_name as feature, count(*) as uses
        from {source}.usage_events
        where event_category = 'feature'
        group by event_name
    ),

    mart as (
        select feature_name as feature, sum(total_uses) as uses
        from {marts}.fct_feature_usage
        group by feature_name
    )

    select
        feature,
        coalesce(source.uses, 0) as source_uses,
        coalesce(mart.uses, 0) as mart_uses,
        1 - coalesce(mart.uses, 0) / greatest(source.uses, 1) as lost_share
    from source
    full join mart using (feature)
    order by feature
""")

FEATURES = Shares(
    measure="adoption: share of each feature's uses",
    margin=0.01,
    query="""
        select
            feature_name as part,
            sum(total_uses) / nullif(sum(sum(total_uses)) over (), 0) as value
        from {marts}.fct_feature_adoption_monthly
        where plan_type = 'all'
            and adoption_month > (
                select max(adoption_month) from {marts}.fct_feature_adoption_monthly
            ) - interval '3 months'
        group by feature_name
    """,
)

CLOSED_MONTHS = Measured(
    measure="adoption: uses in closed months",
    margin=0.0025,
    enough_runs=1,
    query="""
        with last_month as (
            select max(adoption_month) as adoption_month
            from {marts}.fct_feature_adoption_monthly
        )

        select to_char(adoption_month, 'YYYY-MM') as part, sum(total_uses) as value
        from {marts}.fct_feature_adoption_monthly
        where plan_type = 'all'
            and adoption_month < (select adoption_month from last_month)
            and adoption_month >= (
                select adoption_month from last_month
            ) - interval '3 months'
        group by adoption_month
    """,
)

SUITE = Suite(
    owner="Product analytics",
    checks=[
        Check(
            "The mart counts the source's uses of each feature",
            MART_AND_SOURCE,
            gxe.ExpectColumnValuesToBeBetween(
                column="lost_share", min_value=-0.01, max_value=0.01
            ),
            severity="error",
        ),
        Check(
            "A feature has as large a share of all uses as in earlier runs",
            FEATURES,
            as_usual(),
            severity="warn",
        ),
        Check(
            "A month that is over keeps its uses: within 1% of earlier runs",
            CLOSED_MONTHS,
            as_usual(),
            severity="warn",
        ),
    ],
)
