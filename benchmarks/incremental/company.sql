-- A generated company with a constant rate of events. Equal arguments give equal rows.
--
-- The clock starts with event 0; every 13,700 events make a day, so 5 million are a year
-- and 20 million four years of the same company. Its users, with a long tail, share two
-- licenses in five, of which three in five have a team; a session has about 10 events
-- within two hours. An event may come late, by up to 30 days. The other event tables
-- have a row for every 5 usage events, the ledger's tables one for every 25.

create schema made_up;

create table made_up.clock (
    starts_at timestamptz not null,
    users integer not null
);

-- From 0 to below 1.
create function made_up.draw(number bigint, seed bigint) returns double precision
language sql immutable parallel safe
return (
    hashint8extended(number, seed) & 4503599627370495
)::double precision / 4503599627370496;

create function made_up.arrivals(
    from_event bigint, to_event bigint, late_share double precision, events_a_row bigint
)
returns table (
    number bigint,
    session_number bigint,
    user_number integer,
    license_number integer,
    occurred_at timestamptz
)
language sql stable
begin atomic
    with
    sessions as materialized (
        select
            number,
            number / 1280 * 128 + (hashint8extended(number, 1) & 127) as session_number
        from generate_series(
            from_event / events_a_row, to_event / events_a_row - 1
        ) as number
    ),

    people as materialized (
        select
            number,
            session_number,
            floor(
                clock.users * power(made_up.draw(session_number, 2), 2)
            )::integer as user_number
        from sessions
        cross join made_up.clock
    )

    select
        people.number,
        people.session_number,
        people.user_number,
        people.user_number * 2 / 5,
        clock.starts_at
        + interval '1 day' * (people.number * events_a_row / 13700.0)
        - case
            when made_up.draw(people.number, 3) < late_share
                then interval '30 days' * made_up.draw(people.number, 4)
            else interval '0'
        end
    from people
    cross join made_up.clock;
end;

create procedure made_up.add_accounts()
language sql
begin atomic
    insert into users (id, email, password_hash, created_at)
    select
        md5('user' || number)::uuid,
        'user' || number || '@example.com',
        '-',
        clock.starts_at
    from made_up.clock
    cross join generate_series(0, clock.users - 1) as number;

    insert into licenses (id, user_id, license_key, plan_type, seats_total, started_at)
    select
        md5('license' || number)::uuid,
        md5('user' || number * 5 / 2)::uuid,
        'license ' || number,
        (array['free', 'starter', 'pro', 'enterprise'])[1 + number % 4],
        5,
        clock.starts_at
    from made_up.clock
    cross join generate_series(0, clock.users * 2 / 5 - 1) as number;

    insert into teams (id, license_id, name, slug, owner_id)
    select
        md5('team' || number)::uuid,
        md5('license' || number)::uuid,
        'Team ' || number,
        'team-' || number,
        md5('user' || number * 5 / 2)::uuid
    from made_up.clock
    cross join generate_series(0, clock.users * 2 / 5 - 1) as number
    where number % 5 < 3;

    insert into subscriptions (
        id, license_id, status, plan_type, billing_cycle, amount_cents, created_at
    )
    select
        md5('subscription' || number)::uuid,
        md5('license' || number)::uuid,
        'active',
        (array['starter', 'pro', 'enterprise'])[number % 4],
        'monthly',
        1900 * (number % 4),
        clock.starts_at
    from made_up.clock
    cross join generate_series(0, clock.users * 2 / 5 - 1) as number
    where number % 4 > 0;

    insert into affiliates (id, user_id, affiliate_code, status)
    select
        md5('affiliate' || number)::uuid, md5('user' || number)::uuid, number, 'active'
    from generate_series(0, 199) as number;

    insert into affiliate_referrals (
        id, affiliate_id, referred_user_id, status, created_at, qualified_at
    )
    select
        md5('referral' || number)::uuid,
        md5('affiliate' || number % 200)::uuid,
        md5('user' || number)::uuid,
        'qualified',
        clock.starts_at + interval '1 hour' * number,
        clock.starts_at + interval '1 hour' * number
    from made_up.clock
    cross join generate_series(200, clock.users - 1) as number;
end;

