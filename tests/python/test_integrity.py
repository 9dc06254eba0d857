"""The wrongs of the source that the schema must accept: each is reported, and alone.

A small company without any is built once. Each fault is planted in a transaction that
is rolled back, and every test of tests/integrity runs in it, as dbt compiled it.
"""

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extensions import cursor as Cursor

from bootstrap.retype import retype
from saas_analytics.database import connected
from saas_analytics.settings import load as load_settings
from tests.python.legitimate_companies import legitimate_company
from tests.python.look_alikes import (
    LOOK_ALIKES,
    LookAlike,
    new_commission,
    new_payment,
    new_payout,
)
from tests.python.rows import identifier, named
from tests.python.support import ROOT, Database, dbt

INTEGRITY = ROOT / "tests" / "integrity"
FILES = {file.stem: file for file in INTEGRITY.rglob("*.sql")}


# One of everything that looks like a wrong and is none.
COMPANY = """
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

-- The last use isn't counted yet. Nobody's uses are fewer than what nobody did, for the
-- erased are nobody too.
insert into feature_usage (id, user_id, license_id, feature_name, total_uses) values
    ({use_of_ada}, {ada}, {acme}, 'dashboard', 3),
    ({use_of_dee}, {dee}, {basic}, 'dashboard', 7),
    ({use_of_nobody}, null, {acme}, 'dashboard', 1),
    ({shared_by_nobody}, null, null, 'sharing', 1);
"""


@dataclass(frozen=True)
class Fault:
    """Something wrong: by which statements, and whom the test is to name, and why."""

    test: str
    statements: str
    reason: str
    offenders: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.test}-{self.reason}"


def changed_in_place(change: str) -> str:
    """A version of acme_now before the one of the snapshot, with another value."""
    history = "analytics_snapshots.subscriptions_history"
    return (
        f"insert into {history} select * from {history}"
        " where subscription_id = {acme_now};"
        f"update {history} set dbt_valid_from = dbt_valid_from - interval '1 day',"
        f" {change} where ctid = (select min(ctid) from {history}"
        " where subscription_id = {acme_now})"
    )


