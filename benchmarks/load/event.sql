-- A user does something: one event, and now and then an API call and an error.
\set user random_zipfian(1, 10000, 1.1) - 1
\set license :user * 2 / 5
\set kind random(0, 11)
\set luck random(1, 100)
insert into usage_events (
    user_id, license_id, event_type, event_category, event_name, event_data, session_id
)
values (
    md5('user' || :user)::uuid,
    md5('license' || :license)::uuid,
    'event_type_' || :kind,
    'feature',
    'Event of type ' || :kind,
    '{"duration_seconds": 12.5}',
    md5('session' || :user)::uuid
);
\if :luck <= 20
insert into api_usage (
    user_id, license_id, endpoint, method, status_code, response_time_ms
)
values (
    md5('user' || :user)::uuid,
    md5('license' || :license)::uuid,
    '/v1/resource_' || :kind,
    'GET',
    200,
    :luck * 10
);
\endif
\if :luck <= 2
insert into error_logs (user_id, error_type, error_message, severity)
values (md5('user' || :user)::uuid, 'Error' || :kind, 'Something went wrong', 'error');
\endif
