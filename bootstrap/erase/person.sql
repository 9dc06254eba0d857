-- Who the person is: the rows that are their own, each found by those before.
--
-- One statement a block. The line above a block names the table. bootstrap/erase
-- replaces this_schema by the schema, and puts the id into given: no statement holds a
-- personal value, as servers log statements.

-- own_user: locked on the way, as all that is the person's own
insert into own_user (id, email)
select
id,
email
from this_schema.users
where id = (select given.user_id from given)
for update;

-- own_licenses: theirs
insert into own_licenses (id)
select id from this_schema.licenses
where user_id = (select given.user_id from given)
order by id
for update;

-- own_teams: that they own, and that work on their licences
insert into own_teams (id)
select id from this_schema.teams
where owner_id = (select given.user_id from given)
    or license_id = any(array(select own_licenses.id from own_licenses))
order by id
for update;

-- own_subscriptions: by which their licences are paid
insert into own_subscriptions (id)
select id from this_schema.subscriptions
where license_id = any(array(select own_licenses.id from own_licenses))
order by id
for update;

-- own_affiliates: that they are
insert into own_affiliates (id)
select id from this_schema.affiliates
where user_id = (select given.user_id from given)
order by id
for update;

-- own_referrals: by which they came
insert into own_referrals (id)
select id from this_schema.affiliate_referrals
where referred_user_id = (select given.user_id from given)
order by id
for update;

-- own_things: how audited actions name what is theirs
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

-- own_times: of what is theirs, which would find what they did in the same moment
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

-- own_sessions: in which they did something
insert into own_sessions (session_id)
select distinct session_id from this_schema.usage_events
where user_id = (select given.user_id from given) and session_id is not null;

-- own_days: around them
insert into own_days (first_day, last_day)
select
    (min(occurred_at) at time zone 'UTC')::date - 1,
    (max(occurred_at) at time zone 'UTC')::date + 2
from this_schema.usage_events
where user_id = (select given.user_id from given) and session_id is not null;
