-- What each finding of tests/integrity reports, and what looks like it and is legitimate.
--
-- Each entry changes the company of findings_company.sql; then all findings are run.
--   "-- reason: names"   the finding reports these rows, and no other finding reports any
--   "-- silent: case"    no finding reports anything

-- finding payouts_without_commissions
-- payout_is_processing: being_made
update affiliate_payouts set status = 'processing', amount_cents = 6000
    where id = {being_made};
-- payout_is_completed: came_back
update affiliate_payouts set status = 'completed' where id = {came_back};
-- silent: approved commissions wait for a payout under way
update affiliate_payouts set status = 'processing' where id = {being_made};
-- silent: a payout settles what an earlier one was short of
update affiliate_payouts set amount_cents = 700 where id = {arrived};
select new_payout({the_rest}, {partner}, 100);
-- silent: a clawback lost its payout
select new_payout({alone}, {partner}, 500);
update affiliate_commissions
    set status = 'cancelled', paid_at = now(), amount_cents = 500 where id = {doubled};
-- silent: the application sets no payout on its commissions
update affiliate_commissions set payout_id = null where payout_id = {arrived};

-- finding payout_commission_mismatch
-- commissions_of_another_affiliate: arrived
update affiliate_payouts set affiliate_id = {banned} where id = {arrived};
-- another_amount: arrived
update affiliate_payouts set amount_cents = 8000 where id = {arrived};
-- another_count: arrived
update affiliate_payouts set commission_count = 3 where id = {arrived};
-- silent: a later payout nets a clawback
update affiliate_commissions set status = 'cancelled' where id = {initial};
select new_payout({netted}, {partner}, 400);
update affiliate_commissions set status = 'paid', payout_id = {netted}
    where id = {open};
-- silent: two later payouts net a clawback in part
update affiliate_commissions set status = 'cancelled' where id = {initial};
select new_payout({netted}, {partner}, 500);
update affiliate_commissions set status = 'paid', payout_id = {netted}
    where id = {open};
-- silent: the clawback has not been netted yet
update affiliate_commissions set status = 'cancelled' where id = {initial};
-- silent: the application counts no commissions
update affiliate_payouts set commission_count = 0 where id = {arrived};

-- finding payouts_in_another_currency
-- commissions_in_another_currency: arrived
update affiliate_payouts set currency = 'EUR' where id = {arrived};
-- no_commission_names_it: in_dollars
insert into affiliate_payouts (id, affiliate_id, amount_cents, currency, payment_method,
    status) values ({in_dollars}, {banned}, 250, 'USD', 'paypal', 'completed');
update affiliate_commissions set status = 'paid' where id = {still_owed};
-- silent: one currency in small and in capital letters
update affiliate_payouts set currency = 'usd' where id = {arrived};

-- finding paid_commissions_without_payout
-- names_no_payout: open
update affiliate_commissions set status = 'paid' where id = {open};
-- payout_is_missing: open
update affiliate_commissions set status = 'paid', payout_id = {lost} where id = {open};
-- payout_is_failed: initial recurring
update affiliate_payouts set status = 'failed' where id = {arrived};
-- silent: the payout is on its way
update affiliate_payouts set status = 'processing' where id = {being_made};
update affiliate_commissions set status = 'paid', payout_id = {being_made}
    where id = {open};
-- silent: a clawback took the whole of a later commission
update affiliate_commissions set status = 'cancelled' where id = {initial};
update affiliate_commissions set status = 'paid', amount_cents = 200 where id = {open};
-- silent: a commission of nothing
update affiliate_commissions set status = 'paid', amount_cents = 0 where id = {open};

-- finding commissions_on_another_affiliates_referral
-- commission_is_approved: astray
select new_commission({astray}, {banned}, {of_ada}, null, 'EUR');
-- silent: a bonus for recruiting the affiliate
select new_commission({override}, {banned}, {of_ada}, null, 'EUR', kind => 'bonus');

