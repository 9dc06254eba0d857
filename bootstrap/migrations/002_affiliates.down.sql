-- Reverts 002_affiliates.sql. It deletes every affiliate, commission and payout.

begin;

set local lock_timeout = '10s';

drop table affiliate_clicks;
drop table affiliate_commissions;
drop table affiliate_payouts;
drop table affiliate_referrals;
drop table affiliates;
drop function update_affiliate_earnings();
drop function update_affiliate_referral_stats();

commit;
