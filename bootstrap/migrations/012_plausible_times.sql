-- 012: a time is plausible from 1970 to before 2100 and, of an event, at most 24 hours
-- after its row was written. The marts leave out or pass over any other time, so a
-- single client whose clock is wrong stops no run and makes none slow.
--
-- * Before-images of events keep created_at, which this rule reads.
-- * The application's own aggregates follow the same rule, and the same one about
--   durations: a number from 0 to less than 1e100. Larger ones overflowed the sum.
-- * The indexes by which a run finds rows by their time are those of plausible times:
--   the staging views show no other, so indexes on the columns don't serve them.
--
-- Writers of payments, referrals and licences, and readers and writers of events, wait
-- until the indexes are built (docs/operations.md).

-- Nothing is built or dropped "concurrently": a migration is one transaction.
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

-- What was aggregated by the former rules is marked, for aggregate_stale_usage().
insert into usage_aggregate_stale_periods (period_type, period_start)
select distinct
    'day',
    date
from usage_aggregates_daily
where total_duration_seconds >= 1e100
    or date < date '1970-01-01'
    or date > created_at::date + 1
union all
select distinct
    'month',
    make_date(year, month, 1)
from usage_aggregates_monthly
where total_duration_seconds >= 1e100
    or make_date(year, month, 1) > created_at::date + 1;

select capture_changes('usage_events', '{created_at}');
select capture_changes('api_usage', '{created_at}');
select capture_changes('error_logs', '{created_at}');
select capture_changes('audit_logs', '{created_at}');

-- The expressions are those of the macro plausible_time(), which the staging views use.
create index affiliate_referrals_plausible_created_at_idx on affiliate_referrals ((
    case
        when created_at >= timestamptz '1970-01-01 00:00:00+00'
            and created_at < timestamptz '2100-01-01 00:00:00+00'
            then created_at
    end
));

create index licenses_plausible_expires_at_idx on licenses ((
    case
        when expires_at >= timestamptz '1970-01-01 00:00:00+00'
            and expires_at < timestamptz '2100-01-01 00:00:00+00'
            then expires_at
    end
));

-- These keep their names, by which a database made with psql is known to have 008, 009.
do $$
declare
    plausible constant text := 'case when %1$I >= timestamptz ''1970-01-01 00:00:00+00'' '
        'and %1$I < timestamptz ''2100-01-01 00:00:00+00'' then %1$I end';
    indexed record;
begin
    for indexed in
        select table_name, column_name, format(plausible, column_name) as expression
        from (values
            ('affiliate_referrals', 'qualified_at'),
            ('affiliate_referrals', 'converted_at'),
            ('licenses', 'started_at'),
            ('licenses', 'cancelled_at')
        ) as times (table_name, column_name)
        union all
        select 'payment_transactions', 'time', format(
            'coalesce(%s, %s)', format(plausible, 'processed_at'),
            format(plausible, 'created_at')
        )
    loop
        execute format(
            'drop index %I', format('%s_%s_idx', indexed.table_name, indexed.column_name)
        );
        execute format(
            'create index %I on %I ((%s))',
            format('%s_%s_idx', indexed.table_name, indexed.column_name),
            indexed.table_name, indexed.expression
        );
    end loop;
end;
$$;

commit;
