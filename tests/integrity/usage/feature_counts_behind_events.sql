-- depends_on: {{ ref("dim_features") }}
-- More uses than events are possible, because old events are dropped. A day is allowed
-- for a job that counts later. The groups of erased users grow without a use.
with feature_usage as (
    select
        id,
        user_id,
        license_id,
        feature_name,
        total_uses
    from {{ source("saas", "feature_usage") }}
),

events as (
    select * from {{ ref("fct_feature_usage") }}
    where last_used_at < {{ run_start() }} - interval '1 day'
)

select
    feature_usage.id as feature_usage_id,
    feature_usage.user_id,
    feature_usage.license_id,
    'fewer_uses_than_events' as reason,
    feature_usage.feature_name,
    feature_usage.total_uses,
    events.total_uses as events,
    events.last_used_at as last_event_at
from feature_usage
inner join events
    on
        feature_usage.user_id = events.user_id
        and feature_usage.license_id = events.license_id
        and feature_usage.feature_name = events.feature_name
where feature_usage.total_uses < events.total_uses
