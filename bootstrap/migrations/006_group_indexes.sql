-- 006: an index of groups and days on the tables of calls, errors and actions, by which
-- a run finds the rows of the groups that changed instead of reading whole months.
-- Equal keys are packed (docs/performance.md).

-- Nothing is built "concurrently": that is not for partitioned tables.
-- squawk-ignore-file require-concurrent-index-creation

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create index api_usage_endpoint_day_idx
on api_usage (endpoint, method, (cast(occurred_at at time zone 'UTC' as date)));

create index error_logs_type_day_idx
on error_logs (
    error_type, severity, source, (cast(occurred_at at time zone 'UTC' as date))
);

create index audit_logs_action_day_idx
on audit_logs (
    action, resource_type, status, (cast(occurred_at at time zone 'UTC' as date))
);

commit;
