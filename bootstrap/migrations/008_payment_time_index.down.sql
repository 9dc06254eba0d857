-- Takes 008_payment_time_index.sql back. Runs read every payment again.

-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';

drop index payment_transactions_time_idx;

commit;
