-- What `python -m bootstrap erase-user` does, one statement a block; the line above a
-- block names the table. erase.py replaces this_schema by the schema, and puts the id
-- into given: no statement holds a personal value, as servers log statements. A second
-- run finds nothing to do.
--
-- What a person did loses the user, and the licence and the team where these are the
-- person's own, as they lead to payments that must stay. A time that it shares with a
-- change of the account becomes another one of the same quarter of an hour: its day
-- stays, in every zone.
--
-- What they did is one transaction, and who they were another one.
--
-- erase.py replaces other_moment(column) and end_of_quarter(column), too: a function of
-- ours would have to stay in the session or in the schema.

-- === person: the rows that are their own, each found by those before

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

-- === activity: what the person did

-- usage_events: also what was done in the person's sessions before they were known
update this_schema.usage_events
set
    user_id = null,
    occurred_at = other_moment(occurred_at),
    created_at = end_of_quarter(created_at),
    license_id = case
        when license_id <> all(array(select own_licenses.id from own_licenses))
            then license_id
    end,
    team_id = case
        when team_id <> all(array(select own_teams.id from own_teams)) then team_id
    end,
    event_data = case
        when jsonb_typeof(event_data -> 'duration_seconds') = 'number'
            then
                jsonb_build_object('duration_seconds', event_data -> 'duration_seconds')
        else '{}'
    end,
    -- Still one session, but under a name that nothing else knows.
    session_id = md5((select given.salt from given) || session_id),
    ip_address = null,
    user_agent = null,
    client_version = null,
    metadata = '{}'
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and license_id = any(array(select own_licenses.id from own_licenses))
    )
    or (
        user_id is null
        and team_id = any(array(select own_teams.id from own_teams))
    )
    or (
        user_id is null
        -- Not as an index has it: one would be searched for each session by itself.
        and session_id || '' in (select own_sessions.session_id from own_sessions)
        -- As an index has it, with the user.
        and (occurred_at at time zone 'UTC')::date
        >= (select own_days.first_day from own_days)
        and (occurred_at at time zone 'UTC')::date
        < (select own_days.last_day from own_days)
    );

-- api_usage: what was asked for, and how it was answered, stays
update this_schema.api_usage
set
    user_id = null,
    occurred_at = other_moment(occurred_at),
    created_at = end_of_quarter(created_at),
    license_id = case
        when license_id <> all(array(select own_licenses.id from own_licenses))
            then license_id
    end,
    api_key_id = null,
    ip_address = null,
    user_agent = null,
    error_message = null,
    metadata = '{}'
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and license_id = any(array(select own_licenses.id from own_licenses))
    );

-- error_logs: the kind of error and where it was met stay
update this_schema.error_logs
set
    user_id = null,
    occurred_at = other_moment(occurred_at),
    created_at = end_of_quarter(created_at),
    license_id = case
        when license_id <> all(array(select own_licenses.id from own_licenses))
            then license_id
    end,
    error_message = 'erased',
    error_stack = null,
    ip_address = null,
    user_agent = null,
    metadata = '{}'
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and license_id = any(array(select own_licenses.id from own_licenses))
    );

-- audit_logs: what the person did
update this_schema.audit_logs
set
    user_id = null,
    occurred_at = other_moment(occurred_at),
    created_at = end_of_quarter(created_at),
    team_id = case
        when team_id <> all(array(select own_teams.id from own_teams)) then team_id
    end,
    resource_id = null,
    changes = '{}',
    ip_address = null,
    user_agent = null,
    failure_reason = null,
    metadata = '{}'
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and team_id = any(array(select own_teams.id from own_teams))
    );

-- feature_usage: the events say it, too
delete from this_schema.feature_usage
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and license_id = any(array(select own_licenses.id from own_licenses))
    );

-- usage_aggregates_daily: aggregate_stale_usage() makes the days again
delete from this_schema.usage_aggregates_daily
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and license_id = any(array(select own_licenses.id from own_licenses))
    )
    or (
        user_id is null
        and team_id = any(array(select own_teams.id from own_teams))
    );

-- usage_aggregates_monthly: and the months
delete from this_schema.usage_aggregates_monthly
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and license_id = any(array(select own_licenses.id from own_licenses))
    )
    or (
        user_id is null
        and team_id = any(array(select own_teams.id from own_teams))
    );

-- affiliate_clicks: those that brought the person
update this_schema.affiliate_clicks
set
    referral_id = null,
    clicked_at = other_moment(clicked_at),
    ip_address = null,
    user_agent = null,
    referrer_url = null,
    landing_page = null,
    utm_source = null,
    utm_medium = null,
    utm_content = null,
    utm_term = null,
    metadata = '{}'
where referral_id = any(array(select own_referrals.id from own_referrals));

-- === account: who the person was

-- audit_logs: what was done to the person, or to what is theirs; by whom stays
update this_schema.audit_logs
set
    resource_id = case
        when resource_id <> (select own_user.email from own_user) then resource_id
    end,
    changes = '{}',
    ip_address = case when user_id is not null then ip_address end,
    user_agent = case when user_id is not null then user_agent end,
    failure_reason = null,
    metadata = '{}'
where resource_id = any(array(select own_things.name from own_things))
    and (
        resource_id = (select own_user.email from own_user)
        or (changes, failure_reason, metadata)
        is distinct from ('{}'::jsonb, null::text, '{}'::jsonb)
        or (user_id is null and (ip_address is not null or user_agent is not null))
    );

