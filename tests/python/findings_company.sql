-- A small company: one of everything that looks like a finding and is none.
-- {ada} is the id of ada, as a literal.
insert into users (id, email, password_hash, is_active, created_at)
select id::uuid, id, '-', id <> {gus}, now() - interval '110 days'
from unnest(array[{ada}, {bob}, {cy}, {dee}, {eve}, {fay}, {gus}, {hal}, {ivy}]) as id;

-- Ada and Bob work on acme. Dee left; Eve has the free plan, and takes no seat yet; Hal
-- is trying; Ivy came back.
insert into licenses (id, user_id, license_key, plan_type, status, seats_total,
    seats_used, started_at, expires_at, cancelled_at)
select id::uuid, owner::uuid, id, plan, status, 5, seats,
    now() - interval '100 days', now() + expires, now() + cancelled
from (values
    ({acme}, {ada}, 'pro', 'active', 2, interval '20 days', null::interval),
    ({basic}, {dee}, 'starter', 'cancelled', 1, '-5 days', '-40 days'),
    ({free}, {eve}, 'free', 'active', 0, null, null),
    ({trial}, {hal}, 'starter', 'active', 1, '5 days', null),
    ({again}, {ivy}, 'starter', 'active', 1, '20 days', null)
) as license (id, owner, plan, status, seats, expires, cancelled);
-- Ways to say "never".
update licenses set expires_at = 'infinity' where id = {free};

insert into teams (id, license_id, name, slug, owner_id, is_active) values
    ({core}, {acme}, '-', 'core', {ada}, true),
    ({former}, {acme}, '-', 'former', {gus}, false);

insert into team_members (team_id, user_id) values ({core}, {ada}), ({core}, {bob}),
    ({former}, {bob});

-- Ada moved up; Ivy's first subscription is unpaid, and she took out another.
insert into subscriptions (id, license_id, status, plan_type, billing_cycle,
    amount_cents, currency, created_at, current_period_start, current_period_end,
    cancel_at_period_end, canceled_at, trial_start, trial_end)
select id::uuid, license::uuid, status, plan, 'monthly', cents, currency,
    now() + created, now() + starts, now() + ends, at_end, now() + canceled,
    now() + trial_starts, now() + trial_ends
from (values
    ({acme_then}, {acme}, 'canceled', 'starter', 1000, 'USD', interval '-100 days',
        interval '-70 days', interval '-40 days', false, interval '-60 days',
        null::interval, null::interval),
    ({acme_now}, {acme}, 'active', 'pro', 3000, 'usd', '-60 days',
        '-10 days', '20 days', false, null, null, null),
    ({basic_sub}, {basic}, 'canceled', 'starter', 1000, 'EUR', '-100 days',
        '-35 days', '-5 days', true, '-40 days', null, null),
    ({free_sub}, {free}, 'active', 'free', 0, 'USD', '-100 days',
        null, null, false, null, null, null),
    ({trial_sub}, {trial}, 'trialing', 'starter', 1000, 'USD', '-9 days',
        '-9 days', '5 days', false, null, '-9 days', '5 days'),
    ({again_then}, {again}, 'unpaid', 'starter', 1000, 'USD', '-90 days',
        '-60 days', '-30 days', false, null, null, null),
    ({again_now}, {again}, 'active', 'starter', 1000, 'USD', '-50 days',
        '-20 days', '10 days', false, null, null, null)
) as subscription (id, license, status, plan, cents, currency, created, starts, ends,
    at_end, canceled, trial_starts, trial_ends);

update subscriptions set current_period_end = '9999-12-31' where id = {free_sub};

-- A second try for one invoice, a refund in part, one that was wholly given back, a
-- mistake that was put right, and a sale without a subscription.
insert into payment_transactions (id, subscription_id, status, amount_cents, currency,
    refunded_amount_cents, stripe_invoice_id, created_at, processed_at)
select id::uuid, subscription::uuid, status, cents, currency, refunded, invoice,
    now() + created, case when status in ('succeeded', 'refunded')
        then now() + created + interval '1 minute' end