-- finding commissions_earned_twice
-- commission_is_approved: open doubled
update affiliate_commissions set status = 'approved' where id = {doubled};
-- silent: a share granted in two parts
update affiliate_commissions set status = 'approved', amount_cents = 300
    where id in ({open}, {doubled});

-- finding commission_payment_mismatch
-- payment_never_received: early
select new_commission({early}, {partner}, {of_ada}, {declined}, 'USD');
-- another_currency: foreign
select new_commission({foreign}, {banned}, {of_dee}, {training}, 'EUR', cents => 1800);
-- more_than_the_payment: open
update affiliate_commissions set amount_cents = 3001 where id = {open};
-- payment_of_another_customer: strange
select new_commission({strange}, {partner}, {of_ada}, {once}, 'USD');
-- together_more_than_the_payment: open claimed
select new_commission({claimed}, {banned}, {also_of_ada}, {third}, 'USD', status =>
    'pending', cents => 2500);
-- silent: a share converted into the affiliate's currency
select new_commission({converted}, {banned}, {of_dee}, {training}, 'EUR', cents => 11);
-- silent: a fixed fee above the first month's price
update affiliate_commissions set commission_rate = 0, amount_cents = 5000
    where id = {open};
-- silent: a bank transfer on its way
select new_payment({transfer}, {acme_now}, 3000, 'in_9', '5 days', status => 'pending');
select new_commission({early}, {partner}, {of_ada}, {transfer}, 'USD', cents => 600, ago
    => '5 days');
-- silent: two affiliates share one payment
select new_commission({claimed}, {banned}, {also_of_ada}, {third}, 'USD', status =>
    'pending', cents => 2400);

-- finding commissions_written_twice
-- commission_is_approved: open again_open
select new_commission({again_open}, {partner}, {of_ada}, null, 'USD', cents => 600, ago
    => '30 days -2 seconds');
-- commission_is_approved: one two
select new_commission({one}, {banned}, {of_dee}, null, 'EUR', kind => 'initial');
select new_commission({two}, {banned}, {of_dee}, null, 'EUR', kind => 'initial', ago =>
    '60 days -2 seconds');
-- silent: a job caught up on two months at once
select new_commission({january}, {partner}, {of_ada}, null, 'USD');
select new_commission({february}, {partner}, {of_ada}, null, 'USD');
-- silent: two instalments and a share of each
update payment_transactions set amount_cents = 1500 where id = {latest};
select new_payment({instalment}, {acme_now}, 1500, 'in_4', '1 day');
select new_commission({one}, {partner}, {of_ada}, {latest}, 'USD', cents => 300, ago =>
    '1 day');
select new_commission({two}, {partner}, {of_ada}, {instalment}, 'USD', cents => 300, ago
    => '1 day');

-- finding refunds_without_clawback
-- commission_is_approved: clawed_back
update affiliate_commissions set status = 'approved' where id = {clawed_back};
-- commission_is_paid: initial
update payment_transactions set refunded_amount_cents = 1000, status = 'refunded'
    where id = {first};
-- commission_is_approved: still_owed
update payment_transactions set refunded_amount_cents = 1000 where id = {kept};
insert into payment_transactions (subscription_id, status, amount_cents, currency,
    processed_at, created_at) values ({basic_sub}, 'succeeded', 1000, 'EUR', now() -
    interval '61 days', now() - interval '61 days');
-- silent: a partial refund with the status refunded
update payment_transactions set status = 'refunded', refunded_amount_cents = 1000
    where id = {third};
-- silent: the commission was reduced with a partial refund
update payment_transactions set refunded_amount_cents = 1500 where id = {third};
update affiliate_commissions set amount_cents = 300 where id = {open};

