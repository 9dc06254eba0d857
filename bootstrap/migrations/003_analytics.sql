-- 003: what the application records: usage_events, api_usage, error_logs, audit_logs
-- (by month), feature_usage, the two usage aggregates and the functions that fill them.

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Event tables ------------------------------------------------------------------------
--
-- Partitioned by month (UTC) of occurred_at, which therefore belongs to the primary
-- key. An event whose month has no partition goes into the default partition, so that
-- none is ever refused; create_event_partitions() moves it when it makes the month.
--
-- The indexes were chosen by measurement (docs/performance.md):
-- * The primary key begins with the time, and so serves ranges and "newest first" too.
--   Its pages keep 3% free, which is enough for the events that come late.
-- * B-trees on the accounts: events are looked up by them without a time, and are
--   searched for them when one is erased.
-- * One BRIN index on the rest, of a few per cent of their size. It knows which values
--   each eight pages may hold; a time beside spares it the other months.

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

create index usage_events_user_id_idx on usage_events (user_id)
where user_id is not null;
create index usage_events_license_id_idx on usage_events (license_id)
where license_id is not null;
create index usage_events_team_id_idx on usage_events (team_id)
where team_id is not null;
create index usage_events_brin_idx on usage_events using brin (
    occurred_at,
    id,
    session_id text_bloom_ops (n_distinct_per_range = 128),
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

create index api_usage_user_id_idx on api_usage (user_id)
where user_id is not null;
create index api_usage_license_id_idx on api_usage (license_id)
where license_id is not null;
create index api_usage_status_code_idx on api_usage (status_code)
where status_code >= 400;
create index api_usage_brin_idx on api_usage using brin (
    occurred_at,
    id,
    endpoint text_bloom_ops (n_distinct_per_range = 64)
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

create index error_logs_user_id_idx on error_logs (user_id)
where user_id is not null;
create index error_logs_license_id_idx on error_logs (license_id)
where license_id is not null;
create index error_logs_brin_idx on error_logs using brin (
    occurred_at,
    id,
    error_type text_bloom_ops (n_distinct_per_range = 32),
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

create index audit_logs_user_id_idx on audit_logs (user_id)
where user_id is not null;
create index audit_logs_team_id_idx on audit_logs (team_id)
where team_id is not null;
create index audit_logs_resource_id_idx on audit_logs (resource_id)
where resource_id is not null;
create index audit_logs_status_idx on audit_logs (status) where status <> 'success';
create index audit_logs_brin_idx on audit_logs using brin (
    occurred_at,
    id,
    action text_bloom_ops (n_distinct_per_range = 32),
    resource_type text_bloom_ops (n_distinct_per_range = 16)
) with (pages_per_range = 8);

create table usage_events_default partition of usage_events default;
create table api_usage_default partition of api_usage default;
create table error_logs_default partition of error_logs default;
create table audit_logs_default partition of audit_logs default;

-- Time-ordered ids where the server makes them (PostgreSQL 18): the BRIN indexes find
-- those at once. Random ones lie everywhere and need an index of their own.
do $$
declare
    event_table text;
begin
    foreach event_table in array
        array['usage_events', 'api_usage', 'error_logs', 'audit_logs']
    loop
        if to_regprocedure('pg_catalog.uuidv7()') is not null then
            execute format(
                'alter table %I alter column id set default uuidv7()', event_table
            );
        else
            execute format(
                'create index %I on %I using hash (id)',
                event_table || '_id_idx', event_table
            );
        end if;
    end loop;
end;
$$;

create function create_event_partitions(from_month date, to_month date)
returns integer
language plpgsql
set search_path from current
as $$
declare
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
    lock table only usage_events in share update exclusive mode;

    select
        array_agg(event_table order by month, event_table),
        array_agg(month order by month, event_table),
        string_agg(distinct format('%I', event_table || '_default'), ', ')
    into tables, months, defaults
    from unnest(array['usage_events', 'api_usage', 'error_logs', 'audit_logs'])
        as event_table
    cross join generate_series(
        date_trunc('month', from_month::timestamp),
        date_trunc('month', to_month::timestamp),
        interval '1 month'
    ) as month
    where to_regclass(
        format('%I', event_table || to_char(month, '"_y"YYYY"m"MM'))
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
            lock table users, licenses, teams in share row exclusive mode;
            lock table only usage_events, only api_usage, only error_logs,
            only audit_logs in share update exclusive mode;
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
            'create table %I (like %I including defaults including constraints) with (
                autovacuum_vacuum_insert_scale_factor = 0,
                autovacuum_vacuum_insert_threshold = 50000
            )',
            partition, tables[position]
        );
        -- Expecting few events of a session, the planner looks for them in that index,
        -- not among all the newest events.
        if tables[position] = 'usage_events' then
            execute format(
                'alter table %I alter column session_id set (n_distinct = -1)',
                partition
            );
        end if;
        -- Attaching scans the default partition and fails where it finds this month.
        execute format(
            'with moved as (
                delete from %I where occurred_at >= $1 and occurred_at < $2
                returning *
            )
            insert into %I select * from moved',
            tables[position] || '_default', partition
        ) using month_starts, month_ends;
        execute format(
            'alter table %I attach partition %I for values from (%L) to (%L)',
            tables[position], partition, month_starts, month_ends
        );
    end loop;
    return cardinality(tables);
end;
$$;

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

create trigger usage_aggregates_daily_updated_at
before update on usage_aggregates_daily
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

comment on table usage_aggregates_monthly is
'One row per month (UTC), user, licence, team and event type: '
'aggregate_monthly_usage().';

-- Look-ups by year and month use the unique constraint.
create index usage_aggregates_monthly_user_id_idx on usage_aggregates_monthly (user_id);
create index usage_aggregates_monthly_license_id_idx
on usage_aggregates_monthly (license_id);
create index usage_aggregates_monthly_team_id_idx on usage_aggregates_monthly (team_id)
where team_id is not null;
create index usage_aggregates_monthly_event_type_idx
on usage_aggregates_monthly (event_type);

create trigger usage_aggregates_monthly_updated_at
before update on usage_aggregates_monthly
for each row execute function update_updated_at_column();

create table usage_aggregate_runs (
    period_type text not null check (period_type in ('day', 'month')),
    period_start date not null,
    aggregated_at timestamptz not null,
    primary key (period_type, period_start)
);

comment on table usage_aggregate_runs is
'One row per day or month that was aggregated. Its row lock lets two runs over the '
'same period queue up, and stops one that works on an old snapshot.';

create function usage_groups(from_time timestamptz, to_time timestamptz)
returns table (
    group_key jsonb,
    user_id uuid,
    license_id uuid,
    team_id uuid,
    event_type varchar,
    event_count bigint,
    unique_sessions bigint,
    unique_days_active bigint,
    total_duration_seconds numeric
)
language sql stable
set search_path from current
as $$
select
    jsonb_build_array(user_id, license_id, team_id, event_type),
    user_id,
    license_id,
    team_id,
    event_type,
    count(*),
    count(distinct session_id),
    count(distinct (occurred_at at time zone 'UTC')::date),
    coalesce(
        sum(greatest((event_data ->> 'duration_seconds')::numeric, 0))
        filter (where jsonb_typeof(event_data -> 'duration_seconds') = 'number'),
        0
    )
from usage_events
where occurred_at >= from_time and occurred_at < to_time
group by user_id, license_id, team_id, event_type;
$$;

comment on function usage_groups(timestamptz, timestamptz) is
'The usage of each group of user, licence, team and event type from one moment until '
'before another. Null ids form groups of their own; group_key equals for equal groups.';

create function lock_usage_owners(
    user_ids uuid[], license_ids uuid[], team_ids uuid[]
)
returns boolean
language plpgsql
set search_path from current
as $$
declare
    wanted constant bigint := coalesce(cardinality(user_ids), 0)
        + coalesce(cardinality(license_ids), 0) + coalesce(cardinality(team_ids), 0);
    locked bigint := 0;
    found_rows bigint;
begin
    perform from users where id = any (user_ids) for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from licenses where id = any (license_ids) for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from teams where id = any (team_ids) for key share skip locked;
    get diagnostics found_rows = row_count;
    return locked + found_rows = wanted;
end;
$$;

comment on function lock_usage_owners(uuid[], uuid[], uuid[]) is
'Keeps users, licences and teams from being deleted until the end of the transaction. '
'False, without waiting, where one of them is gone or being deleted.';

-- Both functions change only what differs: rows of unchanged groups stay as they are,
-- groups without events go, and so do the doubles that nulls in the unique key let in.
--
-- Whoever deletes a user holds that user and waits for the rows that belong to them; a
-- run that holds such rows and waits for the user would be a deadlock. So it takes what
-- it needs without waiting, or lets go of everything, pauses, and sees the events anew.
-- The last try keeps deletions out instead.
--
-- The setting saas_analytics.aggregating tells triggers that rows go on purpose.

create function aggregate_daily_usage(target_date date) returns void
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    tries constant integer := 6;
    is_done boolean;
begin
    if target_date is null or not isfinite(target_date) then
        raise exception 'aggregate_daily_usage: % is not a day', target_date
            using errcode = 'invalid_parameter_value';
    end if;

    insert into usage_aggregate_runs (period_type, period_start, aggregated_at)
    values ('day', target_date, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table users, licenses, teams in share mode;
            end if;
            perform set_config('saas_analytics.aggregating', 'on', true);
            with
            fresh as materialized (
                select * from usage_groups(
                    target_date::timestamp at time zone 'UTC',
                    (target_date + 1)::timestamp at time zone 'UTC'
                )
            ),

            present as materialized (
                select
                    id,
                    event_count,
                    unique_sessions,
                    total_duration_seconds,
                    jsonb_build_array(user_id, license_id, team_id, event_type)
                        as group_key,
                    row_number() over (
                        partition by user_id, license_id, team_id, event_type
                        order by created_at, id
                    ) as copy
                from usage_aggregates_daily
                where date = target_date
            ),

            difference as materialized (
                select
                    fresh.*,
                    present.id,
                    case
                        when present.id is null then 'add'
                        when fresh.group_key is null or present.copy > 1 then 'remove'
                        else 'change'
                    end as action
                from fresh
                full join present on fresh.group_key = present.group_key
                where fresh.group_key is null
                    or present.id is null
                    or present.copy > 1
                    or (
                        fresh.event_count,
                        fresh.unique_sessions,
                        fresh.total_duration_seconds
                    ) is distinct from (
                        present.event_count,
                        present.unique_sessions,
                        present.total_duration_seconds
                    )
            ),

            locked as materialized (
                select id from usage_aggregates_daily
                where id in (select id from difference)
                for update skip locked
            ),

            verdict as materialized (
                select
                    attempt = tries
                    or lock_usage_owners(
                        array_agg(distinct user_id)
                        filter (where action = 'add' and user_id is not null),
                        array_agg(distinct license_id)
                        filter (where action = 'add' and license_id is not null),
                        array_agg(distinct team_id)
                        filter (where action = 'add' and team_id is not null)
                    )
                    and count(id) = (select count(*) from locked) as is_free
                from difference
            ),

            removed as (
                delete from usage_aggregates_daily
                where (select is_free from verdict)
                    and id in (select id from difference where action = 'remove')
            ),

            changed as (
                update usage_aggregates_daily as aggregate
                set
                    event_count = difference.event_count,
                    unique_sessions = difference.unique_sessions,
                    total_duration_seconds = difference.total_duration_seconds
                from difference
                where (select is_free from verdict)
                    and difference.action = 'change'
                    and aggregate.id = difference.id
            ),

            added as (
                insert into usage_aggregates_daily (
                    date, user_id, license_id, team_id, event_type,
                    event_count, unique_sessions, total_duration_seconds
                )
                select
                    target_date, user_id, license_id, team_id, event_type,
                    event_count, unique_sessions, total_duration_seconds
                from difference
                where (select is_free from verdict) and action = 'add'
            )

            select is_free into is_done from verdict;
            if not is_done then
                raise lock_not_available;
            end if;
            perform set_config('saas_analytics.aggregating', 'off', true);
            return;
        exception when lock_not_available or deadlock_detected then
            if attempt = tries then
                raise;
            end if;
        end;
        perform pg_sleep(0.02 * 2 ^ attempt);
    end loop;
end;
$$;

comment on function aggregate_daily_usage(date) is
'Makes the rows of one day (UTC) in usage_aggregates_daily equal to its usage_events.';

create function aggregate_monthly_usage(target_year integer, target_month integer)
returns void
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    tries constant integer := 6;
    first_day date;
    is_done boolean;
begin
    if target_year is null or target_year not between 1970 and 2100
        or target_month is null or target_month not between 1 and 12
    then
        raise exception
            'aggregate_monthly_usage: % / % is not a month from 1970 to 2100',
            target_year, target_month using errcode = 'invalid_parameter_value';
    end if;
    first_day := make_date(target_year, target_month, 1);

    insert into usage_aggregate_runs (period_type, period_start, aggregated_at)
    values ('month', first_day, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table users, licenses, teams in share mode;
            end if;
            perform set_config('saas_analytics.aggregating', 'on', true);
            with
            fresh as materialized (
                select * from usage_groups(
                    first_day::timestamp at time zone 'UTC',
                    (first_day + interval '1 month') at time zone 'UTC'
                )
            ),

            present as materialized (
                select
                    id,
                    event_count,
                    unique_sessions,
                    unique_days_active,
                    total_duration_seconds,
                    jsonb_build_array(user_id, license_id, team_id, event_type)
                        as group_key,
                    row_number() over (
                        partition by user_id, license_id, team_id, event_type
                        order by created_at, id
                    ) as copy
                from usage_aggregates_monthly
                where year = target_year and month = target_month
            ),

            difference as materialized (
                select
                    fresh.*,
                    present.id,
                    case
                        when present.id is null then 'add'
                        when fresh.group_key is null or present.copy > 1 then 'remove'
                        else 'change'
                    end as action
                from fresh
                full join present on fresh.group_key = present.group_key
                where fresh.group_key is null
                    or present.id is null
                    or present.copy > 1
                    or (
                        fresh.event_count,
                        fresh.unique_sessions,
                        fresh.unique_days_active,
                        fresh.total_duration_seconds
                    ) is distinct from (
                        present.event_count,
                        present.unique_sessions,
                        present.unique_days_active,
                        present.total_duration_seconds
                    )
            ),

            locked as materialized (
                select id from usage_aggregates_monthly
                where id in (select id from difference)
                for update skip locked
            ),

            verdict as materialized (
                select
                    attempt = tries
                    or lock_usage_owners(
                        array_agg(distinct user_id)
                        filter (where action = 'add' and user_id is not null),
                        array_agg(distinct license_id)
                        filter (where action = 'add' and license_id is not null),
                        array_agg(distinct team_id)
                        filter (where action = 'add' and team_id is not null)
                    )
                    and count(id) = (select count(*) from locked) as is_free
                from difference
            ),

            removed as (
                delete from usage_aggregates_monthly
                where (select is_free from verdict)
                    and id in (select id from difference where action = 'remove')
            ),

            changed as (
                update usage_aggregates_monthly as aggregate
                set
                    event_count = difference.event_count,
                    unique_sessions = difference.unique_sessions,
                    unique_days_active = difference.unique_days_active,
                    total_duration_seconds = difference.total_duration_seconds
                from difference
                where (select is_free from verdict)
                    and difference.action = 'change'
                    and aggregate.id = difference.id
            ),

            added as (
                insert into usage_aggregates_monthly (
                    year, month, user_id, license_id, team_id, event_type,
                    event_count, unique_sessions, unique_days_active,
                    total_duration_seconds
                )
                select
                    target_year, target_month, user_id, license_id, team_id, event_type,
                    event_count, unique_sessions, unique_days_active,
                    total_duration_seconds
                from difference
                where (select is_free from verdict) and action = 'add'
            )

            select is_free into is_done from verdict;
            if not is_done then
                raise lock_not_available;
            end if;
            perform set_config('saas_analytics.aggregating', 'off', true);
            return;
        exception when lock_not_available or deadlock_detected then
            if attempt = tries then
                raise;
            end if;
        end;
        perform pg_sleep(0.02 * 2 ^ attempt);
    end loop;
end;
$$;

comment on function aggregate_monthly_usage(integer, integer) is
'Makes the rows of one month (UTC) in usage_aggregates_monthly equal to its '
'usage_events; it never reads the daily aggregates.';

commit;