-- licenses: each that the person is a member of has a seat free again
update this_schema.licenses
set seats_used = seats_used - 1
where seats_used > 0
    and id in (
        select teams.license_id
        from this_schema.team_members
        inner join this_schema.teams on team_members.team_id = teams.id
        where team_members.user_id = (select given.user_id from given)
    );

-- team_members: somebody else has to take over what they were for
delete from this_schema.team_members
where user_id = (select given.user_id from given);

-- teams: those that the person named
update this_schema.teams
set name = 'Erased', slug = 'erased-' || id, metadata = '{}'
where owner_id = (select given.user_id from given)
    and (name, slug, metadata)
    is distinct from ('Erased', 'erased-' || id, '{}'::jsonb);

-- licenses: terms stay, for subscriptions hang on them
update this_schema.licenses
set license_key = 'erased-' || id, metadata = '{}'
where id = any(array(select own_licenses.id from own_licenses))
    and (license_key, metadata) is distinct from ('erased-' || id, '{}'::jsonb);

-- subscriptions: where only updated_at says when it ended, canceled_at keeps that time
update this_schema.subscriptions
set
    canceled_at = case
        when status = 'canceled'
            and num_nonnulls(canceled_at, current_period_end) = 0
            and not exists (
                select from this_schema.payment_transactions as payments
                where payments.subscription_id = subscriptions.id
                    and payments.status in ('succeeded', 'refunded')
                    and payments.amount_cents > 0
            )
            then updated_at
        else canceled_at
    end,
    stripe_customer_id = null,
    metadata = '{}'
where id = any(array(select own_subscriptions.id from own_subscriptions))
    and (stripe_customer_id, metadata)
    is distinct from (null::text, '{}'::jsonb);

-- payment_transactions: amounts, states, times and the numbers of vouchers stay
update this_schema.payment_transactions
set failure_reason = null, metadata = '{}'
where subscription_id = any(array(select own_subscriptions.id from own_subscriptions))
    and (failure_reason, metadata)
    is distinct from (null::text, '{}'::jsonb);

-- affiliates: the account stays, for commissions and payouts hang on it
update this_schema.affiliates
set
    affiliate_code = 'erased-' || id,
    payment_details = '{}',
    metadata = '{}'
where id = any(array(select own_affiliates.id from own_affiliates))
    and (affiliate_code, payment_details, metadata)
    is distinct from ('erased-' || id, '{}'::jsonb, '{}'::jsonb);

-- affiliate_payouts: as payments do
update this_schema.affiliate_payouts
set failed_reason = null, metadata = '{}'
where affiliate_id = any(array(select own_affiliates.id from own_affiliates))
    and (failed_reason, metadata)
    is distinct from (null::text, '{}'::jsonb);

-- affiliate_commissions: as payments do, also those for bringing the person
update this_schema.affiliate_commissions
set notes = null, metadata = '{}'
where (
        affiliate_id = any(array(select own_affiliates.id from own_affiliates))
        or referral_id = any(array(select own_referrals.id from own_referrals))
    )
    and (notes, metadata) is distinct from (null::text, '{}'::jsonb);

-- affiliate_referrals: whom an affiliate brought, when and by which campaign stay
update this_schema.affiliate_referrals
set
    referral_source = null,
    ip_address = null,
    user_agent = null,
    utm_source = null,
    utm_medium = null,
    utm_content = null,
    utm_term = null,
    metadata = '{}'
where (
        affiliate_id = any(array(select own_affiliates.id from own_affiliates))
        or id = any(array(select own_referrals.id from own_referrals))
    )
    and (
        coalesce(
            referral_source, ip_address::text, user_agent,
            utm_source, utm_medium, utm_content, utm_term
        ) is not null
        or metadata <> '{}'
    );

-- affiliate_clicks: their campaign and time stay; pages may name the affiliate
update this_schema.affiliate_clicks
set
    ip_address = null,
    user_agent = null,
    referrer_url = null,
    landing_page = null,
    utm_source = null,
    utm_medium = null,
    utm_content = null,
    utm_term = null,
    metadata = '{}'
where affiliate_id = any(array(select own_affiliates.id from own_affiliates))
    and (
        coalesce(
            ip_address::text, user_agent, referrer_url, landing_page,
            utm_source, utm_medium, utm_content, utm_term
        ) is not null
        or metadata <> '{}'
    );

-- users: the row stays, as licenses and money depend on it; the day of sign-up stays
update this_schema.users
set
    email = 'erased-' || id || '@erased.invalid',
    -- No password has this hash.
    password_hash = '!',
    full_name = null,
    role = 'user',
    is_active = false,
    email_verified = false,
    email_verified_at = null,
    last_login_at = null,
    created_at = case
        when created_at >= '1900-01-01' and created_at < '9999-01-01'
            then date_bin('15 minutes', created_at, '2000-01-01 00:00:00+00')
        else created_at
    end,
    metadata = '{}'
where id = (select given.user_id from given)
    and (
        (email, password_hash, role, is_active, email_verified, metadata)
        is distinct from (
            'erased-' || id || '@erased.invalid', '!', 'user', false, false,
            '{}'::jsonb
        )
        or full_name is not null
        or email_verified_at is not null
        or last_login_at is not null
    );
