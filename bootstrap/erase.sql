-- What `python -m bootstrap erase-user` does to each table, one statement a block; the
-- line above a block names its table. erase.py gives the ids of the person's own rows,
-- which it has locked. A second run finds nothing to do.
--
-- What a person did becomes nobody's: it loses the user, and the licence and the team
-- where these are the person's own, for they lead to payments that must stay.

-- usage_events: also what was done in the person's sessions before they were known
update usage_events
set
    user_id = null,
    license_id = case
        when license_id <> all(%(licenses)s::uuid[]) then license_id
    end,
    team_id = case when team_id <> all(%(teams)s::uuid[]) then team_id end,
    event_data = case
        when jsonb_typeof(event_data -> 'duration_seconds') = 'number'
            then
                jsonb_build_object('duration_seconds', event_data -> 'duration_seconds')
        else '{}'
    end,
    -- Still one session, but under a name that nothing else knows.
    session_id = md5(%(salt)s || session_id),
    ip_address = null,
    user_agent = null,
    client_version = null,
    metadata = '{}'
where user_id = %(user)s::uuid
    or (user_id is null and license_id = any(%(licenses)s::uuid[]))
    or (user_id is null and team_id = any(%(teams)s::uuid[]))
    or (
        user_id is null
        -- Not as an index has it: one would be searched for each session by itself.
        and session_id || '' = any(%(sessions)s::text[])
        -- As an index has it, with the user.
        and cast(occurred_at at time zone 'UTC' as date) >= %(sessions_from)s::date
        and cast(occurred_at at time zone 'UTC' as date) < %(sessions_to)s::date
    );

-- api_usage: what was asked for, and how it was answered, stays
update api_usage
set
    user_id = null,
    license_id = case
        when license_id <> all(%(licenses)s::uuid[]) then license_id
    end,
    api_key_id = null,
    ip_address = null,
    user_agent = null,
    error_message = null,
    metadata = '{}'
where user_id = %(user)s::uuid
    or (user_id is null and license_id = any(%(licenses)s::uuid[]));

-- error_logs: the kind of error and where it was met stay
update error_logs
set
    user_id = null,
    license_id = case
        when license_id <> all(%(licenses)s::uuid[]) then license_id
    end,
    error_message = 'erased',
    error_stack = null,
    ip_address = null,
    user_agent = null,
    metadata = '{}'
where user_id = %(user)s::uuid
    or (user_id is null and license_id = any(%(licenses)s::uuid[]));

-- audit_logs: what the person did
update audit_logs
set
    user_id = null,
    team_id = case when team_id <> all(%(teams)s::uuid[]) then team_id end,
    resource_id = null,
    changes = '{}',
    ip_address = null,
    user_agent = null,
    failure_reason = null,
    metadata = '{}'
where user_id = %(user)s::uuid
    or (user_id is null and team_id = any(%(teams)s::uuid[]));

-- audit_logs: what was done to the person, or to what is theirs; by whom stays
update audit_logs
set
    resource_id = case when resource_id <> %(email)s then resource_id end,
    changes = '{}',
    ip_address = case when user_id is not null then ip_address end,
    user_agent = case when user_id is not null then user_agent end,
    failure_reason = null,
    metadata = '{}'
where resource_id = any(%(things)s::text[])
    and (
        resource_id = %(email)s
        or (changes, failure_reason, metadata)
        is distinct from (cast('{}' as jsonb), cast(null as text), cast('{}' as jsonb))
        or (user_id is null and (ip_address is not null or user_agent is not null))
    );

-- feature_usage: the events tell it, too
delete from feature_usage
where user_id = %(user)s::uuid
    or (user_id is null and license_id = any(%(licenses)s::uuid[]));

-- usage_aggregates_daily: aggregate_stale_usage() makes the days anew
delete from usage_aggregates_daily
where user_id = %(user)s::uuid
    or (user_id is null and license_id = any(%(licenses)s::uuid[]))
    or (user_id is null and team_id = any(%(teams)s::uuid[]));

-- usage_aggregates_monthly: and the months
delete from usage_aggregates_monthly
where user_id = %(user)s::uuid
    or (user_id is null and license_id = any(%(licenses)s::uuid[]))
    or (user_id is null and team_id = any(%(teams)s::uuid[]));

-- licenses: each that the person is a member of has a seat free again
update licenses
set seats_used = seats_used - 1
where seats_used > 0
    and id in (
        select teams.license_id
        from team_members
        inner join teams on team_members.team_id = teams.id
        where team_members.user_id = %(user)s::uuid
    );

