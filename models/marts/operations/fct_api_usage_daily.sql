{{ config(
    meta={"exact": {
        "keys": ["usage_date", "endpoint", "method"],
        "inputs": {"stg_saas__api_usage": {"keys": {"usage_date": "day of occurred_at"}}},
    }},
) }}

-- One row per day, endpoint and method: calls of the public API, failures and response
-- times. A call counts on its own day, however late it was recorded.
with calls as (
    select * from {{ ref("stg_saas__api_usage") }}
)

select
    {{ reporting_date("occurred_at") }} as usage_date,
    endpoint,
    method,
    count(*) as requests,
    {{ count_if("status_code between 400 and 499") }} as client_errors,
    {{ count_if("status_code between 500 and 599") }} as server_errors,
    {{ safe_ratio(count_if("status_code between 500 and 599"), "count(*)") }}
        as error_rate,
    {{ percentile("response_time_ms", 0.5) }} as p50_response_ms,
    {{ percentile("response_time_ms", 0.95) }} as p95_response_ms,
    {{ percentile("response_time_ms", 0.99) }} as p99_response_ms
from calls
group by {{ reporting_date("occurred_at") }}, endpoint, method
