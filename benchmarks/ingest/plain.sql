-- The plain design of the four event tables: one table each, random ids, a b-tree on each
-- column that the application looks up by, every foreign key.

create table usage_events (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users (id) on delete set null,
    license_id uuid references licenses (id) on delete set null,
    team_id uuid references teams (id) on delete set null,
    event_type varchar(100) not null,
    event_category varchar(50) not null check (
        event_category in (
            'license', 'api', 'feature', 'auth', 'billing', 'team', 'system'
        )
    ),
    event_name varchar(100) not null,
    event_data jsonb default '{}',
    session_id varchar(255),
    ip_address inet,
    user_agent text,
    client_version varchar(50),
    occurred_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

create index on usage_events (user_id);
create index on usage_events (license_id);
create index on usage_events (team_id);
create index on usage_events (event_type);
create index on usage_events (event_category);
create index on usage_events (occurred_at desc);
create index on usage_events (session_id);

create table api_usage (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users (id) on delete cascade,
    license_id uuid references licenses (id) on delete cascade,
    api_key_id uuid,
    endpoint varchar(255) not null,
    method varchar(10) not null
        check (method in ('GET', 'POST', 'PUT', 'PATCH', 'DELETE')),
    status_code integer not null check (status_code >= 100 and status_code < 600),
    response_time_ms integer check (response_time_ms >= 0),
    request_size_bytes integer check (request_size_bytes >= 0),
    response_size_bytes integer check (response_size_bytes >= 0),
    ip_address inet,
    user_agent text,
    error_message text,
    occurred_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

create index on api_usage (user_id);
create index on api_usage (license_id);
create index on api_usage (endpoint);
create index on api_usage (status_code);
create index on api_usage (occurred_at desc);

create table error_logs (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users (id) on delete set null,
    license_id uuid references licenses (id) on delete set null,
    error_type varchar(100) not null,
    error_message text not null,
    error_stack text,
    severity varchar(20) not null
        check (severity in ('debug', 'info', 'warning', 'error', 'critical')),
    source varchar(100),
    endpoint varchar(255),
    method varchar(10),
    ip_address inet,
    user_agent text,
    occurred_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

create index on error_logs (user_id);
create index on error_logs (license_id);
create index on error_logs (error_type);
create index on error_logs (severity);
create index on error_logs (occurred_at desc);
create index on error_logs (source);

create table audit_logs (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users (id) on delete set null,
    team_id uuid references teams (id) on delete set null,
    action varchar(100) not null,
    resource_type varchar(50) not null,
    resource_id varchar(255),
    changes jsonb default '{}',
    ip_address inet,
    user_agent text,
    status varchar(20) not null check (status in ('success', 'failure', 'pending')),
    failure_reason text,
    occurred_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

create index on audit_logs (user_id);
create index on audit_logs (team_id);
create index on audit_logs (action);
create index on audit_logs (resource_type);
create index on audit_logs (resource_id);
create index on audit_logs (occurred_at desc);
create index on audit_logs (status);
