"""What Platform engineering counts on in the operations marts."""

import great_expectations.expectations as gxe

from saas_analytics.expectations.datasets import ByWeekday, Measured, Rows, Shares
from saas_analytics.expectations.suites import Check, Suite, as_usual

CALLS_BY_DAY = ByWeekday("""
    select usage_date as day, sum(requests) as amount
    from {marts}.fct_api_usage_daily
    where usage_date < (now() at time zone {zone})::date
    group by usage_date
""")

AUDITED_ACTIONS_BY_DAY = ByWeekday("""
    select audit_date as day, sum(events) as amount
    from {marts}.fct_audit_daily
    where audit_date < (now() at time zone {zone})::date
    group by audit_date
""")

# The last four weeks. The application goes on writing: the rows that came in since the
# build are few. The bound in UTC is for the partitions, a day wider than any zone.
MARTS_AND_SOURCE = Rows("""
    with last_days as (
        select
            (select max(usage_date) from {marts}.fct_api_usage_daily) as api,
            (select max(error_date) from {marts}.fct_errors_daily) as errors,
            (select max(audit_date) from {marts}.fct_audit_daily) as audit
    ),

    counts as (
        select
            'api_usage' as source_table,
            (
                select count(*) from {source}.api_usage
                where case
                    when occurred_at >= '1970-01-01 00:00+00'
                        and occurred_at < (api + 2)::timestamp at time zone 'UTC'
                        then created_at >= occurred_at - interval '24 hours'
                        and (occurred_at at time zone {zone})::date
                        between api - 28 and api
                    else false
                end
                    and occurred_at >= (api - 29)::timestamp at time zone 'UTC'
            ) as source_rows,
            (
                select sum(requests) from {marts}.fct_api_usage_daily
                where usage_date >= api - 28
            ) as mart_rows
        from last_days
        union all
        select
            'error_logs',
            (
                select count(*) from {source}.error_logs
                where case
                    when occurred_at >= '1970-01-01 00:00+00'
                        and occurred_at < (errors + 2)::timestamp at time zone 'UTC'
                        then created_at >= occurred_at - interval '24 hours'
                        and (occurred_at at time zone {zone})::date
                        between errors - 28 and errors
                    else false
                end
                    and occurred_at >= (errors - 29)::timestamp at time zone 'UTC'
            ),
            (
                select sum(errors) from {marts}.fct_errors_daily
                where error_date >= last_days.errors - 28
            )
        from last_days
        union all
        select
            'audit_logs',
            (
                select count(*) from {source}.audit_logs
                where case
                    when occurred_at >= '1970-01-01 00:00+00'
                        and occurred_at < (audit + 2)::timestamp at time zone 'UTC'
                        then created_at >= occurred_at - interval '24 hours'
                        and (occurred_at at time zone {zone})::date
                        between audit - 28 and audit
                    else false
                end
                    and occurred_at >= (audit - 29)::timestamp at time zone 'UTC'
            ),
            (
                select sum(events) from {marts}.fct_audit_daily
                where audit_date >= audit - 28
            )
        from last_days
    )

    select
        source_table,
        source_rows,
        coalesce(mart_rows, 0) as mart_rows,
        1 - coalesce(mart_rows, 0) / greatest(source_rows, 1) as lost_share
    from counts
""")

RESPONSE_TIMES = Shares(
    measure="operations: share of calls by response time",
    margin=0.01,
    query="""
        select
            case
                when response_time_ms < 100 then 'below 0.1 s'
                when response_time_ms < 300 then '0.1 to 0.3 s'
                when response_time_ms < 1000 then '0.3 to 1 s'
                when response_time_ms < 3000 then '1 to 3 s'
                else '3 s and more'
            end as part,
            count(*)::numeric / sum(count(*)) over () as value
        from {staging}.stg_saas__api_usage
        where response_time_ms is not null
            and (occurred_at at time zone {zone})::date >= (
                select max(usage_date) - 27 from {marts}.fct_api_usage_daily
            )
            and occurred_at >= (
                select (max(usage_date) - 28)::timestamp at time zone 'UTC'
                from {marts}.fct_api_usage_daily
            )
        group by 1
    """,
)

SLOW_CALLS = Measured(
    measure="operations: 95th percentile of each endpoint",
    margin=0.1,
    query="""
        select
            method || ' ' || endpoint as part,
            percentile_cont(0.95) within group (order by response_time_ms) as value
        from {staging}.stg_saas__api_usage
        where (occurred_at at time zone {zone})::date >= (
                select max(usage_date) - 27 from {marts}.fct_api_usage_daily
            )
            and occurred_at >= (
                select (max(usage_date) - 28)::timestamp at time zone 'UTC'
                from {marts}.fct_api_usage_daily
            )
        group by method, endpoint
        -- Fewer say nothing of the slowest twentieth.
        having count(response_time_ms) >= 200
    """,
)

ANSWERS = Shares(
    measure="operations: share of answers by kind",
    margin=0.005,
    query="""
        with sums as (
            select
                sum(requests) as requests,
                sum(client_errors) as client_errors,
                sum(server_errors) as server_errors
            from {marts}.fct_api_usage_daily
            where usage_date > (
                select max(usage_date) - 28 from {marts}.fct_api_usage_daily
            )
        )

        select 'client errors' as part, client_errors / nullif(requests, 0) as value
        from sums
        union all
        select 'server errors', server_errors / nullif(requests, 0)
        from sums
        union all
        select 'other', 1 - (client_errors + server_errors) / nullif(requests, 0)
        from sums
    """,
)

TAIL_AND_MEDIAN = Rows("""
    select
        usage_date::text as day,
        endpoint,
        method,
        requests,
        p99_response_ms,
        50 * p50_response_ms as fifty_medians_ms
    from {marts}.fct_api_usage_daily
    where usage_date > (select max(usage_date) - 28 from {marts}.fct_api_usage_daily)
    order by usage_date, endpoint, method
""")

SUITE = Suite(
    owner="Platform engineering",
    checks=[
        Check(
            "The API is called as often on a day as usually on its weekday",
            CALLS_BY_DAY,
            as_usual(),
            severity="warn",
        ),
        Check(
            "As many actions are audited on a day as usually on its weekday",
            AUDITED_ACTIONS_BY_DAY,
            as_usual(),
            severity="warn",
        ),
        Check(
            "The marts count the source's calls, errors and audited actions",
            MARTS_AND_SOURCE,
            gxe.ExpectColumnValuesToBeBetween(
                column="lost_share", min_value=-0.01, max_value=0.01
            ),
            severity="error",
        ),
        Check(
            "Nine times in ten, an endpoint's slowest percent is within 50 medians",
            TAIL_AND_MEDIAN,
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="fifty_medians_ms",
                column_B="p99_response_ms",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                mostly=0.9,
            ),
            severity="warn",
        ),
        Check(
            "Response times are distributed as in earlier runs",
            RESPONSE_TIMES,
            as_usual(),
            severity="warn",
        ),
        Check(
            "An endpoint's slow calls take as long as in earlier runs",
            SLOW_CALLS,
            as_usual(),
            severity="warn",
        ),
        Check(
            "As many calls fail as in earlier runs",
            ANSWERS,
            as_usual(),
            severity="warn",
        ),
    ],
)
