-- One change of the data for each expectation, which fails that check.
-- Below the title of a check is its statement. The marts end on 2026-03-20.

-- suite usage
-- A day brings as many events as its weekday usually does
insert into analytics.fct_usage_daily (usage_date, event_type, event_count,
    unique_sessions, total_duration_seconds)
    values ('2026-03-19', 'page_view', 50000, 1, 0);
-- As many people are active on a day as usually on its weekday
update analytics.fct_active_users_daily set daily_active_users = 200
    where activity_date = '2026-03-19';
-- The mart counts the source's events of each day
delete from analytics.fct_usage_daily where usage_date = '2026-03-19';
-- Every active user has signed up
update analytics.fct_active_users_daily set daily_active_users = 10000
    where activity_date = '2026-03-19';
-- Events are divided among their types as in earlier runs
update analytics.fct_usage_daily set event_type = 'mistyped'
    where usage_date > date '2026-03-13';
-- Sessions are as long and as busy as in earlier runs
update analytics.fct_usage_daily set total_duration_seconds = total_duration_seconds *
    1000 where usage_date > date '2026-03-13';
-- A month that is over keeps its events: within 1% of earlier runs
update analytics.fct_usage_monthly set event_count = ceil(event_count * 1.02)
    where usage_month = date '2026-02-01';

-- suite operations
-- The API is called as often on a day as usually on its weekday
insert into analytics.fct_api_usage_daily (usage_date, endpoint, method, requests,
    client_errors, server_errors, error_rate)
    values ('2026-03-19', '/v1/loop', 'GET', 50000, 0, 0, 0);
-- As many actions are audited on a day as usually on its weekday
update analytics.fct_audit_daily set events = events + 500
    where audit_date = (select max(audit_date) from analytics.fct_audit_daily);
-- The marts count the source's calls, errors and audited actions
update analytics.fct_errors_daily set errors = errors + 100
    where error_date > date '2026-03-13';
-- Nine times in ten, an endpoint's slowest percent is within 50 medians
update analytics.fct_api_usage_daily set p99_response_ms = p50_response_ms * 51
    where requests < 20;
-- Response times are distributed as in earlier runs
update api_usage set response_time_ms = response_time_ms + 1000;
-- An endpoint's slow calls take as long as in earlier runs
update api_usage set response_time_ms = response_time_ms * 2
    where endpoint = '/v1/busy';
-- As many calls fail as in earlier runs
update analytics.fct_api_usage_daily set server_errors = requests
    where usage_date > date '2026-03-13';

-- suite revenue
-- The mart counts all the source's payments, and what they brought
update analytics.fct_revenue_monthly set gross_cents = gross_cents * 1.02
    where currency = 'USD';
-- A month that is over keeps its revenue: within 1% of earlier runs
update analytics.fct_revenue_monthly set gross_cents = ceil(gross_cents * 1.02)
    where revenue_month = date '2026-02-01';
-- Payments fail and are given back as often as in earlier runs
update payment_transactions set status = 'failed' where created_at > '2026-03-01';
-- Paying customers are divided among the plans as in earlier runs
update analytics.fct_mrr_monthly set customers = customers * 2 where plan_type = 'pro';
-- Nine months in ten give back less than a fifth of what they took
update analytics.fct_revenue_monthly set refunded_cents = gross_cents / 3;

-- suite affiliates
-- Affiliates bring as many clicks on a day as usually on its weekday
update analytics.fct_affiliate_funnel_daily set clicks = clicks + 500
    where funnel_date = (select max(funnel_date)
        from analytics.fct_affiliate_funnel_daily where funnel_date < '2026-03-20');
-- The ledger counts all commissions of the source
delete from analytics.fct_affiliate_earnings where currency = 'USD';
-- Clicks are divided among the campaigns as in earlier runs
update analytics.fct_affiliate_funnel_daily set utm_campaign = 'mistyped'
    where funnel_date > '2026-02-01';
-- A commission is as large as in earlier runs
update analytics.fct_affiliate_earnings
    set paid_cents = paid_cents * 2, total_earnings_cents = total_earnings_cents * 2;

-- suite adoption
-- The mart counts the source's uses of each feature
update analytics.fct_feature_usage set total_uses = total_uses + 1;
-- A feature has as large a share of all uses as in earlier runs
update analytics.fct_feature_adoption_monthly set total_uses = 0
    where feature_name = 'dashboard';
-- A month that is over keeps its uses: within 1% of earlier runs
update analytics.fct_feature_adoption_monthly set total_uses = ceil(total_uses * 1.02)
    where adoption_month = date '2026-02-01';

-- suite source
-- Most events have a user
update usage_events set user_id = null where occurred_at > '2026-03-18';
-- Nearly every event belongs to a session
update usage_events set session_id = null where occurred_at > '2026-03-19';
-- Nearly every use is of a feature that the seed features knows
update usage_events set event_name = 'unheard_of' where event_category = 'feature';
-- Events are written within a day, by clocks that agree within a minute
update usage_events set created_at = occurred_at + interval '25 hours'
    where occurred_at > '2026-03-19';
-- Nearly every call is timed
update api_usage set response_time_ms = null where occurred_at > '2026-03-19';
-- Nineteen calls in twenty are answered within three seconds
update api_usage set response_time_ms = 3001 where occurred_at > '2026-03-19';
-- Nearly every call is made for a license
update api_usage set license_id = null where occurred_at > '2026-03-19';
-- Nearly every payment is for a subscription
update payment_transactions set subscription_id = null where created_at > '2026-01-01';
