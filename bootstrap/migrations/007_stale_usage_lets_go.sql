-- 007: aggregating the marked periods lets go of all of them where one is not free. It
-- held the rows of one period, which an erasure waited for, while it waited for that
-- erasure over the next: a deadlock.
--
-- Each try of a period is a function without an exception block of its own: who waits
-- for a row that a block has written and left waits until the whole transaction ends.

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function try_daily_usage(target_date date, is_last_try boolean) returns boolean
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from usage_groups(
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
        from usage_aggregates_daily
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
        select id from usage_aggregates_daily
        where id in (select id from difference)
        for update skip locked
    ),

    verdict as materialized (
        select
            is_last_try
            or lock_usage_owners(
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
        delete from usage_aggregates_daily
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update usage_aggregates_daily as aggregate
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
        insert into usage_aggregates_daily (
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

comment on function try_daily_usage(date, boolean) is
'Aggregates a day where nobody is in its way, without waiting. False where somebody '
'is: the caller has to let go of what was locked. A last try has kept others out.';

create function try_monthly_usage(first_day date, is_last_try boolean) returns boolean
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    target_year constant integer := extract(year from first_day);
    target_month constant integer := extract(month from first_day);
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from usage_groups(
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
        from usage_aggregates_monthly
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
        select id from usage_aggregates_monthly
        where id in (select id from difference)
        for update skip locked
    ),

    verdict as materialized (
        select
            is_last_try
            or lock_usage_owners(
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
        delete from usage_aggregates_monthly
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update usage_aggregates_monthly as aggregate
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
        insert into usage_aggregates_monthly (
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

comment on function try_monthly_usage(date, boolean) is
'Aggregates a month as try_daily_usage does a day.';

create or replace function aggregate_daily_usage(target_date date) returns void
language plpgsql
set search_path from current
as $$
declare
    tries constant integer := 6;
begin
    if target_date is null or not isfinite(target_date) then
        raise exception 'aggregate_daily_usage: % is not a day', target_date
            using errcode = 'invalid_parameter_value';
    end if;

    insert into usage_aggregate_runs (period_type, period_start, aggregated_at)
    values ('day', target_date, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table users, licenses, teams in share mode;
            end if;
            if not try_daily_usage(target_date, attempt = tries) then
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

create or replace function aggregate_monthly_usage(
    target_year integer, target_month integer
)
returns void
language plpgsql
set search_path from current
as $$
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

    insert into usage_aggregate_runs (period_type, period_start, aggregated_at)
    values ('month', first_day, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table users, licenses, teams in share mode;
            end if;
            if not try_monthly_usage(first_day, attempt = tries) then
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

create or replace function aggregate_stale_usage() returns integer
language plpgsql
set search_path from current
as $$
declare
    tries constant integer := 6;
    callers_lock_timeout constant text := current_setting('lock_timeout');
    period_types text[];
    period_starts date[];
begin
    with
    taken as (
        delete from usage_aggregate_stale_periods
        returning period_type, period_start
    ),

    periods as (
        select distinct period_type, period_start from taken
    )

    select
        array_agg(period_type order by period_type, period_start),
        array_agg(period_start order by period_type, period_start)
    into period_types, period_starts
    from periods;

    if period_types is null then
        return 0;
    end if;

    -- Other runs over these periods are waited for here, where nothing is held that
    -- anybody else needs.
    insert into usage_aggregate_runs (period_type, period_start, aggregated_at)
    select periods.period_type, periods.period_start, clock_timestamp()
    from unnest(period_types, period_starts) as periods (period_type, period_start)
    order by periods.period_type, periods.period_start
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table users, licenses, teams in share mode;
            else
                -- Much shorter than anybody looks for a deadlock.
                perform set_config('lock_timeout', '20ms', true);
            end if;
            for position in 1 .. cardinality(period_types) loop
                if not (
                    case period_types[position]
                        when 'day' then
                            try_daily_usage(period_starts[position], attempt = tries)
                        else try_monthly_usage(period_starts[position], attempt = tries)
                    end
                ) then
                    raise lock_not_available;
                end if;
            end loop;
            perform set_config('lock_timeout', callers_lock_timeout, true);
            return cardinality(period_types);
        exception when lock_not_available or deadlock_detected then
            if attempt = tries then
                raise;
            end if;
        end;
        perform pg_sleep(0.02 * 2 ^ attempt);
    end loop;
end;
$$;

commit;