-- finding self_referrals
-- own_account: of_cy
update affiliate_referrals set status = 'qualified' where id = {of_cy};
-- own_license: of_eve
update licenses set user_id = {cy} where id = {free};
-- silent: an affiliate has a license and brings others
insert into licenses (id, user_id, license_key, plan_type)
    values ({of_partner}, {cy}, 'of_partner', 'free');

-- finding customers_of_several_affiliates
-- converted_for_several: of_ada also_of_ada
update affiliate_referrals set status = 'converted', qualified_at = now(), converted_at
    = now() where id = {also_of_ada};
-- silent: two affiliates bring one user for two licenses
update affiliate_referrals set status = 'converted', qualified_at = now(), converted_at
    = now(), license_id = {free} where id = {also_of_ada};

-- finding affiliates_in_several_currencies
-- counters_add_up_currencies: partner
select new_commission({in_yen}, {partner}, {of_ada}, null, 'JPY');
-- silent: a commission in another currency was cancelled
select new_commission({in_yen}, {partner}, {of_ada}, null, 'JPY', status =>
    'cancelled');

-- finding affiliate_counter_mismatch
-- total_referrals: banned
update affiliates set total_referrals = 7 where id = {banned};
-- total_earnings_cents: partner
alter table affiliate_commissions disable trigger user;
select new_commission({uncounted}, {partner}, {of_ada}, null, 'USD');
-- paid_out_cents: partner
update affiliates set paid_out_cents = 0 where id = {partner};
-- pending_payout_cents: partner
update affiliates set pending_payout_cents = 0 where id = {partner};
-- silent: a commission changed and its counters with it
update affiliate_commissions set amount_cents = 599 where id = {open};

-- finding commissions_after_suspension
-- affiliate_is_banned: refused
update affiliate_commissions set status = 'approved' where id = {refused};
-- silent: a job writes later what was earned before
update affiliate_commissions set created_at = now() - interval '10 days'
    where id = {still_owed};
-- silent: an adjustment settles the account
select new_commission({settled}, {banned}, {of_dee}, null, 'EUR', kind => 'adjustment',
    ago => '10 days');

-- finding referral_status_mismatch
-- converted_without_time: of_ada
update affiliate_referrals set converted_at = null where id = {of_ada};
-- qualified_without_time: of_eve
update affiliate_referrals set status = 'qualified' where id = {of_eve};
-- converted_by_time_alone: of_eve
update affiliate_referrals set converted_at = now() where id = {of_eve};
-- qualified_by_time_alone: of_eve
update affiliate_referrals set qualified_at = now() where id = {of_eve};
-- silent: a cancelled referral keeps its times
update affiliate_referrals set status = 'cancelled' where id = {of_ada};

-- finding click_referral_mismatch
-- referral_of_another_affiliate: led_to_ada
update affiliate_clicks set affiliate_id = {banned} where id = {led_to_ada};
-- not_marked_as_converted: led_to_ada
update affiliate_clicks set converted = false where id = {led_to_ada};
-- silent: an earlier click of the same customer
update affiliate_clicks set referral_id = {of_ada} where id = {in_vain};
-- silent: a referral that has not converted yet
update affiliate_clicks set referral_id = {of_eve} where id = {in_vain};

-- finding referrals_out_of_order
-- step_before_the_referral: of_ada
update affiliate_referrals set converted_at = created_at - interval '1 day'
    where id = {of_ada};
-- paid_before_the_referral: of_ada
update affiliate_referrals
    set created_at = now() - interval '99 days', license_id = null where id = {of_ada};
-- converted_without_qualifying: of_ada
update affiliate_referrals set qualified_at = null where id = {of_ada};
-- silent: a referral written while its customer pays
update affiliate_referrals set created_at = created_at + interval '20 minutes',
    qualified_at = created_at, converted_at = created_at + interval '1 minute' where id
    = {of_ada};
-- silent: a program without a qualifying step
update affiliate_referrals set qualified_at = null;
insert into users (id, email, password_hash) select md5('customer' || n)::uuid,
    'customer' || n, '-' from generate_series(1, 10) as n;
