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
    primary key (id, occurred_at)
) partition by range (occurred_at);

comment on table usage_events is 'One row per thing that a user or the system did.';

create index usage_events_occurred_at_idx on usage_events using brin (occurred_at);
create index usage_events_user_id_idx on usage_events (user_id);
create index usage_events_license_id_idx on usage_events (license_id);
create index usage_events_team_id_idx on usage_events (team_id)
where team_id is not null;

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
    primary key (id, occurred_at)
) partition by range (occurred_at);

comment on table api_usage is 'One row per request to the public API.';

create index api_usage_occurred_at_idx on api_usage using brin (occurred_at);
create index api_usage_user_id_idx on api_usage (user_id);
create index api_usage_license_id_idx on api_usage (license_id);
create index api_usage_endpoint_idx on api_usage (endpoint);
create index api_usage_status_code_idx on api_usage (status_code)
where status_code >= 400;

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
    primary key (id, occurred_at)
) partition by range (occurred_at);

comment on table error_logs is 'One row per error that the application logged.';

create index error_logs_occurred_at_idx on error_logs using brin (occurred_at);
create index error_logs_user_id_idx on error_logs (user_id)
where user_id is not null;
create index error_logs_license_id_idx on error_logs (license_id)
where license_id is not null;
create index error_logs_error_type_idx on error_logs (error_type);
create index error_logs_severity_idx on error_logs (severity);
create index error_logs_source_idx on error_logs (source);

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
    primary key (id, occurred_at)
) partition by range (occurred_at);

comment on table audit_logs is 'One row per action that must be accounted for.';

create index audit_logs_occurred_at_idx on audit_logs using brin (occurred_at);
create index audit_logs_user_id_idx on audit_logs (user_id)
where user_id is not null;
create index audit_logs_team_id_idx on audit_logs (team_id)
where team_id is not null;
create index audit_logs_action_idx on audit_logs (action);
create index audit_logs_resource_type_idx on audit_logs (resource_type);
create index audit_logs_resource_id_idx on audit_logs (resource_id)
where resource_id is not null;
create index audit_logs_status_idx on audit_logs (status) where status <> 'success';

create table usage_events_default partition of usage_events default;
create table api_usage_default partition of api_usage default;
create table error_logs_default partition of error_logs default;
create table audit_logs_default partition of audit_logs default;

-- Time-ordered ids, where the server makes them (PostgreSQL 18), keep the primary keys'
-- writes at the right edge of the index.
do $$
declare
    event_table text;
begin
    if to_regproc('pg_catalog.uuidv7') is not null then
        foreach event_table in array
            array['usage_events', 'api_usage', 'error_logs', 'audit_logs']
        loop
            execute format(
                'alter table %I alter column id set default uuidv7()', event_table
            );
        end loop;
    end if;
end;
$$;

create function create_event_partitions(from_month date, to_month date)
returns integer
language plpgsql
set search_path from current
as $$
declare
    event_table text;
    month date;
    partition text;
    month_starts timestamptz;
    month_ends timestamptz;
    created integer := 0;
begin
    if from_month is null or to_month is null or from_month > to_month then
        raise exception 'create_event_partitions: % to % is not a range of months',
            from_month, to_month using errcode = 'invalid_parameter_value';
    end if;

    foreach event_table in array
        array['usage_events', 'api_usage', 'error_logs', 'audit_logs']
    loop
        for month in
            select generate_series(
                date_trunc('month', from_month::timestamp),
                date_trunc('month', to_month::timestamp),
                interval '1 month'
            )::date
        loop
            partition := event_table || to_char(month, '"_y"YYYY"m"MM');
            continue when to_regclass(format('%I', partition)) is not null;

            month_starts := month::timestamp at time zone 'UTC';
            month_ends := (month + interval '1 month') at time zone 'UTC';
            execute format(
                'create table %I (like %I including defaults including constraints)',
                partition, event_table
            );
            -- Attaching blocks nobody who writes to other partitions; it scans the
            -- default partition, which is therefore emptied of this month first.
            execute format(
                'lock table %I in access exclusive mode', event_table || '_default'
            );
            execute format(
                'with moved as (
                    delete from %I where occurred_at >= $1 and occurred_at < $2
                    returning *
                )
                insert into %I select * from moved',
                event_table || '_default', partition
            ) using month_starts, month_ends;
            execute format(
                'alter table %I attach partition %I for values from (%L) to (%L)',
                event_table, partition, month_starts, month_ends
            );
            created := created + 1;
        end loop;
    end loop;
    return created;
end;
$$;

comment on function create_event_partitions(date, date) is
'Makes the monthly partitions of the four event tables from one month to another, both '
'included, where they are missing, and moves events of these months out of the default '
'partitions. Returns how many it made. Safe to repeat; run it ahead of time.';

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

-- Both functions change only what differs: rows of unchanged groups stay as they are,
-- groups without events go, and so do the doubles that nulls in the unique key let in.
-- A user erased meanwhile fails a foreign key: the next try sees the events without
-- them. The setting saas_analytics.aggregating tells triggers that rows go on purpose.