from (values
    ({declined}, {acme_then}, 'failed', 1000, 'USD', null, 'in_1',
        interval '-101 days'),
    ({first}, {acme_then}, 'succeeded', 1000, 'USD', 0, 'in_1', '-100 days'),
    ({second}, {acme_now}, 'succeeded', 3000, 'USD', 0, 'in_2', '-60 days'),
    ({third}, {acme_now}, 'succeeded', 3000, 'USD', 500, 'in_3', '-30 days'),
    ({latest}, {acme_now}, 'succeeded', 3000, 'USD', 0, 'in_4', '-1 day'),
    ({given_back}, {basic_sub}, 'refunded', 1000, 'EUR', 1000, 'in_5', '-99 days'),
    ({kept}, {basic_sub}, 'succeeded', 1000, 'EUR', 0, 'in_6', '-62 days'),
    ({last_attempt}, {basic_sub}, 'succeeded', 1000, 'EUR', 0, 'in_7', '-4 days'),
    ({once}, {again_now}, 'succeeded', 1000, 'USD', 0, 'in_8', '-50 days'),
    ({twice}, {again_now}, 'refunded', 1000, 'USD', 1000, 'in_8', '-50 days'),
    ({training}, null, 'succeeded', 9000, 'JPY', 0, null, '-70 days')
) as payment (id, subscription, status, cents, currency, refunded, invoice, created);

-- Cy brought Ada. Fay was banned later, and claims her too; Cy tried himself.
insert into affiliates (id, user_id, affiliate_code, status, suspended_at) values
    ({partner}, {cy}, 'PARTNER', 'active', null),
    ({banned}, {fay}, 'BANNED', 'banned', now() - interval '50 days');

insert into affiliate_referrals (id, affiliate_id, referred_user_id, license_id, status,
    qualified_at, converted_at, created_at)
select id::uuid, affiliate::uuid, referred::uuid, license::uuid, status,
    now() + qualified, now() + converted, now() - interval '100 days'
from (values
    ({of_ada}, {partner}, {ada}, {acme}, 'converted', interval '-99 days',
        interval '-98 days'),
    ({of_eve}, {partner}, {eve}, {free}, 'pending', null, null),
    ({of_cy}, {partner}, {cy}, null, 'cancelled', '-99 days', null),
    ({of_dee}, {banned}, {dee}, {basic}, 'refunded', '-99 days', '-98 days'),
    ({also_of_ada}, {banned}, {ada}, {acme}, 'cancelled', null, null)
) as referral (id, affiliate, referred, license, status, qualified, converted);

-- The referral of the last one was deleted with its user.
insert into affiliate_clicks (id, affiliate_id, converted, referral_id, clicked_at)
values
    ({led_to_ada}, {partner}, true, {of_ada}, now() - interval '101 days'),
    ({in_vain}, {partner}, false, null, now() - interval '90 days'),
    ({led_to_nobody}, {partner}, true, null, now() + interval '5 minutes');

insert into affiliate_payouts (id, affiliate_id, amount_cents, payment_method, status,
    commission_count) values
    ({arrived}, {partner}, 800, 'paypal', 'completed', 2),
    ({being_made}, {partner}, 600, 'paypal', 'pending', 0),
    ({came_back}, {partner}, 800, 'paypal', 'failed', 2);

insert into affiliate_commissions (id, affiliate_id, referral_id,
    payment_transaction_id, payout_id, commission_type, status, amount_cents,
    commission_rate, currency, created_at)
select id::uuid, affiliate::uuid, referral::uuid, payment::uuid, payout::uuid, kind,
    status, cents, 20, currency, now() + created
