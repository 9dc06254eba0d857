-- Reverts 007_daily_usage.sql. It deletes the times of aggregation.

begin;

set local lock_timeout = '10s';

drop function aggregate_daily_usage(date);
drop function try_daily_usage(date, boolean);
drop function lock_usage_owners(uuid[], uuid[], uuid[]);
drop function usage_groups(timestamptz, timestamptz);
drop table usage_aggregate_runs;

commit;