insert into affiliate_referrals (affiliate_id, referred_user_id, status, converted_at)
    select {partner}, md5('customer' || n)::uuid, 'converted', now() from
    generate_series(1, 10) as n;
-- silent: an earlier purchase was wholly refunded
update affiliate_referrals set created_at = now() - interval '65 days', qualified_at =
    now(), converted_at = now(), status = 'converted' where id = {of_dee};
update affiliate_commissions set status = 'cancelled' where referral_id = {of_dee};

-- finding overlapping_subscriptions
-- beside_active: acme
insert into subscriptions (id, license_id, status, plan_type, billing_cycle,
    amount_cents) values ({second_one}, {acme}, 'trialing', 'pro', 'yearly', 30000);
-- silent: the old one ends with its period
update subscriptions set cancel_at_period_end = true, canceled_at = now()
    where id = {acme_now};
insert into subscriptions (license_id, status, plan_type, billing_cycle, amount_cents)
    values ({acme}, 'active', 'pro', 'yearly', 30000);
-- silent: a trial of a larger plan
insert into subscriptions (license_id, status, plan_type, billing_cycle, amount_cents)
    values ({acme}, 'trialing', 'enterprise', 'yearly', 90000);
-- silent: a free plan remains
insert into subscriptions (license_id, status, plan_type, billing_cycle, amount_cents)
    values ({acme}, 'active', 'free', 'monthly', 0);

-- finding subscriptions_with_impossible_times
-- canceled_without_time: acme_then
update subscriptions set canceled_at = null where id = {acme_then};
-- canceled_before_it_began: acme_then
update subscriptions set canceled_at = created_at - interval '1 day'
    where id = {acme_then};
-- period_ends_before_it_starts: acme_now
update subscriptions set current_period_start = current_period_end
    where id = {acme_now};
-- trial_ends_before_it_starts: trial_sub
update subscriptions set trial_start = trial_end + interval '1 day'
    where id = {trial_sub};
-- silent: canceled in the moment it began
insert into subscriptions (license_id, status, plan_type, billing_cycle, amount_cents,
    created_at, canceled_at) values ({free}, 'canceled', 'pro', 'monthly', 3000, now(),
    now());

-- finding subscriptions_not_renewed
-- period_is_over: acme_now
update subscriptions set current_period_end = now() - interval '4 days'
    where id = {acme_now};
-- trial_is_over: trial_sub
update subscriptions set trial_end = now() - interval '4 days' where id = {trial_sub};
-- silent: the period ended yesterday
update subscriptions set current_period_end = now() - interval '1 day'
    where id = {acme_now};

-- finding subscriptions_never_paid
-- subscription_is_active: again_now
update payment_transactions set status = 'failed', refunded_amount_cents = 0
    where subscription_id = {again_now};
-- silent: a trial ended yesterday
update subscriptions set status = 'active', trial_end = now() - interval '1 day',
    current_period_start = now() - interval '1 day', current_period_end = now() +
    interval '29 days' where id = {trial_sub};

-- finding license_subscription_mismatch
-- charged_without_access: acme
update licenses set status = 'cancelled', cancelled_at = now() where id = {acme};
-- access_without_subscription: basic
update licenses set status = 'active', expires_at = null where id = {basic};
-- another_plan: acme
update licenses set plan_type = 'enterprise' where id = {acme};
-- silent: a license suspended for a while
update licenses set status = 'suspended' where id = {acme};

-- finding payments_in_another_currency
-- payment_is_succeeded: latest
update payment_transactions set currency = 'EUR' where id = {latest};
-- silent: a customer moved to another currency
update payment_transactions set currency = 'EUR' where id = {once};
select new_payment({last_euro}, {again_now}, 1000, 'in_9', '25 days', currency =>
    'EUR');
