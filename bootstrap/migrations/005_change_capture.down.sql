-- Takes 005_change_capture.sql back. Marts can't be built by what changed any more.
-- squawk-ignore-file require-concurrent-index-deletion: not within a transaction

begin;

set local lock_timeout = '10s';

drop index usage_events_anonymous_idx;

drop trigger usage_events_change on usage_events;
drop trigger api_usage_change on api_usage;
drop trigger error_logs_change on error_logs;
drop trigger audit_logs_change on audit_logs;
drop trigger subscriptions_change on subscriptions;
drop trigger payment_transactions_change on payment_transactions;
drop trigger affiliate_referrals_change on affiliate_referrals;
drop trigger affiliate_commissions_change on affiliate_commissions;
drop trigger affiliate_payouts_change on affiliate_payouts;
drop trigger affiliate_clicks_change on affiliate_clicks;
drop trigger users_change on users;
drop trigger licenses_change on licenses;
drop trigger teams_change on teams;
drop trigger team_members_change on team_members;
drop trigger affiliates_change on affiliates;

alter table usage_events drop column change_xid;
alter table api_usage drop column change_xid;
alter table error_logs drop column change_xid;
alter table audit_logs drop column change_xid;
alter table subscriptions drop column change_xid;
alter table payment_transactions drop column change_xid;
alter table affiliate_referrals drop column change_xid;
alter table affiliate_commissions drop column change_xid;
alter table affiliate_payouts drop column change_xid;
alter table affiliate_clicks drop column change_xid;
alter table users drop column change_xid;
alter table licenses drop column change_xid;
alter table teams drop column change_xid;
alter table team_members drop column change_xid;
alter table affiliates drop column change_xid;

drop function clear_change_tombstones(interval);
drop function record_change();
drop table change_tombstones_cleared;
drop table change_tombstones;

commit;
