-- 003: the application's records: usage_events, api_usage, error_logs, audit_logs (by
-- month), feature_usage and the two usage aggregates. 007 fills the aggregates.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

-- Event tables ------------------------------------------------------------------------
--
-- Partitioned by month (UTC) of occurred_at, which is therefore in the primary key. An
-- event whose month has no partition goes to the default partition: none is refused.
--
-- The indexes were chosen by measurement (docs/reference/performance.md):
-- * The primary key serves ranges of time and "newest first". Its pages keep 3% free,
--   for late events.
-- * B-trees on the accounts serve look-ups without a time, and erasures.
-- * One BRIN index on the rest has a few percent of their size. It knows which values
--   each eight pages may hold; with a time, a look-up reads only that month.

create table usage_events (
    id uuid not null default gen_random_uuid(),
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
    metadata jsonb default '{}',
    primary key (occurred_at, id) with (fillfactor = 97)
) partition by range (occurred_at);

comment on table usage_events is 'One row per thing that a user or the system did.';

-- A refresh searches for a user's day. Equal keys are deduplicated: the day costs one
-- byte per row.
create index usage_events_user_id_day_idx
on usage_events (user_id, ((occurred_at at time zone 'UTC')::date));
create index usage_events_license_id_idx on usage_events (license_id)
where license_id is not null;
create index usage_events_team_id_idx on usage_events (team_id)
where team_id is not null;
create index usage_events_brin_idx on usage_events using brin (
    occurred_at, id, session_id text_bloom_ops (n_distinct_per_range = 128),
    event_type text_bloom_ops (n_distinct_per_range = 32),
    event_category text_bloom_ops (n_distinct_per_range = 16)
) with (pages_per_range = 8);

create table api_usage (
    id uuid not null default gen_random_uuid(),
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
    metadata jsonb default '{}',
    primary key (occurred_at, id) with (fillfactor = 97)
) partition by range (occurred_at);

comment on table api_usage is 'One row per request to the public API.';

create index api_usage_user_id_idx on api_usage (user_id) where user_id is not null;
create index api_usage_license_id_idx on api_usage (license_id)
where license_id is not null;
create index api_usage_status_code_idx on api_usage (status_code)
where status_code >= 400;
create index api_usage_brin_idx on api_usage using brin (
    occurred_at, id, endpoint text_bloom_ops (n_distinct_per_range = 64)
) with (pages_per_range = 8);

create table error_logs (
    id uuid not null default gen_random_uuid(),
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
    metadata jsonb default '{}',
    primary key (occurred_at, id) with (fillfactor = 97)
) partition by range (occurred_at);

comment on table error_logs is 'One row per error that the application logged.';

create index error_logs_user_id_idx on error_logs (user_id) where user_id is not null;
create index error_logs_license_id_idx on error_logs (license_id)
where license_id is not null;
create index error_logs_brin_idx on error_logs using brin (
    occurred_at, id, error_type text_bloom_ops (n_distinct_per_range = 32),
    severity text_bloom_ops (n_distinct_per_range = 16),
    source text_bloom_ops (n_distinct_per_range = 16)
) with (pages_per_range = 8);

create table audit_logs (
    id uuid not null default gen_random_uuid(),
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
    metadata jsonb default '{}',
    primary key (occurred_at, id) with (fillfactor = 97)
) partition by range (occurred_at);

comment on table audit_logs is 'One row per action that must be accounted for.';

create index audit_logs_user_id_idx on audit_logs (user_id) where user_id is not null;
create index audit_logs_team_id_idx on audit_logs (team_id) where team_id is not null;
create index audit_logs_resource_id_idx on audit_logs (resource_id)
where resource_id is not null;
create index audit_logs_status_idx on audit_logs (status) where status <> 'success';
create index audit_logs_brin_idx on audit_logs using brin (
    occurred_at, id, action text_bloom_ops (n_distinct_per_range = 32),
    resource_type text_bloom_ops (n_distinct_per_range = 16)
) with (pages_per_range = 8);

create table usage_events_default partition of usage_events default;
create table api_usage_default partition of api_usage default;
create table error_logs_default partition of error_logs default;
create table audit_logs_default partition of audit_logs default;

