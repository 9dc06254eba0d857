-- 015: an application may widen a name to text, and write one of any length. An index
-- of whole names refuses a row whose names have 2,704 bytes. The three indexes of 006,
-- by which a run finds the rows of a group, and those of campaigns hold names as the
-- marts count them: at most 200 characters, of an endpoint or a campaign 256.
--
-- The expressions are those of the macro name_of(), which the staging views use. Each
-- is longer than its column's type, so it stays an expression and follows a wider type.
-- Until then the planner takes it for the column itself.
--
-- The application's aggregates count event types by the same rule.
--
-- Writers of calls, errors, audited actions, clicks and referrals wait until the
-- indexes are built (docs/operations.md).

-- Nothing is built or dropped "concurrently": that is not for partitioned tables.
-- squawk-ignore-file require-concurrent-index-creation
-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';
-- The body names tables that are there only when it is placed.
set local check_function_bodies = off;

select pg_catalog.set_config(
    'search_path',
    pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()),
    true
);

drop index affiliate_clicks_utm_campaign_idx;
drop index affiliate_referrals_utm_campaign_idx;

create index affiliate_clicks_campaign_idx
on affiliate_clicks ((cast(utm_campaign as varchar(256))))
where utm_campaign is not null;

create index affiliate_referrals_campaign_idx
on affiliate_referrals ((cast(utm_campaign as varchar(256))))
where utm_campaign is not null;

-- These keep their names, by which a database made with psql is known to have 006.
do $$
declare
    indexed record;
begin
    for indexed in
        select * from (values
            (
                'api_usage_endpoint_day_idx', 'api_usage',
                '(endpoint::varchar(256)), (method::varchar(200))'
            ),
            (
                'error_logs_type_day_idx', 'error_logs',
                '(error_type::varchar(200)), (severity::varchar(200)), '
                '(source::varchar(200))'
            ),
            (
                'audit_logs_action_day_idx', 'audit_logs',
                '(action::varchar(200)), (resource_type::varchar(200)), '
                '(status::varchar(200))'
            )
        ) as groups (name, table_name, expressions)
    loop
        execute format('drop index %I', indexed.name);
        execute format(
            'create index %I on %I '
            '(%s, (cast(occurred_at at time zone ''UTC'' as date)))',
            indexed.name, indexed.table_name, indexed.expressions
        );
    end loop;
end;
$$;

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
    jsonb_build_array(user_id, license_id, team_id, event_type::varchar(200)),
    user_id,
    license_id,
    team_id,
    event_type::varchar(200),
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
group by user_id, license_id, team_id, event_type::varchar(200);
$$;

select place_function('usage_groups(timestamptz, timestamptz)');

commit;