select new_payment({first_dollar}, {again_now}, 1000, 'in_10', '1 day');
-- silent: a payment in the wrong currency was given back
update payment_transactions set currency = 'EUR', status = 'refunded',
    refunded_amount_cents = amount_cents where id = {latest};

-- finding payments_taken_twice
-- paid_2_times: once twice
update payment_transactions set status = 'succeeded', refunded_amount_cents = null
    where id = {twice};
-- silent: two instalments add up to the price
update subscriptions set amount_cents = 2000 where id = {again_now};
update payment_transactions set status = 'succeeded', refunded_amount_cents = null
    where id = {twice};
-- silent: instalments of a price that was lowered since
update payment_transactions set amount_cents = 1500, created_at = created_at - interval
    '1 month' where id = {once};
update payment_transactions set status = 'succeeded', amount_cents = 1500,
    refunded_amount_cents = null where id = {twice};
select new_payment({former}, {again_now}, 3000, 'in_9', '20 days');
-- silent: instalments before the price was halved
update payment_transactions set created_at = created_at - interval '10 days'
    where id = {once};
update payment_transactions set status = 'succeeded', refunded_amount_cents = null
    where id = {twice};
update analytics_snapshots.subscriptions_history set amount_cents = 2000
    where subscription_id = {again_now};
-- silent: both payments were refunded by half
update payment_transactions set status = 'succeeded', refunded_amount_cents = 500
    where id in ({once}, {twice});

-- finding invoices_paid_beyond_their_price
-- more_than_the_price: latest extra
select new_payment({extra}, {acme_now}, 500, 'in_4', '1 day');
-- price_is_unknown: one two
select new_payment({one}, null, 9000, 'in_9', '1 day');
select new_payment({two}, null, 9000, 'in_9', '1 day');
-- price_of_today_at_once: once twice
select new_payment({former}, {again_now}, 2000, 'in_9', '20 days');
update payment_transactions set status = 'succeeded', refunded_amount_cents = null
    where id = {twice};
-- silent: one payment with a fee above the price
update payment_transactions set amount_cents = 9000 where id = {latest};
-- silent: two instalments add up to a price with tax
update payment_transactions set amount_cents = 3600, refunded_amount_cents = 0
    where id = {third};
update payment_transactions set amount_cents = 1800 where id = {latest};
select new_payment({instalment}, {acme_now}, 1800, 'in_4', '1 day');
-- silent: two instalments of a sale without a subscription
select new_payment({one}, null, 9000, 'in_9', '60 days');
select new_payment({two}, null, 9000, 'in_9', '30 days');

-- finding payments_written_twice
-- one_names_no_invoice: latest again_latest
insert into payment_transactions (id, subscription_id, status, amount_cents, currency,
    created_at, processed_at) select {again_latest}, subscription_id, status,
    amount_cents, currency, created_at + interval '2 seconds', processed_at from
    payment_transactions where id = {latest};
-- silent: an extra of the same price on another day
select new_payment({extra}, {acme_now}, 3000, null, '20 days');

-- finding periods_charged_twice
-- more_payments_than_periods: again_second
select new_payment({again_second}, {acme_now}, 3000, 'in_9', '60 days -2 minutes');
-- silent: two invoices in arrears paid on one day
update payment_transactions set created_at = now() - interval '1 day',
    refunded_amount_cents = 0 where id = {third};

-- finding payments_after_the_end
-- subscription_is_canceled: last_attempt
update payment_transactions set created_at = now() where id = {last_attempt};
-- silent: a payment after the end was given back
update payment_transactions set created_at = now(), status = 'refunded',
    refunded_amount_cents = amount_cents where id = {last_attempt};
-- silent: a fixed term was cancelled when it was created
update subscriptions set cancel_at_period_end = false, canceled_at = created_at,
    current_period_end = now() + interval '20 days' where id = {basic_sub};

-- finding payments_without_mrr
-- subscription_is_active: gift
select new_payment({gift}, {free_sub}, 700, null, '6 days');
-- silent: the rest of a price came two days after the end
select new_payment({rest}, {basic_sub}, 400, null, '3 days', currency => 'EUR');

