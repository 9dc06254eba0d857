-- Takes 005_change_capture.sql back. Marts can't be built by what changed any more.

-- Nothing is built or dropped "concurrently": that is not for a transaction.
-- squawk-ignore-file require-concurrent-index-creation
-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';

create index usage_events_user_id_idx on usage_events (user_id)
where user_id is not null;

drop index usage_events_user_id_day_idx;

drop trigger usage_events_stamped on usage_events;
drop trigger usage_events_moved on usage_events;
drop trigger usage_events_deleted on usage_events;
drop trigger usage_events_copied on usage_events;
drop trigger api_usage_stamped on api_usage;
drop trigger api_usage_moved on api_usage;
drop trigger api_usage_deleted on api_usage;
drop trigger api_usage_copied on api_usage;
drop trigger error_logs_stamped on error_logs;
drop trigger error_logs_moved on error_logs;
drop trigger error_logs_deleted on error_logs;
drop trigger error_logs_copied on error_logs;
drop trigger audit_logs_stamped on audit_logs;
drop trigger audit_logs_moved on audit_logs;
drop trigger audit_logs_deleted on audit_logs;
drop trigger audit_logs_copied on audit_logs;
drop trigger subscriptions_stamped on subscriptions;
drop trigger subscriptions_moved on subscriptions;
drop trigger subscriptions_deleted on subscriptions;
drop trigger subscriptions_copied on subscriptions;
drop trigger payment_transactions_stamped on payment_transactions;
drop trigger payment_transactions_moved on payment_transactions;
drop trigger payment_transactions_deleted on payment_transactions;
drop trigger payment_transactions_copied on payment_transactions;
drop trigger affiliate_referrals_stamped on affiliate_referrals;
drop trigger affiliate_referrals_moved on affiliate_referrals;
drop trigger affiliate_referrals_deleted on affiliate_referrals;
drop trigger affiliate_referrals_copied on affiliate_referrals;
drop trigger affiliate_commissions_stamped on affiliate_commissions;
drop trigger affiliate_commissions_moved on affiliate_commissions;
drop trigger affiliate_commissions_deleted on affiliate_commissions;
drop trigger affiliate_commissions_copied on affiliate_commissions;
drop trigger affiliate_payouts_stamped on affiliate_payouts;
drop trigger affiliate_payouts_moved on affiliate_payouts;
drop trigger affiliate_payouts_deleted on affiliate_payouts;
drop trigger affiliate_payouts_copied on affiliate_payouts;
drop trigger affiliate_clicks_stamped on affiliate_clicks;
drop trigger affiliate_clicks_moved on affiliate_clicks;
drop trigger affiliate_clicks_deleted on affiliate_clicks;
drop trigger affiliate_clicks_copied on affiliate_clicks;
drop trigger users_stamped on users;
drop trigger users_moved on users;
drop trigger users_deleted on users;
drop trigger users_copied on users;
drop trigger licenses_stamped on licenses;
drop trigger licenses_moved on licenses;
drop trigger licenses_deleted on licenses;
drop trigger licenses_copied on licenses;
drop trigger teams_stamped on teams;
drop trigger teams_moved on teams;
drop trigger teams_deleted on teams;
drop trigger teams_copied on teams;
drop trigger team_members_stamped on team_members;
drop trigger team_members_moved on team_members;
drop trigger team_members_deleted on team_members;
drop trigger team_members_copied on team_members;
drop trigger affiliates_stamped on affiliates;
drop trigger affiliates_moved on affiliates;
drop trigger affiliates_deleted on affiliates;
drop trigger affiliates_copied on affiliates;

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
drop function stamp_change();
drop table change_tombstones_cleared;
drop table change_tombstones;

commit;
