-- 010: no function of ours looks anything up in a schema that others may write to.
--
-- 001 denies that another object can take the place of ours where the search_path of a
-- function begins with our schema. That is false. Of the functions and operators of one
-- name, PostgreSQL takes the one whose argument types fit exactly, in any schema of the
-- search_path. A role that may create in our schema could plant unnest(text[]), and
-- record_change() ran it with the rights of its owner.
--
-- From now on the search_path of a function is pg_catalog and pg_temp; functions and
-- operators are never looked up in pg_temp. The body names our tables and functions by
-- the schema this_schema, which place_function() replaces by the real name.

begin;

set local lock_timeout = '10s';
-- The body of a function in SQL names what is there only when it is placed.
set local check_function_bodies = off;

select pg_catalog.set_config(
    'search_path',
    pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()),
    true
);

-- Each migration that makes or replaces a function calls it.
create function place_function(placed regprocedure) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    home text;
    body text;
    head text;
begin
    select quote_ident(nspname), prosrc into home, body
    from pg_proc
    inner join pg_namespace on pronamespace = pg_namespace.oid
    where pg_proc.oid = placed;

    head := split_part(pg_get_functiondef(placed), body, 1);
    -- A name may hold any dollar quote: the new body is a literal.
    execute regexp_replace(head, '\$function\w*[$]$', '')
        || quote_literal(replace(body, 'this_schema.', home || '.'));
    execute format('alter function %s set search_path = pg_catalog, pg_temp', placed);
end;
$$;

comment on function place_function(regprocedure) is
'Gives a function the search_path pg_catalog and pg_temp, and its body the name of its '
'schema wherever that says this_schema.';

revoke execute on function place_function(regprocedure) from public;

create or replace function update_affiliate_referral_stats() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    affiliate_ids uuid[];
    differences bigint[];
begin
    if tg_op = 'TRUNCATE' then
        -- An older snapshot may show 0 where there is more by now: touching the row
        -- anyway makes that a serialization failure.
        update this_schema.affiliates set total_referrals = 0
        where total_referrals <> 0
            or current_setting('transaction_isolation') <> 'read committed';
        return null;
    elsif tg_op = 'INSERT' then
        select array_agg(affiliate_id), array_agg(difference)
        into affiliate_ids, differences
        from (
            select affiliate_id, count(*) as difference
            from new_rows where status in ('qualified', 'converted')
            group by affiliate_id
        ) as change;
    elsif tg_op = 'DELETE' then
        select array_agg(affiliate_id), array_agg(difference)
        into affiliate_ids, differences
        from (
            select affiliate_id, -count(*) as difference
            from old_rows where status in ('qualified', 'converted')
            group by affiliate_id
        ) as change;
    else
        select array_agg(affiliate_id), array_agg(difference)
        into affiliate_ids, differences
        from (
            select affiliate_id, sum(sign) as difference
            from (
                select affiliate_id, status, 1 as sign from new_rows
                union all
                select affiliate_id, status, -1 as sign from old_rows
            ) as version
            where status in ('qualified', 'converted')
            group by affiliate_id
            having sum(sign) <> 0
        ) as change;
    end if;

    if affiliate_ids is null then
        return null;
    end if;

    -- One order for all: two statements over the same affiliates can't deadlock.
    if cardinality(affiliate_ids) > 1 then
        perform from this_schema.affiliates where id = any (affiliate_ids)
        order by id for no key update;
    end if;

    update this_schema.affiliates as affiliate
    set total_referrals = affiliate.total_referrals + change.difference
    from unnest(affiliate_ids, differences) as change (affiliate_id, difference)
    where affiliate.id = change.affiliate_id;
    return null;
end;
$$;

select place_function('update_affiliate_referral_stats()');

create or replace function update_affiliate_earnings() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    affiliate_ids uuid[];
    paid_amounts bigint[];
    approved_amounts bigint[];
