-- The person's own rows. Each statement uses the tables of the previous ones.
--
-- Each block is one statement; the line above it names the table. bootstrap/erase
-- replaces this_schema by the schema, and puts the id into the table given. No
-- statement holds a personal value, because servers log statements.

-- own_user: the person's row; this statement and the next ones lock their rows
insert into own_user (id, email)
select
id,
email
from this_schema.users
where id = (select given.user_id from given)
for update;

-- own_licenses: the person's licenses
insert into own_licenses (id)
select id from this_schema.licenses
where user_id = (select given.user_id from given)
order by id
for update;

-- own_teams: teams that the person owns, or of their licenses
insert into own_teams (id)
select id from this_schema.teams
where owner_id = (select given.user_id from given)
    or license_id = any(array(select own_licenses.id from own_licenses))
order by id
for update;

-- own_subscriptions: subscriptions of their licenses
insert into own_subscriptions (id)
select id from this_schema.subscriptions
where license_id = any(array(select own_licenses.id from own_licenses))
order by id
for update;

-- own_affiliates: the person's affiliate account
insert into own_affiliates (id)
select id from this_schema.affiliates
where user_id = (select given.user_id from given)
order by id
for update;

-- own_referrals: referrals of the person
insert into own_referrals (id)
select id from this_schema.affiliate_referrals
where referred_user_id = (select given.user_id from given)
order by id
for update;

-- own_things: ids by which audited actions name their rows
insert into own_things (name)
select id::text from own_user
union
select own_user.email from own_user
union
select id::text from own_licenses
union
select id::text from own_teams
union
select id::text from own_subscriptions
union
select id::text from this_schema.payment_transactions
where subscription_id = any(array(select own_subscriptions.id from own_subscriptions))
union
select id::text from own_affiliates
union
select id::text from own_referrals;

-- own_times: times of their rows, which would find activity of the same moment
insert into own_times (moment)
select unnest(array[created_at, updated_at, email_verified_at, last_login_at])
from this_schema.users
where id = (select given.user_id from given)
union
select unnest(array[
    created_at, updated_at, started_at, trial_ends_at, expires_at, cancelled_at
])
from this_schema.licenses
where id = any(array(select own_licenses.id from own_licenses))
union
select unnest(array[created_at, updated_at])
from this_schema.teams
where id = any(array(select own_teams.id from own_teams))
union
select unnest(array[
    created_at, updated_at, current_period_start, current_period_end, canceled_at,
    trial_start, trial_end
])
from this_schema.subscriptions
where id = any(array(select own_subscriptions.id from own_subscriptions))
union
select unnest(array[created_at, updated_at, processed_at])
from this_schema.payment_transactions
where subscription_id
    = any(array(select own_subscriptions.id from own_subscriptions))
union
select unnest(array[created_at, updated_at, approved_at, suspended_at])
from this_schema.affiliates
where id = any(array(select own_affiliates.id from own_affiliates))
union
select unnest(array[created_at, updated_at, qualified_at, converted_at])
from this_schema.affiliate_referrals
where id = any(array(select own_referrals.id from own_referrals))
union
select unnest(array[created_at, updated_at, processed_at, completed_at])
from this_schema.affiliate_payouts
where affiliate_id = any(array(select own_affiliates.id from own_affiliates));

-- own_sessions: sessions with their activity
insert into own_sessions (session_id)
select distinct session_id from this_schema.usage_events
where user_id = (select given.user_id from given) and session_id is not null;

-- own_days: days of these sessions
insert into own_days (first_day, last_day)
select
    (min(occurred_at) at time zone 'UTC')::date - 1,
    (max(occurred_at) at time zone 'UTC')::date + 2
from this_schema.usage_events
where user_id = (select given.user_id from given) and session_id is not null;
