-- Takes 003_analytics.sql back. Every recorded event and aggregate is lost.

begin;

set local lock_timeout = '10s';

drop function aggregate_monthly_usage(integer, integer);
drop function aggregate_daily_usage(date);
drop function lock_usage_owners(uuid[], uuid[], uuid[]);
drop function usage_groups(timestamptz, timestamptz);
drop table usage_aggregate_runs;
drop table usage_aggregates_monthly;
drop table usage_aggregates_daily;
drop table feature_usage;
drop function create_event_partitions(date, date);
drop table audit_logs;
drop table error_logs;
drop table api_usage;
drop table usage_events;

commit;
