-- Takes 007_stale_usage_lets_go.sql back, to the function of 004.

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

commit;