-- team_members: somebody else has to take over what they were for
delete from team_members
where user_id = %(user)s::uuid;

-- teams: those that the person named
update teams
set name = 'Erased', slug = 'erased-' || id, metadata = '{}'
where owner_id = %(user)s::uuid
    and (name, slug, metadata)
    is distinct from ('Erased', 'erased-' || id, cast('{}' as jsonb));

-- licenses: terms stay, for subscriptions hang on them
update licenses
set license_key = 'erased-' || id, metadata = '{}'
where id = any(%(licenses)s::uuid[])
    and (license_key, metadata) is distinct from ('erased-' || id, cast('{}' as jsonb));

-- subscriptions: where the last change stands for the end, it is written down first
update subscriptions
set
    canceled_at = case
        when canceled_at is null
            and (
                (status = 'canceled' and current_period_end is null)
                or (status = 'unpaid' and current_period_start is null)
            )
            then updated_at
        else canceled_at
    end,
    stripe_customer_id = null,
    metadata = '{}'
where id = any(%(subscriptions)s::uuid[])
    and (stripe_customer_id, metadata)
    is distinct from (cast(null as text), cast('{}' as jsonb));

-- payment_transactions: amounts, states, times and the numbers of vouchers stay
update payment_transactions
set failure_reason = null, metadata = '{}'
where subscription_id = any(%(subscriptions)s::uuid[])
    and (failure_reason, metadata)
    is distinct from (cast(null as text), cast('{}' as jsonb));

-- affiliates: the account stays, for commissions and payouts hang on it
update affiliates
set
    affiliate_code = 'erased-' || id,
    payment_details = '{}',
    metadata = '{}'
where id = any(%(affiliates)s::uuid[])
    and (affiliate_code, payment_details, metadata)
    is distinct from ('erased-' || id, cast('{}' as jsonb), cast('{}' as jsonb));

-- affiliate_payouts: as payments do
update affiliate_payouts
set failed_reason = null, metadata = '{}'
where affiliate_id = any(%(affiliates)s::uuid[])
    and (failed_reason, metadata)
    is distinct from (cast(null as text), cast('{}' as jsonb));

-- affiliate_commissions: as payments do, also those for bringing the person
update affiliate_commissions
set notes = null, metadata = '{}'
where (
        affiliate_id = any(%(affiliates)s::uuid[])
        or referral_id = any(%(referrals)s::uuid[])
    )
    and (notes, metadata) is distinct from (cast(null as text), cast('{}' as jsonb));

-- affiliate_referrals: whom an affiliate brought, when and by which campaign stay
update affiliate_referrals
set
    referral_source = null,
    ip_address = null,
    user_agent = null,
    utm_source = null,
    utm_medium = null,
    utm_content = null,
    utm_term = null,
    metadata = '{}'
where (affiliate_id = any(%(affiliates)s::uuid[]) or id = any(%(referrals)s::uuid[]))
    and (
        coalesce(
            referral_source, cast(ip_address as text), user_agent,
            utm_source, utm_medium, utm_content, utm_term
        ) is not null
        or metadata <> '{}'
    );

-- affiliate_clicks: their campaign and time stay; pages may name the affiliate
update affiliate_clicks
set
    referral_id = case
        when referral_id <> all(%(referrals)s::uuid[]) then referral_id
    end,
    ip_address = null,
    user_agent = null,
    referrer_url = null,
    landing_page = null,
    utm_source = null,
    utm_medium = null,
    utm_content = null,
    utm_term = null,
    metadata = '{}'
where (
        affiliate_id = any(%(affiliates)s::uuid[])
        or referral_id = any(%(referrals)s::uuid[])
    )
    and (
        coalesce(
            cast(ip_address as text), user_agent, referrer_url, landing_page,
            utm_source, utm_medium, utm_content, utm_term
        ) is not null
        or metadata <> '{}'
        or referral_id = any(%(referrals)s::uuid[])
    );

-- users: the row stays, for licences and money hang on it, and says nothing
update users
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
    metadata = '{}'
where id = %(user)s::uuid
    and (
        (email, password_hash, role, is_active, email_verified, metadata)
        is distinct from (
            'erased-' || id || '@erased.invalid', '!', 'user', false, false,
            cast('{}' as jsonb)
        )
        or full_name is not null
        or email_verified_at is not null
        or last_login_at is not null
    );
