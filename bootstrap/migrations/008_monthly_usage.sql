-- 008: aggregate_monthly_usage(). It counts a month from its events, because distinct
-- counts of days can't be added. 007 describes how it avoids deadlocks.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

create function try_monthly_usage(first_day date, is_last_try boolean)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    target_year constant integer := extract(year from first_day);
    target_month constant integer := extract(month from first_day);
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from this_schema.usage_groups(
            first_day::timestamp at time zone 'UTC',
            (first_day + interval '1 month') at time zone 'UTC'
        )
    ),

    present as materialized (
        select
            id,
            event_count,
            unique_sessions,
            unique_days_active,
            total_duration_seconds,
            jsonb_build_array(user_id, license_id, team_id, event_type)
                as group_key,
            row_number() over (
                partition by user_id, license_id, team_id, event_type
                order by created_at, id
            ) as copy
        from this_schema.usage_aggregates_monthly
        where year = target_year and month = target_month
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
                fresh.unique_days_active,
                fresh.total_duration_seconds
            ) is distinct from (
                present.event_count,
                present.unique_sessions,
                present.unique_days_active,
                present.total_duration_seconds
            )
    ),

    locked as materialized (
        select id from this_schema.usage_aggregates_monthly
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
        delete from this_schema.usage_aggregates_monthly
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update this_schema.usage_aggregates_monthly as aggregate
        set
            event_count = difference.event_count,
            unique_sessions = difference.unique_sessions,
            unique_days_active = difference.unique_days_active,
            total_duration_seconds = difference.total_duration_seconds
        from difference
        where (select is_free from verdict)
            and difference.action = 'change'
            and aggregate.id = difference.id
    ),

    added as (
        insert into this_schema.usage_aggregates_monthly (
            year, month, user_id, license_id, team_id, event_type,
            event_count, unique_sessions, unique_days_active,
            total_duration_seconds
        )
        select
            target_year, target_month, user_id, license_id, team_id, event_type,
            event_count, unique_sessions, unique_days_active,
            total_duration_seconds
        from difference
        where (select is_free from verdict) and action = 'add'
    )

    select is_free into is_done from verdict;
    perform set_config('saas_analytics.aggregating', 'off', true);
    return is_done;
end;
$$;

select place_function('try_monthly_usage(date, boolean)');

comment on function try_monthly_usage(date, boolean) is
'Aggregates a month as try_daily_usage does a day.';

create function aggregate_monthly_usage(
    target_year integer, target_month integer
)
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    tries constant integer := 6;
    first_day date;
begin
    if target_year is null or target_year not between 1970 and 2100
        or target_month is null or target_month not between 1 and 12
    then
        raise exception
            'aggregate_monthly_usage: % / % is not a month from 1970 to 2100',
            target_year, target_month using errcode = 'invalid_parameter_value';
    end if;
    first_day := make_date(target_year, target_month, 1);

    insert into this_schema.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    values ('month', first_day, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table this_schema.users, this_schema.licenses, this_schema.teams
                in share mode;
            end if;
            if not this_schema.try_monthly_usage(first_day, attempt = tries) then
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

select place_function('aggregate_monthly_usage(integer, integer)');

comment on function aggregate_monthly_usage(integer, integer) is
'Makes the rows of one month (UTC) in usage_aggregates_monthly equal to its '
'usage_events; it never reads the daily aggregates.';

commit;
