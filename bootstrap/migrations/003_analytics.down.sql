-- Reverts 003_analytics.sql. It deletes every event, log and usage aggregate.

begin;

set local lock_timeout = '10s';

drop table usage_aggregates_monthly;
drop table usage_aggregates_daily;
drop table feature_usage;
drop table audit_logs;
drop table error_logs;
drop table api_usage;
drop table usage_events;
drop function create_event_partitions(date, date);

commit;
