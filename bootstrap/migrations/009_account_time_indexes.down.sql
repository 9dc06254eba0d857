-- Takes 009_account_time_indexes.sql back. Runs read every referral and licence again.

-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';

drop index licenses_cancelled_at_idx;
drop index licenses_started_at_idx;
drop index affiliate_referrals_converted_at_idx;
drop index affiliate_referrals_qualified_at_idx;

commit;