-- finding mrr_without_payment
-- subscription_is_active: again_now
update payment_transactions set status = 'failed' where id = {once};
-- subscription_is_past_due: again_now
update payment_transactions set status = 'failed' where id = {once};
update subscriptions set status = 'past_due' where id = {again_now};
-- silent: the current period is not paid yet
update payment_transactions set status = 'failed' where id = {latest};
-- silent: a subscription is past due in its first missed period
update subscriptions set status = 'past_due' where id = {again_now};

-- finding terms_changed_in_place
-- another_license: acme_now
select had_before({acme_now}, 'license_id', {basic});
-- another_currency: acme_now
select had_before({acme_now}, 'currency', 'EUR');
-- another_billing_cycle: acme_now
select had_before({acme_now}, 'billing_cycle', 'yearly');
-- another_plan: acme_now
select had_before({acme_now}, 'plan_type', 'starter');
-- another_price: acme_now
select had_before({acme_now}, 'amount_cents', '2900');
-- free_before: acme_now
select had_before({acme_now}, 'amount_cents', '0');
-- free_now: free_sub
select had_before({free_sub}, 'amount_cents', '1000');
-- silent: the price was changed during the trial
select had_before({acme_now}, 'amount_cents', '2900', 'status', 'trialing');

-- finding amounts_off_by_a_hundred
-- payment_is_a_hundred_prices: latest
update payment_transactions set amount_cents = 300000 where id = {latest};
-- payment_is_a_hundredth_of_the_price: latest
update payment_transactions set amount_cents = 30 where id = {latest};
-- price_is_a_hundred_prices: dear
insert into subscriptions (id, license_id, plan_type, amount_cents, currency,
    billing_cycle, status)
    values ({cheap}, {free}, 'pro', 4900, 'ISK', 'monthly', 'incomplete_expired'),
    ({dear}, {free}, 'pro', 490000, 'ISK', 'monthly', 'incomplete_expired');
-- silent: one seat and a hundred seats in dollars
insert into subscriptions (license_id, plan_type, amount_cents, currency, billing_cycle,
    status) values ({free}, 'pro', 4900, 'USD', 'monthly', 'incomplete_expired'),
    ({free}, 'pro', 490000, 'USD', 'monthly', 'incomplete_expired');

-- finding payments_with_impossible_times
-- in_the_future: latest
update payment_transactions set processed_at = now() + interval '2 hours'
    where id = {latest};
-- received_without_time: latest
update payment_transactions set processed_at = null where id = {latest};
-- silent: a clock half an hour fast
update payment_transactions set processed_at = now() + interval '30 minutes'
    where id = {latest};

-- finding refund_payment_mismatch
-- more_than_the_payment: latest
update payment_transactions set refunded_amount_cents = 3001 where id = {latest};
-- refunded_without_amount: latest
update payment_transactions set status = 'refunded' where id = {latest};
-- payment_never_received: declined
update payment_transactions set refunded_amount_cents = 1 where id = {declined};
-- silent: wholly refunded and still called succeeded
update payment_transactions set refunded_amount_cents = 3000 where id = {latest};

-- finding seat_member_mismatch
-- fewer_seats_than_members: acme
insert into team_members (team_id, user_id) values ({core}, {eve});
-- more_seats_than_members: acme
update licenses set seats_used = 3 where id = {acme};
-- more_seats_than_members: free
update licenses set seats_used = 2 where id = {free};
-- silent: a closed account gave its seat back
update users set is_active = false where id = {bob};
update licenses set seats_used = 1 where id = {acme};
-- silent: a team out of use takes no seats
insert into team_members (team_id, user_id) values ({former}, {ivy});