FAULTS = [
    Fault(
        "payouts_without_commissions",
        # More than all approved commissions.
        "update affiliate_payouts set status = 'processing', amount_cents = 6000"
        " where id = {being_made}",
        "payout_is_processing",
        ("being_made",),
    ),
    Fault(
        "payouts_without_commissions",
        "update affiliate_payouts set status = 'completed' where id = {came_back}",
        "payout_is_completed",
        ("came_back",),
    ),
    Fault(
        "payout_commission_mismatch",
        "update affiliate_payouts set affiliate_id = {banned} where id = {arrived}",
        "commissions_of_another_affiliate",
        ("arrived",),
    ),
    Fault(
        "payouts_in_another_currency",
        "update affiliate_payouts set currency = 'EUR' where id = {arrived}",
        "commissions_in_another_currency",
        ("arrived",),
    ),
    Fault(
        "payouts_in_another_currency",
        "insert into affiliate_payouts (id, affiliate_id, amount_cents, currency,"
        " payment_method, status) values ({in_dollars}, {banned}, 250, 'USD', 'paypal',"
        " 'completed');"
        "update affiliate_commissions set status = 'paid' where id = {still_owed}",
        "no_commission_names_it",
        ("in_dollars",),
    ),
    Fault(
        "payout_commission_mismatch",
        "update affiliate_payouts set amount_cents = 8000 where id = {arrived}",
        "another_amount",
        ("arrived",),
    ),
    Fault(
        "payout_commission_mismatch",
        "update affiliate_payouts set commission_count = 3 where id = {arrived}",
        "another_count",
        ("arrived",),
    ),
    Fault(
        "paid_commissions_without_payout",
        "update affiliate_commissions set status = 'paid' where id = {open}",
        "names_no_payout",
        ("open",),
    ),
    Fault(
        "paid_commissions_without_payout",
        "update affiliate_commissions set status = 'paid', payout_id = {lost}"
        " where id = {open}",
        "payout_is_missing",
        ("open",),
    ),
    Fault(
        "paid_commissions_without_payout",
        "update affiliate_payouts set status = 'failed' where id = {arrived}",
        "payout_is_failed",
        ("initial", "recurring"),
    ),
    Fault(
        "commissions_on_another_affiliates_referral",
        new_commission("astray", "banned", "of_ada", "null", "EUR"),
        "commission_is_approved",
        ("astray",),
    ),
    Fault(
        "commissions_earned_twice",
        "update affiliate_commissions set status = 'approved' where id = {doubled}",
        "commission_is_approved",
        ("open", "doubled"),
    ),
    Fault(
        "commission_payment_mismatch",
        new_commission("early", "partner", "of_ada", "{declined}", "USD"),
        "payment_never_received",
        ("early",),
    ),
    Fault(
        "commission_payment_mismatch",
        new_commission("foreign", "banned", "of_dee", "{training}", "EUR", cents=1800),
        "another_currency",
        ("foreign",),
    ),
    Fault(
        "commission_payment_mismatch",
        "update affiliate_commissions set amount_cents = 3001 where id = {open}",
        "more_than_the_payment",
        ("open",),
    ),
    Fault(
        "commission_payment_mismatch",
        new_commission("strange", "partner", "of_ada", "{once}", "USD"),
        "payment_of_another_customer",
        ("strange",),
    ),
    Fault(
        "commission_payment_mismatch",
        new_commission(
            *("claimed", "banned", "also_of_ada", "{third}", "USD"),
            status="pending",
            cents=2500,
        ),
        "together_more_than_the_payment",
        ("open", "claimed"),
    ),
    Fault(
        "commissions_written_twice",
        new_commission(
            *("again_open", "partner", "of_ada", "null", "USD"),
            cents=600,
            ago="30 days -2 seconds",
        ),
        "commission_is_approved",
        ("open", "again_open"),
    ),
    Fault(
        "commissions_written_twice",
        new_commission("one", "banned", "of_dee", "null", "EUR", kind="initial")
        + new_commission(
            *("two", "banned", "of_dee", "null", "EUR"),
            kind="initial",
            ago="60 days -2 seconds",
        ),
        "commission_is_approved",
        ("one", "two"),
    ),
    Fault(
        "refunds_without_clawback",
        "update affiliate_commissions set status = 'approved' where id = {clawed_back}",
        "commission_is_approved",
        ("clawed_back",),
    ),
    Fault(
        "refunds_without_clawback",
        "update payment_transactions"
        " set refunded_amount_cents = 1000, status = 'refunded' where id = {first}",
        "commission_is_paid",
        ("initial",),
    ),
    Fault(
        "refunds_without_clawback",
        "update payment_transactions set refunded_amount_cents = 1000"
        " where id = {kept};"
        # Paid once more, so that its recurring revenue is covered.
        "insert into payment_transactions (subscription_id, status, amount_cents,"
        " currency, processed_at, created_at) values ({basic_sub}, 'succeeded', 1000,"
        " 'EUR', now() - interval '61 days', now() - interval '61 days')",
        "commission_is_approved",
        ("still_owed",),
    ),
    Fault(
        "self_referrals",
        "update affiliate_referrals set status = 'qualified' where id = {of_cy}",
        "own_account",
        ("of_cy",),
    ),
    Fault(
        "self_referrals",
        "update licenses set user_id = {cy} where id = {free}",
        "own_license",
        ("of_eve",),
    ),
    Fault(
        "customers_of_several_affiliates",
        "update affiliate_referrals set status = 'converted', qualified_at = now(),"
        " converted_at = now() where id = {also_of_ada}",
        "converted_for_several",
        ("of_ada", "also_of_ada"),
    ),
    Fault(
        "affiliates_in_several_currencies",
        new_commission("in_yen", "partner", "of_ada", "null", "JPY"),
        "counters_add_up_currencies",
        ("partner",),
    ),
    Fault(
        "affiliate_counter_mismatch",
        "update affiliates set total_referrals = 7 where id = {banned}",
        "total_referrals",
        ("banned",),
    ),
    Fault(
        "affiliate_counter_mismatch",
        # As somebody does to load faster, and forgets the counters.
        "alter table affiliate_commissions disable trigger user;"
        + new_commission("uncounted", "partner", "of_ada", "null", "USD"),
        "total_earnings_cents",
        ("partner",),
    ),
    Fault(
        "affiliate_counter_mismatch",
        "update affiliates set paid_out_cents = 0 where id = {partner}",
        "paid_out_cents",
        ("partner",),
    ),
    Fault(
        "affiliate_counter_mismatch",
        "update affiliates set pending_payout_cents = 0 where id = {partner}",
        "pending_payout_cents",
        ("partner",),
    ),
    Fault(
        "commissions_after_suspension",
        "update affiliate_commissions set status = 'approved' where id = {refused}",
        "affiliate_is_banned",
        ("refused",),
    ),
    Fault(
        "referral_status_mismatch",
        "update affiliate_referrals set converted_at = null where id = {of_ada}",
        "converted_without_time",
        ("of_ada",),
    ),
    Fault(
        "referral_status_mismatch",
        "update affiliate_referrals set status = 'qualified' where id = {of_eve}",
        "qualified_without_time",
        ("of_eve",),
    ),
    Fault(
        "referral_status_mismatch",
        "update affiliate_referrals set converted_at = now() where id = {of_eve}",
        "converted_by_time_alone",
        ("of_eve",),
    ),
    Fault(
        "referral_status_mismatch",
        "update affiliate_referrals set qualified_at = now() where id = {of_eve}",
        "qualified_by_time_alone",
        ("of_eve",),
    ),
    Fault(
        "click_referral_mismatch",
        "update affiliate_clicks set affiliate_id = {banned} where id = {led_to_ada}",
        "referral_of_another_affiliate",
        ("led_to_ada",),
    ),
    Fault(
        "click_referral_mismatch",
        "update affiliate_clicks set converted = false where id = {led_to_ada}",
        "not_marked_as_converted",
        ("led_to_ada",),
    ),
    Fault(
        "referrals_out_of_order",
        "update affiliate_referrals set converted_at = created_at - interval '1 day'"
        " where id = {of_ada}",
        "step_before_the_referral",
        ("of_ada",),
    ),
    Fault(
        "referrals_out_of_order",
        "update affiliate_referrals set created_at = now() - interval '99 days',"
        " license_id = null where id = {of_ada}",
        "paid_before_the_referral",
        ("of_ada",),
    ),
    Fault(
        "referrals_out_of_order",
        "update affiliate_referrals set qualified_at = null where id = {of_ada}",
        "converted_without_qualifying",
        ("of_ada",),
    ),
    Fault(
        "overlapping_subscriptions",
        "insert into subscriptions (id, license_id, status, plan_type, billing_cycle,"
        " amount_cents) values ({beside}, {acme}, 'trialing', 'pro', 'yearly', 30000)",
        "beside_active",
        ("acme",),
    ),
    Fault(
        "subscriptions_with_impossible_times",
        "update subscriptions set canceled_at = null where id = {acme_then}",
        "canceled_without_time",
        ("acme_then",),
    ),
    Fault(
        "subscriptions_with_impossible_times",
        "update subscriptions set canceled_at = created_at - interval '1 day'"
        " where id = {acme_then}",
        "canceled_before_it_began",
        ("acme_then",),
    ),
    Fault(
        "subscriptions_with_impossible_times",
        "update subscriptions set current_period_start = current_period_end"
        " where id = {acme_now}",
        "period_ends_before_it_starts",
        ("acme_now",),
    ),
    Fault(
        "subscriptions_with_impossible_times",
        "update subscriptions set trial_start = trial_end + interval '1 day'"
        " where id = {trial_sub}",
        "trial_ends_before_it_starts",
        ("trial_sub",),
    ),
    Fault(
        "subscriptions_not_renewed",
        "update subscriptions set current_period_end = now() - interval '4 days'"
        " where id = {acme_now}",
        "period_is_over",
        ("acme_now",),
    ),
    Fault(
        "subscriptions_not_renewed",
        "update subscriptions set trial_end = now() - interval '4 days'"
        " where id = {trial_sub}",
        "trial_is_over",
        ("trial_sub",),
    ),
    Fault(
        "subscriptions_never_paid",
        "update payment_transactions set status = 'failed', refunded_amount_cents = 0"
        " where subscription_id = {again_now}",
        "subscription_is_active",
        ("again_now",),
    ),
    Fault(
        "license_subscription_mismatch",
        "update licenses set status = 'cancelled', cancelled_at = now()"
        " where id = {acme}",
        "charged_without_access",
        ("acme",),
    ),
    Fault(
        "license_subscription_mismatch",
        "update licenses set status = 'active', expires_at = null where id = {basic}",
        "access_without_subscription",
        ("basic",),
    ),
    Fault(
        "license_subscription_mismatch",
        "update licenses set plan_type = 'enterprise' where id = {acme}",
        "another_plan",
        ("acme",),
    ),
    Fault(
        "payments_in_another_currency",
        "update payment_transactions set currency = 'EUR' where id = {latest}",
        "payment_is_succeeded",
        ("latest",),
    ),
    Fault(
        "payments_taken_twice",
        "update payment_transactions"
        " set status = 'succeeded', refunded_amount_cents = null where id = {twice}",
        "paid_2_times",
        ("once", "twice"),
    ),
    Fault(
        "invoices_paid_beyond_their_price",
        new_payment("extra", "{acme_now}", 500, "'in_4'", "1 day"),
        "more_than_the_price",
        ("latest", "extra"),
    ),
    Fault(
        "invoices_paid_beyond_their_price",
        new_payment("one", "null", 9000, "'in_9'", "1 day")
        + new_payment("two", "null", 9000, "'in_9'", "1 day"),
        "price_is_unknown",
        ("one", "two"),
    ),
    Fault(
        "invoices_paid_beyond_their_price",
        new_payment("former", "{again_now}", 2000, "'in_9'", "20 days")
        + "update payment_transactions set status = 'succeeded',"
        " refunded_amount_cents = null where id = {twice}",
        "price_of_today_at_once",
        ("once", "twice"),
    ),
    Fault(
        "payments_written_twice",
        "insert into payment_transactions (id, subscription_id, status, amount_cents,"
        " currency, created_at, processed_at) select {again_latest}, subscription_id,"
        " status, amount_cents, currency, created_at + interval '2 seconds',"
        " processed_at from payment_transactions where id = {latest}",
        "one_names_no_invoice",
        ("latest", "again_latest"),
    ),
    Fault(
        "periods_charged_twice",
        new_payment("again_second", "{acme_now}", 3000, "'in_9'", "60 days -2 minutes"),
        "more_payments_than_periods",
        ("again_second",),
    ),
    Fault(
        "payments_after_the_end",
        "update payment_transactions set created_at = now() where id = {last_attempt}",
        "subscription_is_canceled",
        ("last_attempt",),
    ),
    Fault(
        "payments_without_mrr",
        "insert into payment_transactions (id, subscription_id, status, amount_cents,"
        " currency, created_at, processed_at) select id::uuid, subscription::uuid,"
        " 'succeeded', 700, 'USD', now() - interval '6 days', now() - interval '6 days'"
        " from (values ({gift}, {free_sub})) as payment (id, subscription)",
        "subscription_is_active",
        ("gift",),
    ),
    Fault(
        "mrr_without_payment",
        "update payment_transactions set status = 'failed' where id = {once}",
        "subscription_is_active",
        ("again_now",),
    ),
    Fault(
        "mrr_without_payment",
        "update payment_transactions set status = 'failed' where id = {once};"
        "update subscriptions set status = 'past_due' where id = {again_now}",
        "subscription_is_past_due",
        ("again_now",),
    ),
    *(
        Fault("terms_changed_in_place", changed_in_place(change), reason, ("acme_now",))
        for reason, change in (
            ("another_license", "license_id = {basic}"),
            ("another_currency", "currency = 'EUR'"),
            ("another_billing_cycle", "billing_cycle = 'yearly'"),
            ("another_plan", "plan_type = 'starter'"),
            ("another_price", "amount_cents = 2900"),
            ("free_before", "amount_cents = 0"),
        )
    ),
    Fault(
        "terms_changed_in_place",
        "insert into analytics_snapshots.subscriptions_history"
        " select * from analytics_snapshots.subscriptions_history"
        " where subscription_id = {free_sub};"
        "update analytics_snapshots.subscriptions_history set amount_cents = 1000,"
        " dbt_valid_from = dbt_valid_from - interval '1 day' where ctid = (select"
        " min(ctid) from analytics_snapshots.subscriptions_history"
        " where subscription_id = {free_sub})",
        "free_now",
        ("free_sub",),
    ),
    Fault(
        "amounts_off_by_a_hundred",
        "update payment_transactions set amount_cents = 300000 where id = {latest}",
        "payment_is_a_hundred_prices",
        ("latest",),
    ),
    Fault(
        "amounts_off_by_a_hundred",
        "update payment_transactions set amount_cents = 30 where id = {latest}",
        "payment_is_a_hundredth_of_the_price",
        ("latest",),
    ),
    Fault(
        "amounts_off_by_a_hundred",
        "insert into subscriptions (id, license_id, plan_type, amount_cents, currency,"
        " billing_cycle, status) select id::uuid, {free}::uuid, 'pro', cents, 'ISK',"
        " 'monthly', 'incomplete_expired'"
        " from (values ({cheap}, 4900), ({dear}, 490000)) as price (id, cents)",
        "price_is_a_hundred_prices",
        ("dear",),
    ),
    Fault(
        "payments_with_impossible_times",
        "update payment_transactions set processed_at = now() + interval '2 hours'"
        " where id = {latest}",
        "in_the_future",
        ("latest",),
    ),
    Fault(
        "payments_with_impossible_times",
        "update payment_transactions set processed_at = null where id = {latest}",
        "received_without_time",
        ("latest",),
    ),
    Fault(
        "refund_payment_mismatch",
        "update payment_transactions set refunded_amount_cents = 3001"
        " where id = {latest}",
        "more_than_the_payment",
        ("latest",),
    ),
    Fault(
        "refund_payment_mismatch",
        "update payment_transactions set status = 'refunded' where id = {latest}",
        "refunded_without_amount",
        ("latest",),
    ),
    Fault(
        "refund_payment_mismatch",
        "update payment_transactions set refunded_amount_cents = 1"
        " where id = {declined}",
        "payment_never_received",
        ("declined",),
    ),
    Fault(
        "seat_member_mismatch",
        "insert into team_members (team_id, user_id) values ({core}, {eve})",
        "fewer_seats_than_members",
        ("acme",),
    ),
    Fault(
        "seat_member_mismatch",
        "update licenses set seats_used = 3 where id = {acme}",
        "more_seats_than_members",
        ("acme",),
    ),
    Fault(
        "seat_member_mismatch",
        "update licenses set seats_used = 2 where id = {free}",
        "more_seats_than_members",
        ("free",),
    ),
    Fault(
        "licenses_with_impossible_times",
        "update licenses set cancelled_at = started_at - interval '1 day'"
        " where id = {basic}",
        "ends_before_it_starts",
        ("basic",),
    ),
    Fault(
        "licenses_with_impossible_times",
        "update licenses set cancelled_at = null, expires_at = null where id = {basic}",
        "ended_without_time",
        ("basic",),
    ),
    Fault(
        "licenses_with_impossible_times",
        "update licenses set expires_at = now() - interval '4 days' where id = {acme}",
        "active_after_its_end",
        ("acme",),
    ),
    Fault(
        "closed_accounts_that_own_teams",
        "update users set is_active = false where id = {ada}",
        "team_on_own_license",
        ("ada",),
    ),
    Fault(
        "closed_accounts_that_own_teams",
        "update teams set is_active = true where id = {former}",
        "team_on_another_license",
        ("gus",),
    ),
    Fault(
        "events_in_the_future",
        "insert into usage_events (id, event_type, event_category, event_name,"
        " occurred_at) values ({event}, '-', 'auth', '-', now() + interval '2 hours');"
        "update api_usage set occurred_at = now() + interval '23 hours';"
        "update error_logs set occurred_at = now() + interval '2 hours';"
        "update audit_logs set occurred_at = now() + interval '2 hours';"
        "update affiliate_clicks set clicked_at = now() + interval '2 hours'"
        " where id = {in_vain}",
        "in_the_future",
        ("event", "call", "error", "action", "in_vain"),
    ),
    Fault(
        "events_in_the_future",
        "update api_usage set created_at = now() - interval '2 hours'",
        "after_it_was_written",
        ("call",),
    ),
    Fault(
        "events_at_implausible_times",
        "insert into usage_events (id, event_type, event_category, event_name,"
        " occurred_at) values ({event}, '-', 'auth', '-', 'infinity');"
        "update api_usage set occurred_at = '2100-01-01 00:00+00';"
        "update error_logs set occurred_at = '2999-01-01';"
        "update audit_logs set occurred_at = '294276-12-31'",
        "after_2099",
        ("event", "call", "error", "action"),
    ),
    Fault(
        "events_at_implausible_times",
        "insert into usage_events (id, event_type, event_category, event_name,"
        " occurred_at) values ({event}, '-', 'auth', '-', '4713-01-01 BC');"
        "update api_usage set occurred_at = '-infinity'",
        "before_1970",
        ("event", "call"),
    ),
    Fault(
        "events_at_implausible_times",
        "update audit_logs set occurred_at = '1970-01-01 00:00+00'",
        "in_1970",
        ("action",),
    ),
    Fault(
        "events_at_implausible_times",
        "update error_logs set occurred_at = created_at + interval '25 hours'",
        "days_after_it_was_written",
        ("error",),
    ),
    Fault(
        "accounts_at_implausible_times",
        "update users set created_at = '0001-01-01' where id = {hal};"
        "update licenses set started_at = '-infinity' where id = {free};"
        "update licenses set trial_ends_at = '0001-01-01' where id = {trial};"
        "update teams set created_at = '1969-12-31' where id = {former}",
        "before_1970",
        ("hal", "free", "trial", "former"),
    ),
    Fault(
        "accounts_at_implausible_times",
        "update users set last_login_at = 'infinity' where id = {hal};"
        "update licenses set started_at = '2100-01-01' where id = {free}",
        "after_2099",
        ("hal", "free"),
    ),
    Fault(
        "accounts_at_implausible_times",
        "update users set email_verified_at = '1970-01-01' where id = {hal}",
        "in_1970",
        ("hal",),
    ),
    Fault(
        "money_at_implausible_times",
        "update subscriptions set created_at = '0001-01-01' where id = {free_sub};"
        "update payment_transactions set processed_at = '0001-01-01'"
        " where id = {declined}",
        "before_1970",
        ("free_sub", "declined"),
    ),
    Fault(
        "money_at_implausible_times",
        "update subscriptions set trial_end = '1970-01-01 00:00+00'"
        " where id = {free_sub};"
        "update payment_transactions set created_at = '1970-01-01 00:00+00'"
        " where id = {declined}",
        "in_1970",
        ("free_sub", "declined"),
    ),
    Fault(
        "money_at_implausible_times",
        "update subscriptions set current_period_start = 'infinity'"
        " where id = {free_sub}",
        "after_2099",
        ("free_sub",),
    ),
    Fault(
        "affiliates_at_implausible_times",
        "update affiliates set approved_at = '-infinity' where id = {partner};"
        "update affiliate_clicks set clicked_at = '1969-01-01' where id = {in_vain};"
        "update affiliate_payouts set created_at = '0001-01-01' where id = {came_back}",
        "before_1970",
        ("partner", "in_vain", "came_back"),
    ),
    Fault(
        "affiliates_at_implausible_times",
        "update affiliate_referrals set created_at = 'infinity' where id = {of_eve};"
        "update affiliate_commissions set created_at = '9999-12-31'"
        " where id = {doubled}",
        "after_2099",
        ("of_eve", "doubled"),
    ),
    Fault(
        "affiliates_at_implausible_times",
        "update affiliate_payouts set completed_at = '1970-01-01 00:00+00'"
        " where id = {came_back}",
        "in_1970",
        ("came_back",),
    ),
    Fault(
        "durations_out_of_range",
        "insert into usage_events (id, event_type, event_category, event_name,"
        """ event_data) values ({event}, '-', 'auth', '-',"""
        """ '{{"duration_seconds": 9e131071}}')""",
        "too_large",
        ("event",),
    ),
    Fault(
        "durations_out_of_range",
        "insert into usage_events (id, event_type, event_category, event_name,"
        """ event_data) values ({event}, '-', 'auth', '-',"""
        """ '{{"duration_seconds": -0.5}}')""",
        "negative",
        ("event",),
    ),
    Fault(
        "events_counted_several_times",
        "insert into usage_events (id, event_type, event_category, event_name,"
        " occurred_at) select {event}, '-', 'auth', '-',"
        " date_trunc('month', now()) - number * interval '1 second'"
        " from generate_series(-1, 1) as number",
        "written_with_several_times",
        ("event",),
    ),
    Fault(
        "events_counted_several_times",
        "insert into api_usage (id, endpoint, method, status_code, occurred_at)"
        " values ({call}, '/', 'GET', 200, now() - interval '399 days');"
        "insert into error_logs (id, error_type, error_message, severity, occurred_at)"
        " values ({error}, '-', '-', 'info', now() - interval '1 second');"
        "insert into audit_logs (id, action, resource_type, status, occurred_at)"
        " values ({action}, '-', '-', 'success', now() - interval '1 second')",
        "written_with_several_times",
        ("call", "error", "action"),
    ),
    Fault(
        "feature_usage_doubled",
        "insert into feature_usage (id, user_id, feature_name) values"
        " ({one}, {ada}, 'sharing'), ({another}, {ada}, 'sharing')",
        "license_is_null",
        ("one", "another"),
    ),
    Fault(
        "feature_usage_doubled",
        "insert into feature_usage (id, license_id, feature_name) values"
        " ({another}, {acme}, 'dashboard')",
        "user_is_null",
        ("use_of_nobody", "another"),
    ),
    Fault(
        "feature_counts_behind_events",
        "update feature_usage set total_uses = 0 where id = {use_of_dee}",
        "fewer_uses_than_events",
        ("use_of_dee",),
    ),
    Fault(
        "features_used_after_the_end",
        "update licenses set expires_at = now() - interval '30 days'"
        " where id = {basic}",
        "license_is_cancelled",
        ("basic",),
    ),
    Fault(
        "users_active_before_sign_up",
        "update users set created_at = now() where id = {dee}",
        "active_before_sign_up",
        ("dee",),
    ),
]

