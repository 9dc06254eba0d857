-- 007: aggregate_daily_usage() and the functions that aggregate_monthly_usage() (008)
-- shares with it.
--
-- * Both write only rows of changed groups. They delete groups without events, and the
--   duplicates that nulls in the unique key permit.
-- * A session that deletes a user locks that user and waits for the user's rows. An
--   aggregation that locks such rows and waits for the user would deadlock. So it locks
--   rows without waiting, or rolls back, pauses, and reads the events again. The last
--   try locks the tables against deletions.
-- * Each try is a function without an exception block. After an exception block has
--   written a row and rolled back, other sessions would wait for that row until the
--   transaction ends.
-- * The setting saas_analytics.aggregating marks deletions of an aggregation for
--   triggers.

begin;

set local lock_timeout = '10s';
-- place_function() makes the table names in the body of an SQL function valid.
set local check_function_bodies = off;

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

create table usage_aggregate_runs (
    period_type text not null check (period_type in ('day', 'month')),
    period_start date not null,
    aggregated_at timestamptz not null,
    primary key (period_type, period_start)
);

comment on table usage_aggregate_runs is
'One row per day or month that was aggregated. Its row lock lets two runs over the '
'same period queue up, and stops one that works on an old snapshot.';

-- * A time is plausible from 1970 to before 2100 and at most 24 hours after the row was
--   written. Events at other times are omitted, as in the marts.
-- * A duration is a number from 0 to less than 1e100: larger ones overflow the sum.
-- * 201 characters, as in the macro name_of(): an application may widen event types.
create function usage_groups(from_time timestamptz, to_time timestamptz)
returns table (
    group_key jsonb, user_id uuid, license_id uuid, team_id uuid, event_type varchar,
    event_count bigint, unique_sessions bigint, unique_days_active bigint,
    total_duration_seconds numeric
)
language sql stable set search_path = pg_catalog, pg_temp as $$
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

comment on function usage_groups(timestamptz, timestamptz) is
'The usage of each group of user, licence, team and event type from one moment until '
'before another. Null ids form groups of their own; group_key equals for equal groups.';

create function lock_usage_owners(
    user_ids uuid[], license_ids uuid[], team_ids uuid[]
)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    wanted constant bigint := coalesce(cardinality(user_ids), 0)
        + coalesce(cardinality(license_ids), 0) + coalesce(cardinality(team_ids), 0);
    locked bigint := 0;
    found_rows bigint;
begin
    perform from this_schema.users where id = any (user_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from this_schema.licenses where id = any (license_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from this_schema.teams where id = any (team_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    return locked + found_rows = wanted;
end;
$$;

select place_function('lock_usage_owners(uuid[], uuid[], uuid[])');

comment on function lock_usage_owners(uuid[], uuid[], uuid[]) is
'Keeps users, licences and teams from being deleted until the end of the transaction. '
'False, without waiting, where one of them is gone or being deleted.';

create function try_daily_usage(target_date date, is_last_try boolean)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from this_schema.usage_groups(
            target_date::timestamp at time zone 'UTC',
            (target_date + 1)::timestamp at time zone 'UTC'
        )
    ),

    present as materialized (
        select
            id,
            event_count,
            unique_sessions,
            total_duration_seconds,
            jsonb_build_array(user_id, license_id, team_id, event_type)
                as group_key,
            row_number() over (
                partition by user_id, license_id, team_id, event_type
                order by created_at, id
            ) as copy
        from this_schema.usage_aggregates_daily
        where date = target_date
    ),

    difference as materialized (
        select
            fresh.*,
            present.id,
            case
                when present.id is null then 'add'
                when fresh.group_key is null or present.copy > 1 then 'remove'
                else 'change'
            end as action
        from fresh
        full join present on fresh.group_key = present.group_key
        where fresh.group_key is null
            or present.id is null
            or present.copy > 1
            or (
                fresh.event_count,
                fresh.unique_sessions,
                fresh.total_duration_seconds
            ) is distinct from (
                present.event_count,
                present.unique_sessions,
                present.total_duration_seconds
            )
    ),

    locked as materialized (
        select id from this_schema.usage_aggregates_daily
        where id in (select id from difference)
        for update skip locked
    ),

    verdict as materialized (
        select
            is_last_try
            or this_schema.lock_usage_owners(
                array_agg(distinct user_id)
                filter (where action = 'add' and user_id is not null),
                array_agg(distinct license_id)
                filter (where action = 'add' and license_id is not null),
                array_agg(distinct team_id)
                filter (where action = 'add' and team_id is not null)
            )
            and count(id) = (select count(*) from locked) as is_free
        from difference
    ),

    removed as (
        delete from this_schema.usage_aggregates_daily
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update this_schema.usage_aggregates_daily as aggregate
        set
            event_count = difference.event_count,
            unique_sessions = difference.unique_sessions,
            total_duration_seconds = difference.total_duration_seconds
        from difference
        where (select is_free from verdict)
            and difference.action = 'change'
            and aggregate.id = difference.id
    ),

    added as (
        insert into this_schema.usage_aggregates_daily (
            date, user_id, license_id, team_id, event_type,
            event_count, unique_sessions, total_duration_seconds
        )
        select
            target_date, user_id, license_id, team_id, event_type,
            event_count, unique_sessions, total_duration_seconds
        from difference
        where (select is_free from verdict) and action = 'add'
    )

    select is_free into is_done from verdict;
    perform set_config('saas_analytics.aggregating', 'off', true);
    return is_done;
end;
$$;

select place_function('try_daily_usage(date, boolean)');

comment on function try_daily_usage(date, boolean) is
'Aggregates a day where nobody is in its way, without waiting. False where somebody '
'is: the caller has to let go of what was locked. A last try has kept others out.';

create function aggregate_daily_usage(target_date date) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    tries constant integer := 6;
begin
    if target_date is null or not isfinite(target_date) then
        raise exception 'aggregate_daily_usage: % is not a day', target_date
            using errcode = 'invalid_parameter_value';
    end if;

    insert into this_schema.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    values ('day', target_date, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table this_schema.users, this_schema.licenses, this_schema.teams
                in share mode;
            end if;
            if not this_schema.try_daily_usage(target_date, attempt = tries) then
                raise lock_not_available;
            end if;
            return;
        exception when lock_not_available or deadlock_detected then
            if attempt = tries then
                raise;
            end if;
        end;
        perform pg_sleep(0.02 * 2 ^ attempt);
    end loop;
end;
$$;

select place_function('aggregate_daily_usage(date)');

comment on function aggregate_daily_usage(date) is
'Makes the rows of one day (UTC) in usage_aggregates_daily equal to its usage_events.';

commit;
