-- The person's activity, in a separate transaction. A second run changes nothing.
--
-- Each row loses the user. It also loses the person's own license and team, because
-- they lead to payments, which must stay. A time that equals one of the account becomes
-- another one of the same quarter of an hour, which keeps the day in every time zone.
--
-- bootstrap/erase also replaces other_moment(column) and end_of_quarter(column) by
-- expressions, because functions would remain in the session or in the schema.

-- usage_events: also events of the person's sessions from before the login
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
    -- Still one session, but with an id that occurs nowhere else.
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
        -- Not an index's expression: PostgreSQL would search it once for each session.
        and session_id || '' in (select own_sessions.session_id from own_sessions)
        -- The expression of an index, with the user.
        and (occurred_at at time zone 'UTC')::date
        >= (select own_days.first_day from own_days)
        and (occurred_at at time zone 'UTC')::date
        < (select own_days.last_day from own_days)
    );

-- api_usage: request and response stay
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

-- error_logs: the kind and the place of the error stay
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

-- audit_logs: the person's actions
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

-- feature_usage: the events have the same data
delete from this_schema.feature_usage
where user_id = (select given.user_id from given)
    or (
        user_id is null
        and license_id = any(array(select own_licenses.id from own_licenses))
    );

-- usage_aggregates_daily: aggregate_stale_usage() recreates the days
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

-- usage_aggregates_monthly: it recreates the months, too
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

-- affiliate_clicks: the clicks that led to the person's sign-up
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
