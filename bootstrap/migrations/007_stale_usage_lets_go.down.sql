-- Takes 007_stale_usage_lets_go.sql back, to the functions of 003 and 004.

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create or replace function aggregate_stale_usage() returns integer
language plpgsql
set search_path from current
as $$
declare
    stale record;
    periods integer := 0;
begin
    for stale in
        with taken as (
            delete from usage_aggregate_stale_periods
            returning period_type, period_start
        )

        select distinct period_type, period_start from taken
        order by period_type, period_start
    loop
        if stale.period_type = 'day' then
            perform aggregate_daily_usage(stale.period_start);
        else
            perform aggregate_monthly_usage(
                extract(year from stale.period_start)::integer,
                extract(month from stale.period_start)::integer
            );
        end if;
        periods := periods + 1;
    end loop;
    return periods;
end;
$$;

create or replace function aggregate_daily_usage(target_date date) returns void
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    tries constant integer := 6;
    is_done boolean;
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
                    attempt = tries
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
            if not is_done then
                raise lock_not_available;
            end if;
            perform set_config('saas_analytics.aggregating', 'off', true);
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
#variable_conflict use_column
declare
    tries constant integer := 6;
    first_day date;
    is_done boolean;
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
                    attempt = tries
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
            if not is_done then
                raise lock_not_available;
            end if;
            perform set_config('saas_analytics.aggregating', 'off', true);
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

drop function try_daily_usage(date, boolean);
drop function try_monthly_usage(date, boolean);

commit;