begin
    if tg_op = 'TRUNCATE' then
        -- As for referrals: an older snapshot may show 0 where there is more by now.
        update this_schema.affiliates
        set total_earnings_cents = 0, paid_out_cents = 0, pending_payout_cents = 0
        where total_earnings_cents <> 0 or paid_out_cents <> 0
            or pending_payout_cents <> 0
            or current_setting('transaction_isolation') <> 'read committed';
        return null;
    elsif tg_op = 'INSERT' then
        select array_agg(affiliate_id), array_agg(paid), array_agg(approved)
        into affiliate_ids, paid_amounts, approved_amounts
        from (
            select
                affiliate_id,
                coalesce(sum(amount_cents) filter (where status = 'paid'), 0) as paid,
                coalesce(sum(amount_cents) filter (where status = 'approved'), 0)
                    as approved
            from new_rows where status in ('approved', 'paid')
            group by affiliate_id
        ) as change;
    elsif tg_op = 'DELETE' then
        select array_agg(affiliate_id), array_agg(-paid), array_agg(-approved)
        into affiliate_ids, paid_amounts, approved_amounts
        from (
            select
                affiliate_id,
                coalesce(sum(amount_cents) filter (where status = 'paid'), 0) as paid,
                coalesce(sum(amount_cents) filter (where status = 'approved'), 0)
                    as approved
            from old_rows where status in ('approved', 'paid')
            group by affiliate_id
        ) as change;
    else
        select array_agg(affiliate_id), array_agg(paid), array_agg(approved)
        into affiliate_ids, paid_amounts, approved_amounts
        from (
            select
                affiliate_id,
                coalesce(sum(amount) filter (where status = 'paid'), 0) as paid,
                coalesce(sum(amount) filter (where status = 'approved'), 0) as approved
            from (
                select affiliate_id, status, amount_cents as amount from new_rows
                union all
                select affiliate_id, status, -amount_cents as amount from old_rows
            ) as version
            where status in ('approved', 'paid')
            group by affiliate_id
        ) as change
        where paid <> 0 or approved <> 0;
    end if;

    if affiliate_ids is null then
        return null;
    end if;

    -- One order for all: two statements over the same affiliates can't deadlock.
    if cardinality(affiliate_ids) > 1 then
        perform from this_schema.affiliates where id = any (affiliate_ids)
        order by id for no key update;
    end if;

    update this_schema.affiliates as affiliate
    set
        total_earnings_cents = affiliate.total_earnings_cents + change.paid
            + change.approved,
        paid_out_cents = affiliate.paid_out_cents + change.paid,
        pending_payout_cents = affiliate.pending_payout_cents + change.approved
    from unnest(affiliate_ids, paid_amounts, approved_amounts)
        as change (affiliate_id, paid, approved)
    where affiliate.id = change.affiliate_id;
    return null;
end;
$$;

select place_function('update_affiliate_earnings()');

create or replace function create_event_partitions(from_month date, to_month date)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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

create or replace function usage_groups(from_time timestamptz, to_time timestamptz)
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
set search_path = pg_catalog, pg_temp
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
from this_schema.usage_events
where occurred_at >= from_time and occurred_at < to_time
group by user_id, license_id, team_id, event_type;
$$;

select place_function('usage_groups(timestamptz, timestamptz)');