-- finding licenses_with_impossible_times
-- ends_before_it_starts: basic
update licenses set cancelled_at = started_at - interval '1 day' where id = {basic};
-- ended_without_time: basic
update licenses set cancelled_at = null, expires_at = null where id = {basic};
-- active_after_its_end: acme
update licenses set expires_at = now() - interval '4 days' where id = {acme};
-- silent: a license ended yesterday and its job has not run
update licenses set expires_at = now() - interval '1 day' where id = {acme};

-- finding closed_accounts_that_own_teams
-- team_on_own_license: ada
update users set is_active = false where id = {ada};
-- team_on_another_license: gus
update teams set is_active = true where id = {former};
-- silent: the license has ended too
insert into teams (license_id, name, slug, owner_id, is_active)
    values ({basic}, '-', 'ended', {gus}, true);

-- finding events_in_the_future
-- in_the_future: event call error action in_vain
insert into usage_events (id, event_type, event_category, event_name, occurred_at)
    values ({event}, '-', 'auth', '-', now() + interval '2 hours');
update api_usage set occurred_at = now() + interval '23 hours';
update error_logs set occurred_at = now() + interval '2 hours';
update audit_logs set occurred_at = now() + interval '2 hours';
update affiliate_clicks set clicked_at = now() + interval '2 hours'
    where id = {in_vain};
-- after_it_was_written: call
update api_usage set created_at = now() - interval '2 hours';
-- silent: a clock half an hour fast
update api_usage set occurred_at = created_at + interval '30 minutes';

-- finding events_at_implausible_times
-- after_2099: event call error action
insert into usage_events (id, event_type, event_category, event_name, occurred_at)
    values ({event}, '-', 'auth', '-', 'infinity');
update api_usage set occurred_at = '2100-01-01 00:00+00';
update error_logs set occurred_at = '2999-01-01';
update audit_logs set occurred_at = '294276-12-31';
-- before_1970: event call
insert into usage_events (id, event_type, event_category, event_name, occurred_at)
    values ({event}, '-', 'auth', '-', '4713-01-01 BC');
update api_usage set occurred_at = '-infinity';
-- in_1970: action
update audit_logs set occurred_at = '1970-01-01 00:00+00';
-- days_after_it_was_written: error
update error_logs set occurred_at = created_at + interval '25 hours';
-- silent: an event that came years late
update audit_logs set occurred_at = '1971-01-01 00:00+00';

-- finding accounts_at_implausible_times
-- before_1970: hal free trial former
update users set created_at = '0001-01-01' where id = {hal};
update licenses set started_at = '-infinity' where id = {free};
update licenses set trial_ends_at = '0001-01-01' where id = {trial};
update teams set created_at = '1969-12-31' where id = {former};
-- after_2099: hal free
update users set last_login_at = 'infinity' where id = {hal};
update licenses set started_at = '2100-01-01' where id = {free};
-- in_1970: hal
update users set email_verified_at = '1970-01-01' where id = {hal};
-- silent: a license that never ends
update licenses set expires_at = '9999-12-31', trial_ends_at = 'infinity'
    where id = {free};

-- finding money_at_implausible_times
-- before_1970: free_sub declined
update subscriptions set created_at = '0001-01-01' where id = {free_sub};
update payment_transactions set processed_at = '0001-01-01' where id = {declined};
-- in_1970: free_sub declined
update subscriptions set trial_end = '1970-01-01 00:00+00' where id = {free_sub};
update payment_transactions set created_at = '1970-01-01 00:00+00'
    where id = {declined};
-- after_2099: free_sub
update subscriptions set current_period_start = 'infinity' where id = {free_sub};
-- silent: a period that never ends
update subscriptions set current_period_end = 'infinity' where id = {free_sub};