-- Ids are time-ordered where the server makes such ids (PostgreSQL 18): BRIN indexes
-- find these. Random ids are in all pages and need an index of their own.
do $$
declare
    event_table text;
begin
    foreach event_table in array
        array['usage_events', 'api_usage', 'error_logs', 'audit_logs']
    loop
        execute format(
            case when to_regprocedure('pg_catalog.uuidv7()') is null
                then 'create index %1$s_id_idx on %1$I using hash (id)'
                else 'alter table %1$I alter column id set default uuidv7()' end,
            event_table
        );
    end loop;
end;
$$;

create function create_event_partitions(from_month date, to_month date) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    -- Quoted where it needs to be.
    home constant text := (
        select typnamespace::regnamespace from pg_type
        where oid = pg_typeof(null::this_schema.usage_events)
    );
    callers_lock_timeout constant text := current_setting('lock_timeout');
    tables text[];
    months timestamp[];
    defaults text;
    partition text;
    month_starts timestamptz;
    month_ends timestamptz;
begin
    if from_month is null or to_month is null or from_month > to_month
        or from_month < date '0001-01-01' or to_month > date '9999-12-31'
    then
        raise exception 'create_event_partitions: % to % is not a range of months',
            from_month, to_month using errcode = 'invalid_parameter_value';
    end if;

    -- Callers queue up here; nobody who reads or writes waits for this lock.
    lock table only this_schema.usage_events in share update exclusive mode;

    select
        array_agg(event_table order by month, event_table),
        array_agg(month order by month, event_table),
        string_agg(distinct format('%s.%I', home, event_table || '_default'), ', ')
    into tables, months, defaults
    from unnest(array['usage_events', 'api_usage', 'error_logs', 'audit_logs'])
        as event_table
    cross join generate_series(
        date_trunc('month', from_month::timestamp),
        date_trunc('month', to_month::timestamp),
        interval '1 month'
    ) as month
    where to_regclass(
        format('%s.%I', home, event_table || to_char(month, '"_y"YYYY"m"MM'))
    ) is null;

    if tables is null then
        return 0;
    end if;

    -- Attaching blocks writers of the tables that events refer to, and everybody on the
    -- default partitions. These locks are therefore taken together or not at all, and
    -- waited for so shortly that nobody queues up behind them or meets a deadlock.
    for attempt in 1 .. 40 loop
        begin
            perform set_config('lock_timeout', '200ms', true);
            lock table this_schema.users, this_schema.licenses, this_schema.teams
            in share row exclusive mode;
            lock table only this_schema.usage_events, only this_schema.api_usage,
            only this_schema.error_logs, only this_schema.audit_logs
            in share update exclusive mode;
            execute format('lock table %s in access exclusive mode', defaults);
            perform set_config('lock_timeout', callers_lock_timeout, true);
            exit;
        exception when lock_not_available then
            if attempt = 40 then
                raise;
            end if;
        end;
        perform pg_sleep(0.05 + 0.1 * random());
    end loop;

    for position in 1 .. cardinality(tables) loop
        partition := tables[position] || to_char(months[position], '"_y"YYYY"m"MM');
        month_starts := months[position] at time zone 'UTC';
        month_ends := (months[position] + interval '1 month') at time zone 'UTC';
        -- Autovacuum adds new pages to the BRIN index: so often that reading those it
        -- has not come to stays cheap.
        execute format(
            'create table %1$s.%2$I (
                like %1$s.%3$I including defaults including constraints
            ) with (
                autovacuum_vacuum_insert_scale_factor = 0,
                autovacuum_vacuum_insert_threshold = 50000
            )',
            home, partition, tables[position]
        );
        -- Expecting few events of a session, the planner looks for them in that index,
        -- not among all the newest events.
        if tables[position] = 'usage_events' then
            execute format(
                'alter table %s.%I alter column session_id set (n_distinct = -1)',
                home, partition
            );
        end if;
        -- Attaching scans the default partition and fails where it finds this month.
        execute format(
            'with moved as (
                delete from %1$s.%2$I where occurred_at >= $1 and occurred_at < $2
                returning *
            )
            insert into %1$s.%3$I select * from moved',
            home, tables[position] || '_default', partition
        ) using month_starts, month_ends;
        execute format(
            'alter table %1$s.%2$I attach partition %1$s.%3$I '
            'for values from (%4$L) to (%5$L)',
            home, tables[position], partition, month_starts, month_ends
        );
    end loop;
    return cardinality(tables);