from (values
    ({initial}, {partner}, {of_ada}, {first}, {arrived}, 'initial', 'paid', 200, 'USD',
        interval '-98 days'),
    ({recurring}, {partner}, {of_ada}, {second}, {arrived}, 'recurring', 'paid', 600,
        'usd', '-60 days'),
    ({open}, {partner}, {of_ada}, {third}, null, 'recurring', 'approved', 600, 'USD',
        '-30 days'),
    ({doubled}, {partner}, {of_ada}, {third}, null, 'recurring', 'cancelled', 600,
        'USD', '-30 days'),
    ({on_top}, {partner}, {of_ada}, {third}, null, 'bonus', 'approved', 5000, 'USD',
        '-30 days'),
    ({clawed_back}, {banned}, {of_dee}, {given_back}, null, 'initial', 'cancelled', 200,
        'EUR', '-99 days'),
    ({still_owed}, {banned}, {of_dee}, {kept}, null, 'recurring', 'approved', 200,
        'EUR', '-62 days'),
    ({refused}, {banned}, {of_dee}, {last_attempt}, null, 'recurring', 'disputed', 200,
        'EUR', '-4 days')
) as commission (id, affiliate, referral, payment, payout, kind, status, cents,
    currency, created);

-- A session of nearly a day; a clock that is half an hour fast.
insert into usage_events (user_id, license_id, event_type, event_category, event_name,
    session_id, occurred_at, created_at)
select who::uuid, license::uuid, 'use', 'feature', 'dashboard', session,
    now() + happened, now() + happened - interval '30 minutes'
from (values
    ({ada}, {acme}, 'long', interval '-20 days'),
    ({ada}, {acme}, 'long', '-20 days 23 hours'),
    ({dee}, {basic}, 'short', '-20 days'),
    (null, {acme}, null, '-50 days'),
    (null, {acme}, null, '-20 days')
) as event (who, license, session, happened);
-- It has the id of a call, and a duration that is text.
insert into usage_events (id, user_id, license_id, event_type, event_category,
    event_name, event_data)
values ({call}, {ada}, {acme}, 'use', 'feature', 'dashboard',
    '{{"duration_seconds": "9e99"}}');
insert into api_usage (id, endpoint, method, status_code)
values ({call}, '/', 'GET', 200);
insert into error_logs (id, error_type, error_message, severity)
values ({error}, '-', '-', 'info');
insert into audit_logs (id, action, resource_type, status)
values ({action}, '-', '-', 'success');

-- The last use isn't counted yet. Uses without a user are fewer than events without one:
-- those of erased users have none either.
insert into feature_usage (id, user_id, license_id, feature_name, total_uses) values
    ({use_of_ada}, {ada}, {acme}, 'dashboard', 3),
    ({use_of_dee}, {dee}, {basic}, 'dashboard', 7),
    ({use_of_nobody}, null, {acme}, 'dashboard', 1),
    ({shared_by_nobody}, null, null, 'sharing', 1);

-- Ways to write one more row, by which findings.sql changes the company.
create function new_commission(
    id uuid, affiliate uuid, referral uuid, payment uuid, currency text,
    kind text default 'recurring', status text default 'approved',
    cents integer default 100, ago interval default '60 days'
) returns void language sql as $$
    insert into affiliate_commissions (id, affiliate_id, referral_id,
        payment_transaction_id, commission_type, status, amount_cents, commission_rate,
        currency, created_at)
    values (id, affiliate, referral, payment, kind, status, cents, 20, currency,
        now() - ago)
$$;

create function new_payment(
    id uuid, subscription uuid, cents integer, invoice text, ago interval,
    currency text default 'USD', status text default 'succeeded'
) returns void language sql as $$
    insert into payment_transactions (id, subscription_id, status, amount_cents,
        currency, stripe_invoice_id, created_at, processed_at)
    values (id, subscription, status, cents, currency, invoice, now() - ago,
        case when status = 'succeeded' then now() - ago end)
$$;

create function new_payout(
    id uuid, affiliate uuid, cents integer, currency text default 'USD'
) returns void language sql as $$
    insert into affiliate_payouts (id, affiliate_id, amount_cents, currency,
        payment_method, status)
    values (id, affiliate, cents, currency, 'paypal', 'completed')
$$;

-- A version of a subscription before that of the snapshot, with other values.
create function had_before(subscription uuid, variadic former text[])
returns void language plpgsql as $$
begin
    insert into analytics_snapshots.subscriptions_history
    select (jsonb_populate_record(history, jsonb_object(former) || jsonb_build_object(
        'dbt_valid_from', dbt_valid_from - interval '1 day'))).*
    from analytics_snapshots.subscriptions_history as history
    where subscription_id = subscription;
end
$$;