-- finding affiliates_at_implausible_times
-- before_1970: partner in_vain came_back
update affiliates set approved_at = '-infinity' where id = {partner};
update affiliate_clicks set clicked_at = '1969-01-01' where id = {in_vain};
update affiliate_payouts set created_at = '0001-01-01' where id = {came_back};
-- after_2099: of_eve doubled
update affiliate_referrals set created_at = 'infinity' where id = {of_eve};
update affiliate_commissions set created_at = '9999-12-31' where id = {doubled};
-- in_1970: came_back
update affiliate_payouts set completed_at = '1970-01-01 00:00+00'
    where id = {came_back};
-- silent: a payout that took years
update affiliate_payouts set created_at = '1971-01-01 00:00+00' where id = {came_back};

-- finding durations_out_of_range
-- too_large: event
insert into usage_events (id, event_type, event_category, event_name, event_data)
    values ({event}, '-', 'auth', '-', '{{"duration_seconds": 9e131071}}');
-- negative: event
insert into usage_events (id, event_type, event_category, event_name, event_data)
    values ({event}, '-', 'auth', '-', '{{"duration_seconds": -0.5}}');
-- silent: the largest duration and none at all
update usage_events set event_data = '{{"duration_seconds": 999999999999999.9}}'
    where session_id = 'long';
update usage_events set event_data = '{{"duration_seconds": "-1"}}'
    where session_id = 'short';

-- finding events_counted_several_times
-- written_with_several_times: event
insert into usage_events (id, event_type, event_category, event_name, occurred_at)
    select {event}, '-', 'auth', '-', date_trunc('month', now()) - number * interval
    '1 second' from generate_series(-1, 1) as number;
-- written_with_several_times: call error action
insert into api_usage (id, endpoint, method, status_code, occurred_at)
    values ({call}, '/', 'GET', 200, now() - interval '399 days');
insert into error_logs (id, error_type, error_message, severity, occurred_at)
    values ({error}, '-', '-', 'info', now() - interval '1 second');
insert into audit_logs (id, action, resource_type, status, occurred_at)
    values ({action}, '-', '-', 'success', now() - interval '1 second');
-- silent: one id in two tables
update error_logs set id = {call};
update audit_logs set id = {call};

-- finding feature_usage_doubled
-- license_is_null: one another
insert into feature_usage (id, user_id, feature_name)
    values ({one}, {ada}, 'sharing'), ({another}, {ada}, 'sharing');
-- user_is_null: use_of_nobody another
insert into feature_usage (id, license_id, feature_name)
    values ({another}, {acme}, 'dashboard');
-- silent: one feature with and without a license
insert into feature_usage (user_id, feature_name)
    values ({ada}, 'dashboard'), ({eve}, 'dashboard');

-- finding feature_counts_behind_events
-- fewer_uses_than_events: use_of_dee
update feature_usage set total_uses = 0 where id = {use_of_dee};
-- silent: more uses than events since old events were dropped
update feature_usage set total_uses = 99 where id = {use_of_dee};

-- finding features_used_after_the_end
-- license_is_cancelled: basic
update licenses set expires_at = now() - interval '30 days' where id = {basic};
-- silent: a session that was under way at the end
update licenses set expires_at = now() - interval '20 days 12 hours' where id = {basic};

-- finding users_active_before_sign_up
-- active_before_sign_up: dee
update users set created_at = now() where id = {dee};
-- silent: a client whose clock is slow
update users set created_at = now() - interval '20 days' + interval '30 minutes'
    where id = {dee};

-- finding names_cut_off
-- cut_off: action
update audit_logs set action = repeat('ä', 202) where id = {action};
-- silent: the longest name that counts as a whole
update audit_logs set action = repeat('ä', 201);

-- finding sessions_of_days
-- longer_than_a_day: long
insert into usage_events (event_type, event_category, event_name, session_id,
    occurred_at, user_id) values ('-', 'auth', '-', 'long', now() - interval '18 days',
    {ada});
-- silent: two users with one session number
insert into usage_events (event_type, event_category, event_name, session_id,
    occurred_at, user_id) values ('-', 'auth', '-', 'long', now() - interval '18 days',
    {eve});