create or replace function lock_usage_owners(
    user_ids uuid[], license_ids uuid[], team_ids uuid[]
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted constant bigint := coalesce(cardinality(user_ids), 0)
        + coalesce(cardinality(license_ids), 0) + coalesce(cardinality(team_ids), 0);
    locked bigint := 0;
    found_rows bigint;
begin
    perform from this_schema.users where id = any (user_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from this_schema.licenses where id = any (license_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from this_schema.teams where id = any (team_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    return locked + found_rows = wanted;
end;
$$;

select place_function('lock_usage_owners(uuid[], uuid[], uuid[])');

create or replace function aggregate_daily_usage(target_date date) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    tries constant integer := 6;
begin
    if target_date is null or not isfinite(target_date) then
        raise exception 'aggregate_daily_usage: % is not a day', target_date
            using errcode = 'invalid_parameter_value';
    end if;

    insert into this_schema.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    values ('day', target_date, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table this_schema.users, this_schema.licenses, this_schema.teams
                in share mode;
            end if;
            if not this_schema.try_daily_usage(target_date, attempt = tries) then
                raise lock_not_available;
            end if;
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

select place_function('aggregate_daily_usage(date)');

create or replace function aggregate_monthly_usage(
    target_year integer, target_month integer
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    tries constant integer := 6;
    first_day date;
begin
    if target_year is null or target_year not between 1970 and 2100
        or target_month is null or target_month not between 1 and 12
    then
        raise exception
            'aggregate_monthly_usage: % / % is not a month from 1970 to 2100',
            target_year, target_month using errcode = 'invalid_parameter_value';
    end if;
    first_day := make_date(target_year, target_month, 1);

    insert into this_schema.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    values ('month', first_day, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table this_schema.users, this_schema.licenses, this_schema.teams
                in share mode;
            end if;
            if not this_schema.try_monthly_usage(first_day, attempt = tries) then
                raise lock_not_available;
            end if;
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

select place_function('aggregate_monthly_usage(integer, integer)');

create or replace function mark_stale_usage_aggregates() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('saas_analytics.aggregating', true) = 'on' then
        return null;
    end if;
    if tg_table_name = 'usage_aggregates_daily' then
        insert into this_schema.usage_aggregate_stale_periods (
            period_type, period_start
        )
        select distinct 'day', date from old_rows;
    else
        insert into this_schema.usage_aggregate_stale_periods (
            period_type, period_start
        )
        select distinct 'month', make_date(year, month, 1) from old_rows;
    end if;
    return null;
end;
$$;

select place_function('mark_stale_usage_aggregates()');

create or replace function aggregate_stale_usage() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    tries constant integer := 6;
    callers_lock_timeout constant text := current_setting('lock_timeout');
    period_types text[];
    period_starts date[];
begin
    with
    taken as (
        delete from this_schema.usage_aggregate_stale_periods
        returning period_type, period_start
    ),

    periods as (
        select distinct period_type, period_start from taken
    )

    select
        array_agg(period_type order by period_type, period_start),
        array_agg(period_start order by period_type, period_start)
    into period_types, period_starts
    from periods;

    if period_types is null then
        return 0;
    end if;

    -- Other runs over these periods are waited for here, where nothing is held that
    -- anybody else needs.
    insert into this_schema.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    select periods.period_type, periods.period_start, clock_timestamp()
    from unnest(period_types, period_starts) as periods (period_type, period_start)
    order by periods.period_type, periods.period_start
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table this_schema.users, this_schema.licenses, this_schema.teams
                in share mode;
            else
                -- Much shorter than anybody looks for a deadlock.
                perform set_config('lock_timeout', '20ms', true);
            end if;
            for position in 1 .. cardinality(period_types) loop
                if not (
                    case period_types[position]
                        when 'day' then
                            this_schema.try_daily_usage(
                                period_starts[position], attempt = tries
                            )
                        else
                            this_schema.try_monthly_usage(
                                period_starts[position], attempt = tries
                            )
                    end
                ) then
                    raise lock_not_available;
                end if;
            end loop;
            perform set_config('lock_timeout', callers_lock_timeout, true);
            return cardinality(period_types);
        exception when lock_not_available or deadlock_detected then
            if attempt = tries then
                raise;
            end if;
        end;
        perform pg_sleep(0.02 * 2 ^ attempt);
    end loop;
end;
$$;

select place_function('aggregate_stale_usage()');

create or replace function record_change() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    whole_row constant jsonb :=
        to_jsonb(case tg_op when 'INSERT' then new else old end);
begin
    insert into this_schema.change_tombstones (table_name, old_row)
    select
        tg_argv[0],
        jsonb_object_agg(kept, whole_row -> kept)
    from unnest(tg_argv[1:]) as kept;
    return null;
end;
$$;

select place_function('record_change()');

create or replace function clear_change_tombstones(keep interval default '14 days')
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    last_xid xid8;
    cleared bigint;
begin
    -- Only of transactions that are over: none of them adds another one.
    select tombstones.change_xid into last_xid
    from this_schema.change_tombstones as tombstones
    where tombstones.recorded_at < now() - keep
        and tombstones.change_xid < pg_snapshot_xmin(pg_current_snapshot())
    order by tombstones.change_xid desc
    limit 1;
    if last_xid is null then
        return 0;
    end if;
    -- In one transaction, so that a run that misses a tombstone knows of it.
    insert into this_schema.change_tombstones_cleared as noted (up_to_xid)
    values (last_xid)
    on conflict (is_only_row) do update set
        up_to_xid = greatest(noted.up_to_xid, excluded.up_to_xid),
        cleared_at = now();
    delete from this_schema.change_tombstones where change_xid <= last_xid;
    get diagnostics cleared = row_count;
    return cleared;
end;
$$;

select place_function('clear_change_tombstones(interval)');

create or replace function try_daily_usage(target_date date, is_last_try boolean)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from this_schema.usage_groups(
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
        from this_schema.usage_aggregates_daily
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
        select id from this_schema.usage_aggregates_daily
        where id in (select id from difference)
        for update skip locked
    ),

    verdict as materialized (
        select
            is_last_try
            or this_schema.lock_usage_owners(
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
        delete from this_schema.usage_aggregates_daily
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update this_schema.usage_aggregates_daily as aggregate
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
        insert into this_schema.usage_aggregates_daily (
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
    perform set_config('saas_analytics.aggregating', 'off', true);
    return is_done;
end;
$$;

select place_function('try_daily_usage(date, boolean)');

create or replace function try_monthly_usage(first_day date, is_last_try boolean)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    target_year constant integer := extract(year from first_day);
    target_month constant integer := extract(month from first_day);
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from this_schema.usage_groups(
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
        from this_schema.usage_aggregates_monthly
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
        select id from this_schema.usage_aggregates_monthly
        where id in (select id from difference)
        for update skip locked
    ),

    verdict as materialized (
        select
            is_last_try
            or this_schema.lock_usage_owners(
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
        delete from this_schema.usage_aggregates_monthly
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update this_schema.usage_aggregates_monthly as aggregate
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
        insert into this_schema.usage_aggregates_monthly (
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
    perform set_config('saas_analytics.aggregating', 'off', true);
    return is_done;
end;
$$;

select place_function('try_monthly_usage(date, boolean)');

-- These name nothing of ours.
select place_function('update_updated_at_column()');
select place_function('stamp_change()');

commit;