create procedure made_up.add_usage_events(
    from_event bigint, to_event bigint, late_share double precision
)
language sql
begin atomic
    insert into usage_events (
        user_id, license_id, team_id, event_type, event_category, event_name,
        event_data, session_id, ip_address, user_agent, client_version, occurred_at,
        created_at
    )
    select
        case when has_user then md5('user' || user_number)::uuid end,
        case when has_license then md5('license' || license_number)::uuid end,
        case
            when has_license and license_number % 5 < 3
                then md5('team' || license_number)::uuid
        end,
        'event_type_' || type_number,
        (array['feature', 'api', 'feature', 'license', 'auth', 'team', 'system'])
        [1 + type_number % 7],
        'Event of type ' || type_number,
        case
            when made_up.draw(number, 8) < 0.5
                then jsonb_build_object(
                    'duration_seconds',
                    round((600 * made_up.draw(number, 9))::numeric, 1)
                )
            else '{}'
        end,
        md5('session' || session_number)::uuid,
        ('10.1.' || session_number / 250 % 250 || '.' || session_number % 250)::inet,
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/128.0.0.0',
        '3.' || user_number % 9 || '.0',
        occurred_at,
        occurred_at
    from (
        select
            *,
            floor(12 * power(made_up.draw(number, 6), 3))::integer as type_number,
            made_up.draw(session_number, 7) > 0.02 as has_user,
            made_up.draw(session_number, 7) > 0.03 as has_license
        from made_up.arrivals(from_event, to_event, late_share, 1)
    );
end;

create procedure made_up.add_other_events(
    from_event bigint, to_event bigint, late_share double precision
)
language sql
begin atomic
    insert into api_usage (
        user_id, license_id, endpoint, method, status_code, response_time_ms,
        occurred_at
    )
    select
        md5('user' || user_number)::uuid,
        md5('license' || license_number)::uuid,
        '/v1/resource_' || floor(40 * power(made_up.draw(number, 5), 2))::integer,
        (array['GET', 'POST', 'PUT', 'DELETE'])
        [1 + floor(4 * made_up.draw(number, 6))::integer],
        case
            when made_up.draw(number, 7) < 0.005 then 500
            when made_up.draw(number, 7) < 0.03 then 404
            else 200
        end,
        (20 / (0.01 + made_up.draw(number, 8)))::integer,
        occurred_at
    from made_up.arrivals(from_event, to_event, late_share, 5);

    insert into error_logs (
        user_id, license_id, error_type, error_message, severity, source, occurred_at
    )
    select
        case
            when made_up.draw(number, 5) > 0.3 then md5('user' || user_number)::uuid
        end,
        case
            when made_up.draw(number, 5) > 0.3
                then md5('license' || license_number)::uuid
        end,
        'Error' || floor(50 * power(made_up.draw(number, 6), 3))::integer,
        'Something went wrong',
        (array['warning', 'error'])[1 + floor(1.3 * made_up.draw(number, 8))::integer],
        'service_' || floor(12 * power(made_up.draw(number, 9), 2))::integer,
        occurred_at
    from made_up.arrivals(from_event, to_event, late_share, 5);

    insert into audit_logs (
        user_id, action, resource_type, resource_id, status, occurred_at
    )
    select
        md5('user' || user_number)::uuid,
        'action_' || floor(25 * power(made_up.draw(number, 5), 2))::integer,
        'resource_type_' || floor(8 * power(made_up.draw(number, 6), 2))::integer,
        md5('resource' || user_number)::uuid,
        case when made_up.draw(number, 8) < 0.03 then 'failure' else 'success' end,
        occurred_at
    from made_up.arrivals(from_event, to_event, late_share, 5);
end;

create procedure made_up.add_ledger(
    from_event bigint, to_event bigint, late_share double precision
)
language sql
begin atomic
    insert into payment_transactions (
        id, subscription_id, amount_cents, status, processed_at, created_at
    )
    select
        md5('payment' || number)::uuid,
        md5('subscription' || license_number)::uuid,
        1900 * (license_number % 4),
        case when made_up.draw(number, 5) < 0.03 then 'failed' else 'succeeded' end,
        occurred_at,
        occurred_at
    from made_up.arrivals(from_event, to_event, late_share, 25)
    where license_number % 4 > 0;

    insert into affiliate_commissions (
        id, affiliate_id, referral_id, commission_type, amount_cents, commission_rate,
        status, created_at
    )
    select
        md5('commission' || number)::uuid,
        md5('affiliate' || user_number % 200)::uuid,
        md5('referral' || user_number)::uuid,
        'recurring',
        380 * (1 + license_number % 4),
        20,
        (array['paid', 'approved', 'pending'])[1 + number % 3],
        occurred_at
    from made_up.arrivals(from_event, to_event, late_share, 25)
    where user_number >= 200;

    insert into affiliate_payouts (
        id, affiliate_id, amount_cents, payment_method, status, created_at
    )
    select
        md5('payout' || number)::uuid,
        md5('affiliate' || user_number % 200)::uuid,
        10000,
        'paypal',
        'completed',
        occurred_at
    from made_up.arrivals(from_event, to_event, late_share, 25)
    where number % 100 = 0;

    insert into affiliate_clicks (id, affiliate_id, utm_campaign, converted, clicked_at)
    select
        md5('click' || number)::uuid,
        md5('affiliate' || user_number % 200)::uuid,
        'campaign ' || number % 7,
        number % 20 = 0,
        occurred_at
    from made_up.arrivals(from_event, to_event, late_share, 25);
end;
