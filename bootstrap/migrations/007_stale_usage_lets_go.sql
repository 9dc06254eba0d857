-- 007: aggregating the marked periods lets go of all of them where one has to wait. It
-- held the rows of one period, which an erasure waited for, while it waited for that
-- erasure over the next: a deadlock.

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

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
                if period_types[position] = 'day' then
                    perform aggregate_daily_usage(period_starts[position]);
                else
                    perform aggregate_monthly_usage(
                        extract(year from period_starts[position])::integer,
                        extract(month from period_starts[position])::integer
                    );
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
