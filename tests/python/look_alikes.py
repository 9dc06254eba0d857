"""Legitimate data that looks like a finding: the nearest case without anything wrong.

Each entry changes the company of test_integrity.py, after which every finding must stay
silent. A finding without an entry fails a test.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LookAlike:
    """What the finding must not report, and the statements that write it."""

    test: str
    shows: str
    statements: str

    def __str__(self) -> str:
        return f"{self.test}-{self.shows.replace(' ', '_')}"


def new_commission(
    name: str,
    affiliate: str,
    referral: str,
    payment: str,
    currency: str,
    *,
    kind: str = "recurring",
    status: str = "approved",
    cents: int = 100,
    ago: str = "60 days",
) -> str:
    """A commission at 20% to an affiliate, for a referral and on a payment."""
    return (
        "insert into affiliate_commissions (id, affiliate_id, referral_id,"
        " payment_transaction_id, commission_type, status, amount_cents,"
        " commission_rate, currency, created_at)"
        f" values ({{{name}}}, {{{affiliate}}}, {{{referral}}}, {payment}, '{kind}',"
        f" '{status}', {cents}, 20, '{currency}', now() - interval '{ago}');"
    )


def new_payment(
    name: str,
    subscription: str,
    cents: int,
    invoice: str,
    ago: str,
    *,
    currency: str = "USD",
    status: str = "succeeded",
) -> str:
    """A payment for a subscription and an invoice, each a literal or null."""
    created = f"now() - interval '{ago}'"
    processed = created if status == "succeeded" else "null"
    return (
        "insert into payment_transactions (id, subscription_id, status, amount_cents,"
        " currency, stripe_invoice_id, created_at, processed_at)"
        f" values ({{{name}}}, {subscription}, '{status}', {cents}, '{currency}',"
        f" {invoice}, {created}, {processed});"
    )


def new_payout(name: str, affiliate: str, cents: int, currency: str = "USD") -> str:
    """A completed payout."""
    return (
        "insert into affiliate_payouts (id, affiliate_id, amount_cents, currency,"
        f" payment_method, status) values ({{{name}}}, {{{affiliate}}}, {cents},"
        f" '{currency}', 'paypal', 'completed');"
    )


CLAW_BACK = (
    "update affiliate_commissions set status = 'cancelled' where id = {initial};"
)

LOOK_ALIKES = [
    # Payouts and commissions
    LookAlike(
        "payouts_without_commissions",
        "approved commissions wait for a payout under way",
        "update affiliate_payouts set status = 'processing' where id = {being_made}",
    ),
    LookAlike(
        "payouts_without_commissions",
        "a payout settles what an earlier one was short of",
        "update affiliate_payouts set amount_cents = 700 where id = {arrived};"
        + new_payout("the_rest", "partner", 100),
    ),
    LookAlike(
        "payouts_without_commissions",
        "a clawback lost its payout",
        new_payout("alone", "partner", 500)
        + "update affiliate_commissions set status = 'cancelled', paid_at = now(),"
        " amount_cents = 500 where id = {doubled};",
    ),
    LookAlike(
        "payouts_without_commissions",
        "the application sets no payout on its commissions",
        "update affiliate_commissions set payout_id = null where payout_id = {arrived}",
    ),
    LookAlike(
        "payout_commission_mismatch",
        "a later payout nets a clawback",
        CLAW_BACK
        + new_payout("netted", "partner", 400)
        + "update affiliate_commissions set status = 'paid', payout_id = {netted}"
        " where id = {open};",
    ),
    LookAlike(
        "payout_commission_mismatch",
        "two later payouts net a clawback in part",
        CLAW_BACK
        + new_payout("netted", "partner", 500)
        + "update affiliate_commissions set status = 'paid', payout_id = {netted}"
        " where id = {open};",
    ),
    LookAlike(
        "payout_commission_mismatch",
        "the clawback has not been netted yet",
        CLAW_BACK,
    ),
    LookAlike(
        "payout_commission_mismatch",
        "the application counts no commissions",
        "update affiliate_payouts set commission_count = 0 where id = {arrived}",
    ),
    LookAlike(
        "payouts_in_another_currency",
        "one currency in small and in capital letters",
        "update affiliate_payouts set currency = 'usd' where id = {arrived}",
    ),
    LookAlike(
        "paid_commissions_without_payout",
        "the payout is on its way",
        "update affiliate_payouts set status = 'processing' where id = {being_made};"
        "update affiliate_commissions set status = 'paid', payout_id = {being_made}"
        " where id = {open}",
    ),
    LookAlike(
        "paid_commissions_without_payout",
        "a clawback took the whole of a later commission",
        CLAW_BACK
        + "update affiliate_commissions set status = 'paid', amount_cents = 200"
        " where id = {open};",
    ),
    LookAlike(
        "paid_commissions_without_payout",
        "a commission of nothing",
        "update affiliate_commissions set status = 'paid', amount_cents = 0"
        " where id = {open}",
    ),
    LookAlike(
        "commissions_on_another_affiliates_referral",
        "a bonus for recruiting the affiliate",
        new_commission("override", "banned", "of_ada", "null", "EUR", kind="bonus"),
    ),
    LookAlike(
        "commissions_earned_twice",
        "a share granted in two parts",
        "update affiliate_commissions set status = 'approved', amount_cents = 300"
        " where id in ({open}, {doubled})",
    ),
    LookAlike(
        "commissions_written_twice",
        "a job caught up on two months at once",
        new_commission("january", "partner", "of_ada", "null", "USD")
        + new_commission("february", "partner", "of_ada", "null", "USD"),
    ),
    LookAlike(
        "commissions_written_twice",
        "two instalments and a share of each",
        "update payment_transactions set amount_cents = 1500 where id = {latest};"
        + new_payment("instalment", "{acme_now}", 1500, "'in_4'", "1 day")
        + new_commission(
            *("one", "partner", "of_ada", "{latest}", "USD"), cents=300, ago="1 day"
        )
        + new_commission(
            *("two", "partner", "of_ada", "{instalment}", "USD"), cents=300, ago="1 day"
        ),
    ),
    LookAlike(
        "commission_payment_mismatch",
        "a share converted into the affiliate's currency",
        new_commission("converted", "banned", "of_dee", "{training}", "EUR", cents=11),
    ),
    LookAlike(
        "commission_payment_mismatch",
        "a fixed fee above the first month's price",
        "update affiliate_commissions set commission_rate = 0, amount_cents = 5000"
        " where id = {open}",
    ),
    LookAlike(
        "commission_payment_mismatch",
        "a bank transfer on its way",
        new_payment(
            "transfer", "{acme_now}", 3000, "'in_9'", "5 days", status="pending"
        )
        + new_commission(
            *("early", "partner", "of_ada", "{transfer}", "USD"),
            cents=600,
            ago="5 days",
        ),
    ),
    LookAlike(
        "commission_payment_mismatch",
        "two affiliates share one payment",
        new_commission(
            *("claimed", "banned", "also_of_ada", "{third}", "USD"),
            status="pending",
            cents=2400,
        ),
    ),
    LookAlike(
        "refunds_without_clawback",
        "a partial refund with the status refunded",
        "update payment_transactions set status = 'refunded',"
        " refunded_amount_cents = 1000 where id = {third}",
    ),
    LookAlike(
        "refunds_without_clawback",
        "the commission was reduced with a partial refund",
        "update payment_transactions set refunded_amount_cents = 1500"
        " where id = {third};"
        "update affiliate_commissions set amount_cents = 300 where id = {open}",
    ),
    # Referrals and clicks
    LookAlike(
        "self_referrals",
        "an affiliate has a license and brings others",
        "insert into licenses (id, user_id, license_key, plan_type)"
        " values ({of_partner}, {cy}, 'of_partner', 'free')",
    ),
    LookAlike(
        "customers_of_several_affiliates",
        "two affiliates bring one user for two licenses",
        "update affiliate_referrals set status = 'converted', qualified_at = now(),"
        " converted_at = now(), license_id = {free} where id = {also_of_ada}",
    ),
    LookAlike(
        "affiliates_in_several_currencies",
        "a commission in another currency was cancelled",
        new_commission(
            "in_yen", "partner", "of_ada", "null", "JPY", status="cancelled"
        ),
    ),
    LookAlike(
        "affiliate_counter_mismatch",
        "a commission changed and its counters with it",
        "update affiliate_commissions set amount_cents = 599 where id = {open}",
    ),
    LookAlike(
        "commissions_after_suspension",
        "a job writes later what was earned before",
        "update affiliate_commissions set created_at = now() - interval '10 days'"
        " where id = {still_owed}",
    ),
    LookAlike(
        "commissions_after_suspension",
        "an adjustment settles the account",
        new_commission(
            *("settled", "banned", "of_dee", "null", "EUR"),
            kind="adjustment",
            ago="10 days",
        ),
    ),
    LookAlike(
        "referral_status_mismatch",
        "a cancelled referral keeps its times",
        "update affiliate_referrals set status = 'cancelled' where id = {of_ada}",
    ),
    LookAlike(
        "referrals_out_of_order",
        "a referral written while its customer pays",
        "update affiliate_referrals set"
        " created_at = created_at + interval '20 minutes', qualified_at = created_at,"
        " converted_at = created_at + interval '1 minute'"
        " where id = {of_ada}",
    ),
    LookAlike(
        "referrals_out_of_order",
        "a program without a qualifying step",
        "update affiliate_referrals set qualified_at = null;"
        "insert into users (id, email, password_hash)"
        " select md5('customer' || n)::uuid, 'customer' || n, '-'"
        " from generate_series(1, 10) as n;"
        "insert into affiliate_referrals (affiliate_id, referred_user_id, status,"
        " converted_at)"
        " select {partner}, md5('customer' || n)::uuid, 'converted', now()"
        " from generate_series(1, 10) as n",
    ),
    LookAlike(
        "referrals_out_of_order",
        "an earlier purchase was wholly refunded",
        "update affiliate_referrals set created_at = now() - interval '65 days',"
        " qualified_at = now(), converted_at = now(), status = 'converted'"
        " where id = {of_dee};"
        "update affiliate_commissions set status = 'cancelled'"
        " where referral_id = {of_dee}",
    ),
    LookAlike(
        "click_referral_mismatch",
        "an earlier click of the same customer",
        "update affiliate_clicks set referral_id = {of_ada} where id = {in_vain}",
    ),
    LookAlike(
        "click_referral_mismatch",
        "a referral that has not converted yet",
        "update affiliate_clicks set referral_id = {of_eve} where id = {in_vain}",
    ),
    # Subscriptions and payments
    LookAlike(
        "overlapping_subscriptions",
        "the old one ends with its period",
        "update subscriptions set cancel_at_period_end = true, canceled_at = now()"
        " where id = {acme_now};"
        "insert into subscriptions (license_id, status, plan_type, billing_cycle,"
        " amount_cents) values ({acme}, 'active', 'pro', 'yearly', 30000)",
    ),
    LookAlike(
        "overlapping_subscriptions",
        "a trial of a larger plan",
        "insert into subscriptions (license_id, status, plan_type, billing_cycle,"
        " amount_cents) values ({acme}, 'trialing', 'enterprise', 'yearly', 90000)",
    ),
    LookAlike(
        "overlapping_subscriptions",
        "a free plan remains",
        "insert into subscriptions (license_id, status, plan_type, billing_cycle,"
        " amount_cents) values ({acme}, 'active', 'free', 'monthly', 0)",
    ),
    LookAlike(
        "subscriptions_with_impossible_times",
        "canceled in the moment it began",
        "insert into subscriptions (license_id, status, plan_type, billing_cycle,"
        " amount_cents, created_at, canceled_at) values ({free}, 'canceled', 'pro',"
        " 'monthly', 3000, now(), now())",
    ),
    LookAlike(
        "subscriptions_not_renewed",
        "the period ended yesterday",
        "update subscriptions set current_period_end = now() - interval '1 day'"
        " where id = {acme_now}",
    ),
    LookAlike(
        "subscriptions_never_paid",
        "a trial ended yesterday",
        "update subscriptions set status = 'active', trial_end = now() - interval"
        " '1 day', current_period_start = now() - interval '1 day',"
        " current_period_end = now() + interval '29 days' where id = {trial_sub}",
    ),
    LookAlike(
        "license_subscription_mismatch",
        "a license suspended for a while",
        "update licenses set status = 'suspended' where id = {acme}",
    ),
    LookAlike(
        "payments_in_another_currency",
        "a customer moved to another currency",
        "update payment_transactions set currency = 'EUR' where id = {once};"
        + new_payment(
            "last_euro", "{again_now}", 1000, "'in_9'", "25 days", currency="EUR"
        )
        + new_payment("first_dollar", "{again_now}", 1000, "'in_10'", "1 day"),
    ),
    LookAlike(
        "payments_in_another_currency",
        "a payment in the wrong currency was given back",
        "update payment_transactions set currency = 'EUR', status = 'refunded',"
        " refunded_amount_cents = amount_cents where id = {latest}",
    ),
    LookAlike(
        "payments_taken_twice",
        "two instalments add up to the price",
        "update subscriptions set amount_cents = 2000 where id = {again_now};"
        "update payment_transactions set status = 'succeeded',"
        " refunded_amount_cents = null where id = {twice}",
    ),
    LookAlike(
        "payments_taken_twice",
        "instalments of a price that was lowered since",
        "update payment_transactions set amount_cents = 1500, created_at = created_at"
        " - interval '1 month' where id = {once};"
        "update payment_transactions set status = 'succeeded', amount_cents = 1500,"
        " refunded_amount_cents = null where id = {twice};"
        + new_payment("former", "{again_now}", 3000, "'in_9'", "20 days"),
    ),
    LookAlike(
        "payments_taken_twice",
        "instalments before the price was halved",
        "update payment_transactions set created_at = created_at - interval '10 days'"
        " where id = {once};"
        "update payment_transactions set status = 'succeeded',"
        " refunded_amount_cents = null where id = {twice};"
        "update analytics_snapshots.subscriptions_history set amount_cents = 2000"
        " where subscription_id = {again_now}",
    ),
    LookAlike(
        "payments_taken_twice",
        "both payments were refunded by half",
        "update payment_transactions set status = 'succeeded',"
        " refunded_amount_cents = 500 where id in ({once}, {twice})",
    ),
    LookAlike(
        "invoices_paid_beyond_their_price",
        "one payment with a fee above the price",
        "update payment_transactions set amount_cents = 9000 where id = {latest}",
    ),
    LookAlike(
        "invoices_paid_beyond_their_price",
        "two instalments add up to a price with tax",
        "update payment_transactions set amount_cents = 3600, refunded_amount_cents = 0"
        " where id = {third};"
        "update payment_transactions set amount_cents = 1800 where id = {latest};"
        + new_payment("instalment", "{acme_now}", 1800, "'in_4'", "1 day"),
    ),
    LookAlike(
        "invoices_paid_beyond_their_price",
        "two instalments of a sale without a subscription",
        new_payment("one", "null", 9000, "'in_9'", "60 days")
        + new_payment("two", "null", 9000, "'in_9'", "30 days"),
    ),
    LookAlike(
        "payments_written_twice",
        "an extra of the same price on another day",
        new_payment("extra", "{acme_now}", 3000, "null", "20 days"),
    ),
    LookAlike(
        "periods_charged_twice",
        "two invoices in arrears paid on one day",
        "update payment_transactions set created_at = now() - interval '1 day',"
        " refunded_amount_cents = 0 where id = {third}",
    ),
    LookAlike(
        "payments_after_the_end",
        "a payment after the end was given back",
        "update payment_transactions set created_at = now(), status = 'refunded',"
        " refunded_amount_cents = amount_cents where id = {last_attempt}",
    ),
    LookAlike(
        "payments_after_the_end",
        "a fixed term was cancelled when it was created",
        "update subscriptions set cancel_at_period_end = false,"
        " canceled_at = created_at, current_period_end = now() + interval '20 days'"
        " where id = {basic_sub}",
    ),
    LookAlike(
        "payments_without_mrr",
        "the rest of a price came two days after the end",
        new_payment("rest", "{basic_sub}", 400, "null", "3 days", currency="EUR"),
    ),
    LookAlike(
        "mrr_without_payment",
        "the current period is not paid yet",
        "update payment_transactions set status = 'failed' where id = {latest}",
    ),
    LookAlike(
        "mrr_without_payment",
        "a subscription is past due in its first missed period",
        "update subscriptions set status = 'past_due' where id = {again_now}",
    ),
    LookAlike(
        "terms_changed_in_place",
        "the price was changed during the trial",
        "insert into analytics_snapshots.subscriptions_history"
        " select * from analytics_snapshots.subscriptions_history"
        " where subscription_id = {acme_now};"
        "update analytics_snapshots.subscriptions_history set amount_cents = 2900,"
        " status = 'trialing', dbt_valid_from = dbt_valid_from - interval '1 day'"
        " where ctid = (select min(ctid)"
        " from analytics_snapshots.subscriptions_history"
        " where subscription_id = {acme_now})",
    ),
    LookAlike(
        "amounts_off_by_a_hundred",
        "one seat and a hundred seats in dollars",
        "insert into subscriptions (license_id, plan_type, amount_cents, currency,"
        " billing_cycle, status) select {free}::uuid, 'pro', cents, 'USD', 'monthly',"
        " 'incomplete_expired' from (values (4900), (490000)) as price (cents)",
    ),
    LookAlike(
        "payments_with_impossible_times",
        "a clock half an hour fast",
        "update payment_transactions set processed_at = now() + interval '30 minutes'"
        " where id = {latest}",
    ),
    LookAlike(
        "refund_payment_mismatch",
        "wholly refunded and still called succeeded",
        "update payment_transactions set refunded_amount_cents = 3000"
        " where id = {latest}",
    ),
    # Licenses, teams and usage
    LookAlike(
        "seat_member_mismatch",
        "a closed account gave its seat back",
        "update users set is_active = false where id = {bob};"
        "update licenses set seats_used = 1 where id = {acme}",
    ),
    LookAlike(
        "seat_member_mismatch",
        "a team out of use takes no seats",
        "insert into team_members (team_id, user_id) values ({former}, {ivy})",
    ),
    LookAlike(
        "licenses_with_impossible_times",
        "a license ended yesterday and its job has not run",
        "update licenses set expires_at = now() - interval '1 day' where id = {acme}",
    ),
    LookAlike(
        "closed_accounts_that_own_teams",
        "the license has ended too",
        "insert into teams (license_id, name, slug, owner_id, is_active)"
        " values ({basic}, '-', 'ended', {gus}, true)",
    ),
    LookAlike(
        "events_in_the_future",
        "a clock half an hour fast",
        "update api_usage set occurred_at = created_at + interval '30 minutes'",
    ),
    LookAlike(
        "sessions_of_days",
        "two users with one session number",
        "insert into usage_events (event_type, event_category, event_name, session_id,"
        " occurred_at, user_id) values ('-', 'auth', '-', 'long', now() - interval"
        " '18 days', {eve})",
    ),
    LookAlike(
        "feature_usage_doubled",
        "one feature with and without a license",
        "insert into feature_usage (user_id, feature_name)"
        " values ({ada}, 'dashboard'), ({eve}, 'dashboard')",
    ),
    LookAlike(
        "feature_counts_behind_events",
        "more uses than events since old events were dropped",
        "update feature_usage set total_uses = 99 where id = {use_of_dee}",
    ),
    LookAlike(
        "features_used_after_the_end",
        "a session that was under way at the end",
        "update licenses set expires_at = now() - interval '20 days 12 hours'"
        " where id = {basic}",
    ),
    LookAlike(
        "users_active_before_sign_up",
        "a client whose clock is slow",
        "update users set created_at = now() - interval '20 days' + interval"
        " '30 minutes' where id = {dee}",
    ),
    # Values at the edge of what is plausible
    LookAlike(
        "accounts_at_implausible_times",
        "a license that never ends",
        "update licenses set expires_at = '9999-12-31', trial_ends_at = 'infinity'"
        " where id = {free}",
    ),
    LookAlike(
        "money_at_implausible_times",
        "a period that never ends",
        "update subscriptions set current_period_end = 'infinity'"
        " where id = {free_sub}",
    ),
    LookAlike(
        "affiliates_at_implausible_times",
        "a payout that took years",
        "update affiliate_payouts set created_at = '1971-01-01 00:00+00'"
        " where id = {came_back}",
    ),
    LookAlike(
        "events_at_implausible_times",
        "an event that came years late",
        "update audit_logs set occurred_at = '1971-01-01 00:00+00'",
    ),
    LookAlike(
        "durations_out_of_range",
        "the largest duration and none at all",
        "update usage_events set event_data = "
        """'{{"duration_seconds": 999999999999999.9}}' where session_id = 'long';"""
        "update usage_events set event_data = "
        """'{{"duration_seconds": "-1"}}' where session_id = 'short'""",
    ),
    LookAlike(
        "events_counted_several_times",
        "one id in two tables",
        "update error_logs set id = {call}; update audit_logs set id = {call}",
    ),
    LookAlike(
        "names_cut_off",
        "the longest name that counts as a whole",
        "update audit_logs set action = repeat('ä', 201)",
    ),
]
