-- Made-up events, always the same for the same arguments, in the order in which they
-- arrive. Each function returns the rows from_row to to_row - 1 of total_rows that span
-- the year up to `until`; 1% of them come late, by up to 30 days.
--
-- 20,000 users with a long tail (the busiest 1% do a fifth of it) share 8,000 licenses,
-- of which three in five have a team. 200 sessions of 2 to 41 events run at any time.

-- From 0 to below 1.
create function draw(number bigint, seed bigint) returns double precision
language sql immutable parallel safe
return (
    hashint8extended(number, seed) & 4503599627370495
)::double precision / 4503599627370496;

create function arrivals(
    from_row bigint, to_row bigint, total_rows bigint, until timestamptz
)
returns table (
    number bigint,
    session_number bigint,
    user_number integer,
    license_number integer,
    occurred_at timestamptz
)
language sql stable
as $$
with
slots as materialized (
    select
        number,
        hashint8extended(number, 1) & 255 as slot
    from generate_series(from_row, to_row - 1) as number
),

sessions as materialized (
    select
        number,
        number / (256 * (2 + slot % 40)) * 256 + slot as session_number
    from slots
),

people as materialized (
    select
        number,
        session_number,
        floor(20000 * power(draw(session_number, 2), 3))::integer as user_number
    from sessions
)

select
    number,
    session_number,
    user_number,
    user_number * 2 / 5,
    until - interval '1 year' * (1 - number / total_rows::double precision)
    - case
        when draw(number, 3) < 0.01 then interval '30 days' * draw(number, 4)
        else interval '0'
    end
from people;
$$;

create function user_agent(session_number bigint) returns text
language sql immutable parallel safe
return (
    array[
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) '
        'Chrome/128.0.0.0 Safari/537.36',
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 '
        '(KHTML, like Gecko) Version/17.6 Safari/605.1.15',
        'saas-client/3.1 (python)'
    ]
)[1 + session_number % 3];

create function ip_address(session_number bigint) returns inet
language sql immutable parallel safe
return ('10.' || session_number % 250 || '.' || session_number / 250 % 250 || '.7')::inet;

create function synthetic_usage_events(
    from_row bigint, to_row bigint, total_rows bigint, until timestamptz
)
returns table (
    user_id uuid,
    license_id uuid,
    team_id uuid,
    event_type text,
    event_category text,
    event_name text,
    event_data jsonb,
    session_id text,
    ip_address inet,
    user_agent text,
    client_version text,
    occurred_at timestamptz
)
language sql stable
as $$
with
events as materialized (
    select
        *,
        -- One event in 10,000 is of a rare type; the others thin out over 30 types.
        case
            when draw(number, 5) < 0.0001 then 30
            else floor(30 * power(draw(number, 6), 2))::integer
        end as type_number,
        draw(session_number, 7) > 0.04 as has_user,
        draw(session_number, 7) > 0.06 as has_license
    from arrivals(from_row, to_row, total_rows, until)
)

select
    case when has_user then md5('user' || user_number)::uuid end,
    case when has_license then md5('license' || license_number)::uuid end,
    case
        when has_license and license_number % 5 < 3
            then md5('team' || license_number)::uuid
    end,
    'event_type_' || type_number,
    (array['license', 'api', 'feature', 'auth', 'billing', 'team', 'system'])
    [1 + type_number % 7],
    'Event of type ' || type_number,
    jsonb_build_object('duration_seconds', round(600 * draw(number, 8)::numeric, 1)),
    md5('session' || session_number)::uuid::text,
    ip_address(session_number),
    user_agent(session_number),
    '3.' || user_number % 9 || '.0',
    occurred_at
from events
order by number;
$$;

create function synthetic_api_usage(
    from_row bigint, to_row bigint, total_rows bigint, until timestamptz
)
returns table (
    user_id uuid,
    license_id uuid,
    endpoint text,
    method text,
    status_code integer,
    response_time_ms integer,
    ip_address inet,
    user_agent text,
    occurred_at timestamptz
)
language sql stable
as $$
select
    md5('user' || user_number)::uuid,
    md5('license' || license_number)::uuid,
    '/v1/resource_' || floor(40 * power(draw(number, 5), 2))::integer,
    (array['GET', 'POST', 'PUT', 'DELETE'])[1 + floor(4 * draw(number, 6))::integer],
    case
        when draw(number, 7) < 0.0001 then 504
        when draw(number, 7) < 0.005 then 500
        when draw(number, 7) < 0.03 then 404
        else 200
    end,
    (20 / (0.01 + draw(number, 8)))::integer,
    ip_address(session_number),
    user_agent(session_number),
    occurred_at
from arrivals(from_row, to_row, total_rows, until)
order by number;
$$;

create function synthetic_error_logs(
    from_row bigint, to_row bigint, total_rows bigint, until timestamptz
)
returns table (
    user_id uuid,
    license_id uuid,
    error_type text,
    error_message text,
    severity text,
    source text,
    occurred_at timestamptz
)
language sql stable
as $$
select
    case when draw(number, 5) > 0.3 then md5('user' || user_number)::uuid end,
    case when draw(number, 5) > 0.3 then md5('license' || license_number)::uuid end,
    'Error' || floor(50 * power(draw(number, 6), 3))::integer,
    'Something went wrong in step ' || floor(1000 * draw(number, 7))::integer,
    case
        when draw(number, 8) < 0.002 then 'critical'
        when draw(number, 8) < 0.3 then 'error'
        else 'warning'
    end,
    'service_' || floor(12 * power(draw(number, 9), 2))::integer,
    occurred_at
from arrivals(from_row, to_row, total_rows, until)
order by number;
$$;

create function synthetic_audit_logs(
    from_row bigint, to_row bigint, total_rows bigint, until timestamptz
)
returns table (
    user_id uuid,
    team_id uuid,
    action text,
    resource_type text,
    resource_id text,
    changes jsonb,
    status text,
    occurred_at timestamptz
)
language sql stable
as $$
select
    md5('user' || user_number)::uuid,
    case when license_number % 5 < 3 then md5('team' || license_number)::uuid end,
    'action_' || floor(25 * power(draw(number, 5), 2))::integer,
    'resource_type_' || floor(8 * power(draw(number, 6), 2))::integer,
    md5('resource' || floor(total_rows / 10 * draw(number, 7))::bigint)::uuid::text,
    jsonb_build_object('before', number, 'after', number + 1),
    case
        when draw(number, 8) < 0.001 then 'pending'
        when draw(number, 8) < 0.03 then 'failure'
        else 'success'
    end,
    occurred_at
from arrivals(from_row, to_row, total_rows, until)
order by number;
$$;
