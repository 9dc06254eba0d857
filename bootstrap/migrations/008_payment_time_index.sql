-- 008: an index of payments by their time, by which a run finds those of the months
-- that changed instead of reading every payment.

-- Nothing is built "concurrently": a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create index payment_transactions_time_idx
on payment_transactions (coalesce(processed_at, created_at));

commit;
