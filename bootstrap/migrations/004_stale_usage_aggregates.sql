-- 004: erasing a user, licence or team takes its aggregate rows with it, while the
-- events stay as anonymous ones: such periods are marked and can be aggregated anew.

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Marks are only ever added and taken away, so that erasing waits for no aggregation.
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
language plpgsql
set search_path from current
as $$
begin
    if current_setting('saas_analytics.aggregating', true) = 'on' then
        return null;
    end if;
    if tg_table_name = 'usage_aggregates_daily' then
        insert into usage_aggregate_stale_periods (period_type, period_start)
        select distinct 'day', date from old_rows;
    else
        insert into usage_aggregate_stale_periods (period_type, period_start)
        select distinct 'month', make_date(year, month, 1) from old_rows;
    end if;
    return null;
end;
$$;

comment on function mark_stale_usage_aggregates() is
'Marks the periods that lost aggregate rows to anything but the aggregation itself.';

create trigger usage_aggregates_daily_stale after delete on usage_aggregates_daily
referencing old table as old_rows
for each statement execute function mark_stale_usage_aggregates();

create trigger usage_aggregates_monthly_stale after delete on usage_aggregates_monthly
referencing old table as old_rows
for each statement execute function mark_stale_usage_aggregates();

create function aggregate_stale_usage() returns integer
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

comment on function aggregate_stale_usage() is
'Aggregates the marked days and months anew. Returns how many there were.';

commit;
