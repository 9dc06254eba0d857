-- 015: an application may widen a name to text, and write one of any length. An index
-- of whole names refuses a row whose names have 2,704 bytes. The three indexes of 006,
-- by which a run finds the rows of a group, and those of campaigns hold names as the
-- marts count them: at most 201 characters, of an endpoint or a campaign 257.
--
-- The expressions are those of the macro name_of(), which the staging views use; it
-- gives the reason for 201 and 257. Where a column can't hold more, the planner takes
-- the expression for the column itself. A column that is no text, such as an enum, is a
-- key as it is: no index holds its text, which is not immutable.
--
-- The application's aggregates count event types by the same rule.
--
-- Writers of calls, errors, audited actions, clicks and referrals wait until the end.
-- Readers wait only while the former indexes are dropped, and for the lock that it
-- takes: at most 10 s a table (docs/operations.md).

-- Nothing is built or dropped "concurrently": that is not for partitioned tables.
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

do $$
declare
    built record;
begin
    for built in
        select indexes.name, indexes.table_name, indexes.definition, (
            select string_agg(
                case pg_type.typcategory
                    -- Text, and what is made of it: domains, citext.
                    when 'S' then format('(%I::varchar(%s))', column_name,
                        case when column_name in ('endpoint', 'utm_campaign')
                            then 257 else 201 end)
                    else quote_ident(column_name)
                end, ', ' order by position
            )
            from unnest(indexes.names) with ordinality as named (column_name, position)
            left join pg_attribute
                on pg_attribute.attrelid = indexes.table_name::regclass
                and pg_attribute.attname = named.column_name
            left join pg_type on pg_attribute.atttypid = pg_type.oid
        ) as name_keys
        from (values
            (
                'api_usage_names_day_idx', 'api_usage', array['endpoint', 'method'],
                '(%s, (cast(occurred_at at time zone ''UTC'' as date)))'
            ),
            (
                'error_logs_names_day_idx', 'error_logs',
                array['error_type', 'severity', 'source'],
                '(%s, (cast(occurred_at at time zone ''UTC'' as date)))'
            ),
            (
                'audit_logs_names_day_idx', 'audit_logs',
                array['action', 'resource_type', 'status'],
                '(%s, (cast(occurred_at at time zone ''UTC'' as date)))'
            ),
            (
                'affiliate_clicks_names_idx', 'affiliate_clicks',
                array['utm_campaign'], '(%s) where utm_campaign is not null'
            ),
            (
                'affiliate_referrals_names_idx', 'affiliate_referrals',
                array['utm_campaign'], '(%s) where utm_campaign is not null'
            )
        ) as indexes (name, table_name, names, definition)
    loop
        execute format('create index %I on %I ', built.name, built.table_name)
            || format(built.definition, built.name_keys);
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
    jsonb_build_array(user_id, license_id, team_id, event_type::varchar(201)),
    user_id,
    license_id,
    team_id,
    event_type::varchar(201),
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
group by user_id, license_id, team_id, event_type::varchar(201);
$$;

select place_function('usage_groups(timestamptz, timestamptz)');

-- Aggregates by whole names are marked, for aggregate_stale_usage().
insert into usage_aggregate_stale_periods (period_type, period_start)
select distinct
    'day',
    date
from usage_aggregates_daily
where length(event_type::text) > 201
union all
select distinct
    'month',
    make_date(year, month, 1)
from usage_aggregates_monthly
where length(event_type::text) > 201;

-- Last, because readers wait from here on. Three keep their names, by which a database
-- made with psql is known to have 006.
drop index affiliate_clicks_utm_campaign_idx;
drop index affiliate_referrals_utm_campaign_idx;
drop index api_usage_endpoint_day_idx;
drop index error_logs_type_day_idx;
drop index audit_logs_action_day_idx;

alter index affiliate_clicks_names_idx rename to affiliate_clicks_campaign_idx;
alter index affiliate_referrals_names_idx rename to affiliate_referrals_campaign_idx;
alter index api_usage_names_day_idx rename to api_usage_endpoint_day_idx;
alter index error_logs_names_day_idx rename to error_logs_type_day_idx;
alter index audit_logs_names_day_idx rename to audit_logs_action_day_idx;

commit;
