-- An index of scopes by one number, the day's and the user's hash.

create function scope_key(occurred_at timestamptz, user_id uuid) returns bigint
language sql immutable parallel safe
return (
    ((occurred_at at time zone 'UTC')::date - date '2000-01-01')::bigint << 40
) | coalesce(uuid_hash_extended(user_id, 0) & ((1::bigint << 40) - 1), 0);

create index usage_events_scope_key_idx on usage_events (
    scope_key(occurred_at, user_id)
);
