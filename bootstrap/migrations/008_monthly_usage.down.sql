-- Reverts 008_monthly_usage.sql.

begin;

set local lock_timeout = '10s';

drop function aggregate_monthly_usage(integer, integer);
drop function try_monthly_usage(date, boolean);

commit;