create function aggregate_daily_usage(target_date date) returns void
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    day_starts constant timestamptz := target_date::timestamp at time zone 'UTC';
    day_ends constant timestamptz := (target_date + 1)::timestamp at time zone 'UTC';
begin
    if target_date is null then
        raise exception 'aggregate_daily_usage: target_date must not be null'
            using errcode = 'null_value_not_allowed';
    end if;

    insert into usage_aggregate_runs (period_type, period_start, aggregated_at)
    values ('day', target_date, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. 5 loop
        begin
            perform set_config('saas_analytics.aggregating', 'on', true);
            with
            fresh as materialized (
                select * from usage_groups(day_starts, day_ends)
            ),

            present as materialized (
                select
                    id,
                    jsonb_build_array(user_id, license_id, team_id, event_type)
                        as group_key,
                    row_number() over (
                        partition by user_id, license_id, team_id, event_type
                        order by created_at, id
                    ) as copy
                from usage_aggregates_daily
                where date = target_date
            ),

            obsolete as (
                delete from usage_aggregates_daily
                where id in (
                    select id from present
                    where copy > 1
                        or group_key not in (select group_key from fresh)
                )
            ),

            changed as (
                update usage_aggregates_daily as aggregate
                set
                    event_count = fresh.event_count,
                    unique_sessions = fresh.unique_sessions,
                    total_duration_seconds = fresh.total_duration_seconds
                from present
                inner join fresh on present.group_key = fresh.group_key
                where aggregate.id = present.id
                    and present.copy = 1
                    and (
                        aggregate.event_count,
                        aggregate.unique_sessions,
                        aggregate.total_duration_seconds
                    ) is distinct from (
                        fresh.event_count,
                        fresh.unique_sessions,
                        fresh.total_duration_seconds
                    )
            )

            insert into usage_aggregates_daily (
                date, user_id, license_id, team_id, event_type,
                event_count, unique_sessions, total_duration_seconds
            )
            select
                target_date, user_id, license_id, team_id, event_type,
                event_count, unique_sessions, total_duration_seconds
            from fresh
            where group_key not in (select group_key from present);
            perform set_config('saas_analytics.aggregating', 'off', true);
            return;
        exception when foreign_key_violation then
            if attempt = 5 then
                raise;
            end if;
        end;
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
    month_starts timestamptz;
    month_ends timestamptz;
begin
    if target_year is null or target_year not between 1970 and 2100
        or target_month is null or target_month not between 1 and 12
    then
        raise exception
            'aggregate_monthly_usage: % / % is not a month from 1970 to 2100',
            target_year, target_month using errcode = 'invalid_parameter_value';
    end if;
    month_starts := make_timestamptz(target_year, target_month, 1, 0, 0, 0, 'UTC');
    month_ends := (make_date(target_year, target_month, 1) + interval '1 month')
        at time zone 'UTC';

    insert into usage_aggregate_runs (period_type, period_start, aggregated_at)
    values ('month', make_date(target_year, target_month, 1), clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. 5 loop
        begin
            perform set_config('saas_analytics.aggregating', 'on', true);
            with
            fresh as materialized (
                select * from usage_groups(month_starts, month_ends)
            ),

            present as materialized (
                select
                    id,
                    jsonb_build_array(user_id, license_id, team_id, event_type)
                        as group_key,
                    row_number() over (
                        partition by user_id, license_id, team_id, event_type
                        order by created_at, id
                    ) as copy
                from usage_aggregates_monthly
                where year = target_year and month = target_month
            ),

            obsolete as (
                delete from usage_aggregates_monthly
                where id in (
                    select id from present
                    where copy > 1
                        or group_key not in (select group_key from fresh)
                )
            ),

            changed as (
                update usage_aggregates_monthly as aggregate
                set
                    event_count = fresh.event_count,
                    unique_sessions = fresh.unique_sessions,
                    unique_days_active = fresh.unique_days_active,
                    total_duration_seconds = fresh.total_duration_seconds
                from present
                inner join fresh on present.group_key = fresh.group_key
                where aggregate.id = present.id
                    and present.copy = 1
                    and (
                        aggregate.event_count,
                        aggregate.unique_sessions,
                        aggregate.unique_days_active,
                        aggregate.total_duration_seconds
                    ) is distinct from (
                        fresh.event_count,
                        fresh.unique_sessions,
                        fresh.unique_days_active,
                        fresh.total_duration_seconds
                    )
            )

            insert into usage_aggregates_monthly (
                year, month, user_id, license_id, team_id, event_type,
                event_count, unique_sessions, unique_days_active,
                total_duration_seconds
            )
            select
                target_year, target_month, user_id, license_id, team_id, event_type,
                event_count, unique_sessions, unique_days_active,
                total_duration_seconds
            from fresh
            where group_key not in (select group_key from present);
            perform set_config('saas_analytics.aggregating', 'off', true);
            return;
        exception when foreign_key_violation then
            if attempt = 5 then
                raise;
            end if;
        end;
    end loop;
end;
$$;

comment on function aggregate_monthly_usage(integer, integer) is
'Makes the rows of one month (UTC) in usage_aggregates_monthly equal to its '
'usage_events; it never reads the daily aggregates.';

commit;
