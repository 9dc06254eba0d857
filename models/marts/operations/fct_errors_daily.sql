{{ config(
    meta={"exact": {
        "keys": ["error_date", "severity", "error_type", "source"],
        "inputs": {"stg_saas__error_logs": {"keys": {"error_date": "day of occurred_at"}}},
    }},
) }}

-- One row per day, severity, error type and source (unknown is a group of its own):
-- errors and affected users. An error counts on its own day.
with errors as (
    select * from {{ ref("stg_saas__error_logs") }}
)

select
    {{ reporting_date("occurred_at") }} as error_date,
    severity,
    error_type,
    source,
    count(*) as errors,
    count(distinct user_id) as affected_users
from errors
group by {{ reporting_date("occurred_at") }}, severity, error_type, source
