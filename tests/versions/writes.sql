-- Writes between two runs. They are the same on every server, so a hash of the id
-- selects rows. New rows come last, because their ids differ.

update usage_events set
    occurred_at = occurred_at - interval '40 days',
    event_data = '{"duration_seconds": 7.25}'
where id in (
    select id from usage_events
    order by md5(cast(id as text))
    limit 50
);

update usage_events set
    user_id = (select id from users order by md5(cast(id as text)) limit 1)
where id in (
    select id from usage_events
    order by md5(cast(id as text)) desc
    limit 50
);

delete from usage_events
where id in (
    select id from usage_events
    order by md5(session_id || id)
    limit 50
);

update error_logs set
    severity = 'critical',
    occurred_at = occurred_at - interval '3 days'
where id in (
    select id from error_logs
    order by md5(cast(id as text))
    limit 20
);

delete from api_usage
where id in (
    select id from api_usage
    order by md5(cast(id as text))
    limit 50
);

update licenses set plan_type = 'enterprise'
where id in (
    select id from licenses
    where plan_type <> 'enterprise'
    order by md5(cast(id as text))
    limit 3
);

update subscriptions set amount_cents = amount_cents + 100
where id in (
    select id from subscriptions
    where status = 'active'
    order by md5(cast(id as text))
    limit 3
);

update payment_transactions set
    status = 'refunded',
    refunded_amount_cents = amount_cents
where id in (
    select id from payment_transactions
    where status = 'succeeded'
    order by md5(cast(id as text))
    limit 3
);

update affiliate_commissions set status = 'cancelled'
where id in (
    select id from affiliate_commissions
    where status in ('pending', 'approved')
    order by md5(cast(id as text))
    limit 3
);

delete from team_members
where id in (
    select id from team_members
    order by md5(cast(id as text))
    limit 2
);

-- Erased users: their licenses are deleted, and their events lose the user.
delete from users
where id in (
    select id from users
    where not exists (select from teams where teams.owner_id = users.id)
    order by md5(cast(id as text)) desc
    limit 3
);

-- Years late, and without a user.
insert into usage_events (
    event_type, event_category, event_name, session_id, occurred_at
)
select
    event_type,
    'feature',
    event_name,
    session_id,
    occurred_at - interval '3 years'
from usage_events
order by md5(cast(id as text))
limit 50;

insert into affiliate_clicks (affiliate_id, utm_campaign, clicked_at, converted)
select
    affiliate_id,
    utm_campaign,
    clicked_at - interval '2 days',
    true
from affiliate_clicks
order by md5(cast(id as text))
limit 20;
