-- 009: days and months whose aggregates lost rows. Erasing a user, license or team
-- deletes its aggregate rows, while its events remain as anonymous ones.
--
-- aggregate_stale_usage() aggregates them again, all or none. If another session uses
-- one period, it rolls back and releases all locks.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

-- Marks are never updated, so an erasure waits for no aggregation.
create table usage_aggregate_stale_periods (
    period_type text not null check (period_type in ('day', 'month')),
    period_start date not null,
    marked_at timestamptz not null default now()
);

comment on table usage_aggregate_stale_periods is
'One row per time that a day or month lost aggregate rows, mostly to a cascade.';

create index usage_aggregate_stale_periods_idx
on usage_aggregate_stale_periods (period_type, period_start);

create function mark_stale_usage_aggregates() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if current_setting('saas_analytics.aggregating', true) = 'on' then
        return null;
    end if;
    if tg_table_name = 'usage_aggregates_daily' then
        insert into this_schema.usage_aggregate_stale_periods (
            period_type, period_start
        )
        select distinct 'day', date from old_rows;
    else
        insert into this_schema.usage_aggregate_stale_periods (
            period_type, period_start
        )
        select distinct 'month', make_date(year, month, 1) from old_rows;
    end if;
    return null;
end;
$$;

select place_function('mark_stale_usage_aggregates()');

comment on function mark_stale_usage_aggregates() is
'Marks the periods that lost aggregate rows to anything but the aggregation itself.';

create trigger usage_aggregates_daily_stale after delete on usage_aggregates_daily
referencing old table as old_rows
for each statement execute function mark_stale_usage_aggregates();

create trigger usage_aggregates_monthly_stale after delete on usage_aggregates_monthly
referencing old table as old_rows
for each statement execute function mark_stale_usage_aggregates();

create function aggregate_stale_usage() returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    tries constant integer := 6;
    callers_lock_timeout constant text := current_setting('lock_timeout');
    period_types text[];
    period_starts date[];
begin
    with
    taken as (
        delete from this_schema.usage_aggregate_stale_periods
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
    insert into this_schema.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    select periods.period_type, periods.period_start, clock_timestamp()
    from unnest(period_types, period_starts) as periods (period_type, period_start)
    order by periods.period_type, periods.period_start
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table this_schema.users, this_schema.licenses, this_schema.teams
                in share mode;
            else
                -- Much shorter than anybody looks for a deadlock.
                perform set_config('lock_timeout', '20ms', true);
            end if;
            for position in 1 .. cardinality(period_types) loop
                if not (
                    case period_types[position]
                        when 'day' then
                            this_schema.try_daily_usage(
                                period_starts[position], attempt = tries
                            )
                        else
                            this_schema.try_monthly_usage(
                                period_starts[position], attempt = tries
                            )
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

select place_function('aggregate_stale_usage()');

comment on function aggregate_stale_usage() is
'Aggregates the marked days and months anew. Returns how many there were.';

commit;