FAULTS.append(
    Fault(
        "names_cut_off",
        "update audit_logs set action = repeat('ä', 202) where id = {action}",
        "cut_off",
        ("action",),
    )
)

# Its offenders are known by the session's name, not by an id.
LONG_SESSION = Fault(
    "sessions_of_days",
    "insert into usage_events (event_type, event_category, event_name, session_id,"
    " occurred_at, user_id) values ('-', 'auth', '-', 'long', now() - interval"
    " '18 days', {ada})",
    "longer_than_a_day",
    ("long",),
)
FAULTS.append(LONG_SESSION)


@dataclass(frozen=True)
class Company:
    """The company, what dbt made of it, and where dbt left its artefacts."""

    database: Database
    target: Path
    results: list[dict[str, Any]]
    """Of the build, which later commands of dbt do not overwrite."""

    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(
            (self.target / "manifest.json").read_text()
        )
        return manifest

    def tests(self) -> dict[str, dict[str, Any]]:
        """The tests of tests/integrity by name, as dbt knows them."""
        return {
            node["name"]: node
            for node in self.manifest()["nodes"].values()
            if node["original_file_path"].startswith("tests/integrity/")
        }

    def compiled(self) -> dict[str, str]:
        """Their SQL."""
        folder = self.target / "compiled" / "saas_analytics" / "tests" / "integrity"
        return {file.stem: file.read_text() for file in folder.rglob("*.sql")}


