-- Takes 015_long_names.sql back. It fails, and changes nothing, where a row has names
-- that an index of whole names can't hold.

-- Nothing is built or dropped "concurrently": a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation
-- squawk-ignore-file require-concurrent-index-deletion
-- No statement names an index that is renamed.
-- squawk-ignore-file renaming-object

begin;

set local lock_timeout = '10s';
-- The body names tables that are there only when it is placed.
set local check_function_bodies = off;

select pg_catalog.set_config(
    'search_path',
    pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()),
    true
);

create index affiliate_clicks_utm_campaign_idx on affiliate_clicks (utm_campaign)
where utm_campaign is not null;

create index affiliate_referrals_utm_campaign_idx on affiliate_referrals (utm_campaign)
where utm_campaign is not null;

create index api_usage_names_day_idx
on api_usage (endpoint, method, (cast(occurred_at at time zone 'UTC' as date)));

create index error_logs_names_day_idx
on error_logs (
    error_type, severity, source, (cast(occurred_at at time zone 'UTC' as date))
);

create index audit_logs_names_day_idx
on audit_logs (
    action, resource_type, status, (cast(occurred_at at time zone 'UTC' as date))
);

create or replace function usage_groups(from_time timestamptz, to_time timestamptz)
returns table (
    group_key jsonb,
    user_id uuid,
    license_id uuid,
    team_id uuid,
    event_type varchar,
    event_count bigint,
    unique_sessions bigint,
    unique_days_active bigint,
    total_duration_seconds numeric
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
select
    jsonb_build_array(user_id, license_id, team_id, event_type),
    user_id,
    license_id,
    team_id,
    event_type,
    count(*),
    count(distinct session_id),
    count(distinct (occurred_at at time zone 'UTC')::date),
    coalesce(
        sum(
            jsonb_path_query_first(
                event_data,
                'strict $."duration_seconds" ? (@ >= 0 && @ < 1e100)',
                '{}',
                true
            )::numeric
        ),
        0
    )
from this_schema.usage_events
where occurred_at >= from_time and occurred_at < to_time
    and case
        when occurred_at >= '1970-01-01 00:00:00+00'
            and occurred_at < '2100-01-01 00:00:00+00'
            then created_at >= occurred_at - interval '24 hours'
        else false
    end
group by user_id, license_id, team_id, event_type;
$$;

select place_function('usage_groups(timestamptz, timestamptz)');

-- Aggregates by names that may have been cut are marked, for aggregate_stale_usage().
insert into usage_aggregate_stale_periods (period_type, period_start)
select distinct
    'day',
    date
from usage_aggregates_daily
where length(cast(event_type as text)) >= 201
union all
select distinct
    'month',
    make_date(year, month, 1)
from usage_aggregates_monthly
where length(cast(event_type as text)) >= 201;

-- Last, because readers wait from here on.
drop index affiliate_clicks_campaign_idx;
drop index affiliate_referrals_campaign_idx;
drop index api_usage_endpoint_day_idx;
drop index error_logs_type_day_idx;
drop index audit_logs_action_day_idx;

alter index api_usage_names_day_idx rename to api_usage_endpoint_day_idx;
alter index error_logs_names_day_idx rename to error_logs_type_day_idx;
alter index audit_logs_names_day_idx rename to audit_logs_action_day_idx;

commit;
