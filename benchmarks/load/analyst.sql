-- An analyst looks at figures, thinks, and looks at others.
\set days random(1, 30)
select event_type, sum(event_count), count(distinct user_id)
from analytics.fct_usage_daily
where usage_date > current_date - :days::integer
group by event_type;
select * from analytics.fct_active_users_daily
where activity_date > current_date - :days::integer
order by activity_date;
select currency, sum(net_cents) from analytics.fct_revenue_monthly group by currency;
select affiliate_id, sum(earned_cents) as earned
from analytics.fct_affiliate_earnings_monthly
group by affiliate_id
order by earned desc
limit 20;
\sleep 200 ms