@pytest.fixture(scope="module")
def company(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Company:
    """The company without a wrong, and whatever the tests read of it."""
    module_database.execute(named(COMPANY))
    # A name can be too long for the marts only where the application widened it.
    configuration = load_settings({"DATABASE_URL": module_database.url})
    with connected(configuration) as connection:
        retype(connection, configuration, "audit_logs", "action", "text")
    target = tmp_path_factory.mktemp("target")
    result = dbt(
        *("build", "--indirect-selection", "empty"),
        *("--select", "staging,resource_type:model", "integrity"),
        *("+fct_feature_usage", "+dim_users", "+fct_affiliate_earnings"),
        *("+int_mrr__by_subscription", "subscriptions_history", "+dim_currencies"),
        "assert_affiliate_ledger_is_reconciled",
        database=module_database,
        target=target,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    results = json.loads((target / "run_results.json").read_text())["results"]
    return Company(module_database, target, results)


def test_a_company_without_wrongs_has_no_offender(company: Company) -> None:
    failures = {
        result["unique_id"].split(".")[2]: (result["status"], result["failures"])
        for result in company.results
        if result["unique_id"].startswith("test.")
    }
    assert failures.pop("assert_affiliate_ledger_is_reconciled") == ("pass", 0)
    assert failures == dict.fromkeys(FILES, ("pass", 0))


def compute_spans(cursor: Cursor) -> None:
    """Compute the spans of recurring revenue from what the transaction has written."""
    for model in ("access_end", "paid_through", "mrr_span", "mrr"):
        cursor.execute(
            "select relation, definition from analytics_refresh.models"
            " where model = %s",
            (f"int_{model}__by_subscription",),
        )
        ((relation, definition),) = cursor.fetchall()
        cursor.execute(f"delete from {relation}")
        cursor.execute(f"insert into {relation} {definition}")


@contextmanager
def planted(database: Database, statements: str) -> Iterator[Cursor]:
    """A cursor that sees what the statements did, which is gone afterwards."""
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(named(statements))
            yield cursor
    finally:
        connection.close()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_wrong_is_named_by_its_own_test_alone(company: Company, fault: Fault) -> None:
    found = {}
    with planted(company.database, fault.statements) as cursor:
        for test, query in company.compiled().items():
            cursor.execute(query)
            columns = [column.name for column in cursor.description or ()]
            reason = columns.index("reason")
            offenders = [(row[0], row[reason]) for row in cursor.fetchall()]
            if offenders:
                found[test] = sorted(offenders)
    names = fault.offenders
    ids = names if fault is LONG_SESSION else map(identifier, names)
    assert found == {fault.test: sorted((each, fault.reason) for each in ids)}


@pytest.mark.parametrize("look_alike", LOOK_ALIKES, ids=str)
def test_what_looks_like_a_finding_and_is_none_stays_silent(
    company: Company, look_alike: LookAlike
) -> None:
    found = {}
    with planted(company.database, look_alike.statements) as cursor:
        for test, query in company.compiled().items():
            cursor.execute(query)
            rows = cursor.fetchall()
            if rows:
                found[test] = rows
    assert not found


# Commissions in two currencies, and one payout in a third for both.
CONVERTED = (
    new_commission("in_yen", "partner", "of_ada", "null", "JPY")
    + new_commission("in_euro", "partner", "of_ada", "null", "EUR")
    + "update affiliate_commissions set status = 'paid', payout_id = {in_pounds}"
    " where id in ({in_yen}, {in_euro});"
    + new_payout("in_pounds", "partner", 250, "GBP")
)


def unreconciled(company: Company, cursor: Cursor) -> dict[str, int]:
    """What the test of the ledger reports by currency, on earnings made again."""
    compiled = company.target / "compiled" / "saas_analytics"
    models = compiled / "models"
    for schema, folder, model in (
        (
            "analytics_intermediate",
            "intermediate",
            "int_ledger__by_month_affiliate_type_status_currency",
        ),
        ("analytics", "marts", "fct_affiliate_earnings"),
    ):
        query = (models / folder / "affiliates" / f"{model}.sql").read_text()
        cursor.execute(f"drop table {schema}.{model}")
        cursor.execute(f"create table {schema}.{model} as {query}")
    test = "tests/singular/affiliates/assert_affiliate_ledger_is_reconciled.sql"
    cursor.execute((compiled / test).read_text())
    columns = [column.name for column in cursor.description or ()]
    currency, balance = (columns.index(c) for c in ("currency", "unreconciled_cents"))
    return {row[currency]: int(row[balance]) for row in cursor.fetchall()}


def test_a_payout_in_another_currency_is_reported_as_that_and_not_as_a_balance(
    company: Company,
) -> None:
    with planted(company.database, CONVERTED) as cursor:
        assert unreconciled(company, cursor) == {}
        cursor.execute(company.compiled()["payouts_in_another_currency"])
        found = [row[0] for row in cursor.fetchall()]
        assert found == [identifier("in_pounds")] * 2


def test_a_balance_beyond_payouts_in_another_currency_is_reported(
    company: Company,
) -> None:
    more = new_payout("without_commissions", "partner", 70, "JPY")
    with planted(company.database, CONVERTED + more) as cursor:
        assert unreconciled(company, cursor) == {"JPY": 100 - 70}


@settings(max_examples=40, deadline=None)
@given(luck=st.randoms(use_true_random=False))
def test_a_company_of_legitimate_oddities_has_no_finding(
    company: Company, luck: random.Random
) -> None:
    statements = legitimate_company(luck)
    with planted(company.database, statements) as cursor:
        compute_spans(cursor)
        found = {}
        for test, query in company.compiled().items():
            cursor.execute(query)
            if rows := cursor.fetchall():
                found[test] = rows
    assert not found, statements


def test_every_finding_has_a_look_alike_that_stays_silent() -> None:
    assert {look_alike.test for look_alike in LOOK_ALIKES} == set(FILES)


def test_who_owns_a_team_on_their_own_license_can_not_be_deleted(
    company: Company,
) -> None:
    """Why the test of closed accounts is there."""
    with pytest.raises(psycopg2.IntegrityError, match="teams_owner_id_fkey"):
        company.database.execute(named("delete from users where id = {ada}"))


def reasons(sql: str) -> Iterable[str]:
    """What a test may give as reason; of one that is put together, its beginning."""
    return re.findall(
        r"""(?:then|else|,|\n)\s+'(\w+)'(?=\s+(?:when|end|else|as\ reason|\|\|))""",
        sql,
    )


def test_every_test_and_every_reason_has_its_fault() -> None:
    assert {fault.test for fault in FAULTS} == set(FILES)
    for test, file in FILES.items():
        given = [fault.reason for fault in FAULTS if fault.test == test]
        for reason in reasons(file.read_text()):
            assert any(each.startswith(reason) for each in given), (test, reason)


def test_every_test_says_what_is_wrong_how_bad_it_is_and_who_acts(
    company: Company,
) -> None:
    tests = company.tests()
    assert set(tests) == set(FILES)
    owners = {group["owner"]["name"] for group in company.manifest()["groups"].values()}
    for name, test in tests.items():
        config = test["config"]
        assert test["description"].startswith("One row per "), name
        assert config["severity"] in ("warn", "error"), name
        assert config["meta"]["owner"] in owners, name
        assert config["store_failures"], name


def test_the_documentation_lists_every_test_as_it_is(company: Company) -> None:
    page = (ROOT / "docs" / "reference" / "findings.md").read_text()
    listed = {
        match["name"]: (match["severity"], match["owner"])
        for match in re.finditer(
            r"^\| `(?P<name>\w+)` \|[^|]+\| (?P<severity>warn|error)"
            r" \| (?P<owner>[^|]+) \|[^|]+\|$",
            page,
            re.MULTILINE,
        )
    }
    assert listed == {
        name: (test["config"]["severity"], test["config"]["meta"]["owner"])
        for name, test in company.tests().items()
    }


def test_no_wrong_holds_up_a_mart(company: Company) -> None:
    """dbt skips a model when a test fails whose parents all lie before the model."""
    manifest = company.manifest()
    parents = manifest["parent_map"]

    def ancestors(node: str) -> set[str]:
        found: set[str] = set()
        waiting = list(parents[node])
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += parents[each]
        return found

    before = {
        node: ancestors(node)
        for node in manifest["nodes"]
        if node.startswith(("model.", "snapshot."))
    }
    for name, test in company.tests().items():
        reads = {each for each in parents[test["unique_id"]] if "source." not in each}
        held_up = [node for node, lies_before in before.items() if reads <= lies_before]
        assert not held_up, (name, held_up)


def test_a_build_tells_of_warnings_and_lists_the_offenders(company: Company) -> None:
    """It is what `make demo` builds by; a warning doesn't fail it."""
    refer = "update affiliate_referrals set status = '{}' where id = {}"
    company.database.execute(refer.format("qualified", named("{of_cy}")))
    # One that a former version stored, one that others use, and one of theirs.
    company.database.execute(
        "create table analytics_test_failures.primary_key_dim_users_user_id ();"
        "create table analytics_test_failures.primary_key_dim_licenses_license_id ();"
        "create view used as table "
        "analytics_test_failures.primary_key_dim_licenses_license_id;"
        "create table analytics_test_failures.theirs ()"
    )
    try:
        result = subprocess.run(
            [
                *(sys.executable, "-m", "saas_analytics", "build"),
                *("-s", "self_referrals"),
            ],
            cwd=ROOT,
            env=company.database.environment(
                DBT_TARGET_PATH=str(company.target),
                DBT_LOG_PATH=str(company.target),
                PYTHONPATH=str(ROOT),
            ),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        listed = company.database.execute(
            "select referral_id::text, reason"
            " from analytics_test_failures.self_referrals"
        )
        kept = company.database.execute(
            "select relname::text from pg_class where relname ~ '^prim|theirs' "
            "and relnamespace = 'analytics_test_failures'::regnamespace order by 1"
        )
    finally:
        company.database.execute(
            "drop view used; drop table analytics_test_failures.theirs, "
            "analytics_test_failures.primary_key_dim_licenses_license_id"
        )
        company.database.execute(refer.format("cancelled", named("{of_cy}")))
    assert result.returncode == 0, result.stdout + result.stderr
    assert kept == [("primary_key_dim_licenses_license_id",), ("theirs",)]
    assert "1 warn\n" in result.stdout
    assert "docs/reference/findings.md" in result.stdout
    assert (
        "self_referrals: 1 row, `select * from analytics_test_failures.self_referrals`"
        in result.stdout
    )
    assert f"Log: {company.target / 'dbt.log'}\n" in result.stdout
    assert listed == [(identifier("of_cy"), "own_account")]
