-- Reverts 009_stale_usage.sql. It deletes the marks of stale periods.

begin;

set local lock_timeout = '10s';

drop function aggregate_stale_usage();
drop trigger usage_aggregates_monthly_stale on usage_aggregates_monthly;
drop trigger usage_aggregates_daily_stale on usage_aggregates_daily;
drop function mark_stale_usage_aggregates();
drop table usage_aggregate_stale_periods;

commit;