end;
$$;

select place_function('create_event_partitions(date, date)');

comment on function create_event_partitions(date, date) is
'Makes the monthly partitions of the four event tables from one month to another, both '
'included, where they are missing, and moves events of these months out of the default '
'partitions. Returns how many it made. Safe to repeat, also by several at once; run it '
'ahead of time, one month a transaction.';

select create_event_partitions(
    ((now() at time zone 'UTC') - interval '1 month')::date,
    ((now() at time zone 'UTC') + interval '3 months')::date
);

-- feature_usage -----------------------------------------------------------------------

create table feature_usage (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users (id) on delete cascade,
    license_id uuid references licenses (id) on delete cascade,
    feature_name varchar(100) not null,
    feature_category varchar(50),
    first_used_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    total_uses bigint not null default 1 check (total_uses >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}',
    unique (user_id, license_id, feature_name)
);

comment on table feature_usage is
'One row per user, licence and feature, as the application counts them.';

-- Look-ups by user use the unique constraint.
create index feature_usage_license_id_idx on feature_usage (license_id)
where license_id is not null;
create index feature_usage_feature_name_idx on feature_usage (feature_name);
create index feature_usage_feature_category_idx on feature_usage (feature_category)
where feature_category is not null;
create index feature_usage_last_used_at_idx on feature_usage (last_used_at);

create trigger feature_usage_updated_at before update on feature_usage
for each row execute function update_updated_at_column();

-- Usage aggregates --------------------------------------------------------------------

create table usage_aggregates_daily (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users (id) on delete cascade,
    license_id uuid references licenses (id) on delete cascade,
    team_id uuid references teams (id) on delete cascade,
    date date not null,
    event_type varchar(100) not null,
    event_count bigint not null default 0 check (event_count >= 0),
    unique_sessions bigint not null default 0 check (unique_sessions >= 0),
    total_duration_seconds numeric default 0 check (total_duration_seconds >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}',
    unique (date, user_id, license_id, team_id, event_type)
);

comment on table usage_aggregates_daily is
'One row per day (UTC), user, licence, team and event type: aggregate_daily_usage().';

-- Look-ups by date use the unique constraint.
create index usage_aggregates_daily_user_id_idx on usage_aggregates_daily (user_id);
create index usage_aggregates_daily_license_id_idx
on usage_aggregates_daily (license_id);
create index usage_aggregates_daily_team_id_idx on usage_aggregates_daily (team_id)
where team_id is not null;
create index usage_aggregates_daily_event_type_idx
on usage_aggregates_daily (event_type);

create trigger usage_aggregates_daily_updated_at before update on usage_aggregates_daily
for each row execute function update_updated_at_column();

create table usage_aggregates_monthly (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users (id) on delete cascade,
    license_id uuid references licenses (id) on delete cascade,
    team_id uuid references teams (id) on delete cascade,
    year integer not null check (year >= 1970 and year <= 2100),
    month integer not null check (month >= 1 and month <= 12),
    event_type varchar(100) not null,
    event_count bigint not null default 0 check (event_count >= 0),
    unique_sessions bigint not null default 0 check (unique_sessions >= 0),
    unique_days_active integer not null default 0
        check (unique_days_active >= 0 and unique_days_active <= 31),
    total_duration_seconds numeric default 0 check (total_duration_seconds >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}',
    unique (year, month, user_id, license_id, team_id, event_type)
);

comment on table usage_aggregates_monthly is 'One row per month (UTC), user, licence, '
'team and event type: aggregate_monthly_usage().';

-- Look-ups by year and month use the unique constraint.
create index usage_aggregates_monthly_user_id_idx on usage_aggregates_monthly (user_id);
create index usage_aggregates_monthly_license_id_idx
on usage_aggregates_monthly (license_id);
create index usage_aggregates_monthly_team_id_idx on usage_aggregates_monthly (team_id)
where team_id is not null;
create index usage_aggregates_monthly_event_type_idx
on usage_aggregates_monthly (event_type);

create trigger usage_aggregates_monthly_updated_at before update
on usage_aggregates_monthly for each row execute function update_updated_at_column();

commit;
