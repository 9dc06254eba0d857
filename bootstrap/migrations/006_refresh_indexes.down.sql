-- Reverts 006_refresh_indexes.sql. A refresh then reads whole tables and months.

-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';

drop index audit_logs_action_day_idx;
drop index error_logs_type_day_idx;
drop index api_usage_endpoint_day_idx;
drop index affiliate_referrals_campaign_idx;
drop index affiliate_clicks_campaign_idx;
drop index payment_transactions_time_idx;
drop index affiliate_referrals_plausible_created_at_idx;
drop index affiliate_referrals_converted_at_idx;
drop index affiliate_referrals_qualified_at_idx;
drop index licenses_plausible_expires_at_idx;
drop index licenses_cancelled_at_idx;
drop index licenses_started_at_idx;

commit;
