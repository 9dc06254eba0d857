-- Takes 006_group_indexes.sql back. Runs read whole months of these tables again.

-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';

drop index api_usage_endpoint_day_idx;
drop index error_logs_type_day_idx;
drop index audit_logs_action_day_idx;

commit;
