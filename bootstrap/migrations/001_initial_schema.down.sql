-- Reverts 001_initial_schema.sql. It deletes every account and payment.

begin;

set local lock_timeout = '10s';

drop table payment_transactions;
drop table subscriptions;
drop table team_members;
drop table teams;
drop table licenses;
drop table users;
drop function update_updated_at_column();
drop function place_function(regprocedure);

commit;
