-- The sum of the migrations, as pg_dump shows it. Made by scripts/dump_schema.py: to
-- change the schema, write a migration. Partitions by month are left out.

CREATE FUNCTION public.aggregate_daily_usage(target_date date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    tries constant integer := 6;
begin
    if target_date is null or not isfinite(target_date) then
        raise exception 'aggregate_daily_usage: % is not a day', target_date
            using errcode = 'invalid_parameter_value';
    end if;

    insert into public.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    values ('day', target_date, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table public.users, public.licenses, public.teams
                in share mode;
            end if;
            if not public.try_daily_usage(target_date, attempt = tries) then
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

COMMENT ON FUNCTION public.aggregate_daily_usage(target_date date) IS 'Makes the rows of one day (UTC) in usage_aggregates_daily equal to its usage_events.';

CREATE FUNCTION public.aggregate_monthly_usage(target_year integer, target_month integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

    insert into public.usage_aggregate_runs (
        period_type, period_start, aggregated_at
    )
    values ('month', first_day, clock_timestamp())
    on conflict (period_type, period_start)
    do update set aggregated_at = clock_timestamp();

    for attempt in 1 .. tries loop
        begin
            if attempt = tries then
                lock table public.users, public.licenses, public.teams
                in share mode;
            end if;
            if not public.try_monthly_usage(first_day, attempt = tries) then
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

COMMENT ON FUNCTION public.aggregate_monthly_usage(target_year integer, target_month integer) IS 'Makes the rows of one month (UTC) in usage_aggregates_monthly equal to its usage_events; it never reads the daily aggregates.';

CREATE FUNCTION public.aggregate_stale_usage() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    tries constant integer := 6;
    callers_lock_timeout constant text := current_setting('lock_timeout');
    period_types text[];
    period_starts date[];
begin
    with
    taken as (
        delete from public.usage_aggregate_stale_periods
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
    insert into public.usage_aggregate_runs (
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
                lock table public.users, public.licenses, public.teams
                in share mode;
            else
                -- Much shorter than anybody looks for a deadlock.
                perform set_config('lock_timeout', '20ms', true);
            end if;
            for position in 1 .. cardinality(period_types) loop
                if not (
                    case period_types[position]
                        when 'day' then
                            public.try_daily_usage(
                                period_starts[position], attempt = tries
                            )
                        else
                            public.try_monthly_usage(
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

COMMENT ON FUNCTION public.aggregate_stale_usage() IS 'Aggregates the marked days and months anew. Returns how many there were.';

CREATE FUNCTION public.capture_changes(source regclass, more_columns text[] DEFAULT '{}'::text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    home text;
    table_name text;
    known name;
    kept text[];
    former text;
    present text;
    arguments text;
begin
    select quote_ident(nspname), relname into home, table_name
    from pg_class
    inner join pg_namespace on relnamespace = pg_namespace.oid
    where pg_class.oid = source and relkind in ('r', 'p') and not relispartition;
    if not found then
        raise exception '% is not a table of its own', source
            using hint = 'name a table that is neither a view nor a partition';
    end if;
    select column_name into former
    from unnest(more_columns) as column_name
    where not exists (
        select from pg_attribute
        where attrelid = source and attname = column_name
            and attnum > 0 and not attisdropped and attgenerated != 'v'
    );
    if found then
        raise exception '% has no stored column %', source, former
            using hint = 'name columns as the table has them now';
    end if;

    if not exists (
        select from pg_attribute
        where attrelid = source and attname = 'change_xid' and not attisdropped
    ) then
        execute format(
            'alter table %s add column change_xid xid8 not null '
            'default pg_current_xact_id()', source
        );
        execute format('create index on %s (change_xid)', source);
    end if;

    -- A trigger's condition follows its columns by number; its arguments are names.
    select array_agg(attname order by attnum) into kept
    from pg_attribute
    where attrelid = source and attnum > 0 and not attisdropped and (
        attname = any (more_columns)
        or attnum in (
            select variable[1]::smallint
            from pg_trigger
            cross join regexp_matches(
                tgqual::text, '\{VAR :varno 1 :varattno (\d+) ', 'g'
            ) as variable
            where tgrelid = source and tgtype & 16 = 16 and tgfoid in (
                select oid from pg_proc where proname = 'record_change'
            )
        )
    );
    if kept is null then
        raise exception 'no column of % is captured', source
            using hint = 'name those that marts group by, filter by or join by';
    end if;
    for known in
        select tgname
        from pg_trigger
        where tgrelid = source and not tgisinternal and tgfoid in (
            select oid from pg_proc where proname in ('stamp_change', 'record_change')
        )
    loop
        execute format('drop trigger %I on %s', known, source);
    end loop;

    select
        string_agg(format('old.%I', name), ', '),
        string_agg(format('new.%I', name), ', '),
        concat_ws(', ', quote_literal(table_name), string_agg(quote_literal(name), ', '))
    into former, present, arguments
    from unnest(kept) as name;
    table_name := left(table_name, 54);
    execute format(
        'create trigger %1$I before update on %2$s
        for each row execute function %3$s.stamp_change()',
        table_name || '_stamped', source, home
    );
    execute format(
        'create trigger %1$I after update on %2$s
        for each row when ((%3$s) is distinct from (%4$s))
        execute function %5$s.record_change(%6$s)',
        table_name || '_moved', source, former, present, home, arguments
    );
    execute format(
        'create trigger %1$I after delete on %2$s
        for each row execute function %3$s.record_change(%4$s)',
        table_name || '_deleted', source, home, arguments
    );
    execute format(
        'create trigger %1$I after insert on %2$s
        for each row when (new.change_xid is distinct from pg_current_xact_id())
        execute function %3$s.record_change(%4$s)',
        table_name || '_copied', source, home, arguments
    );
    execute format(
        'alter table %1$s
        enable always trigger %2$I, enable always trigger %3$I,
        enable always trigger %4$I, enable always trigger %5$I',
        source, table_name || '_stamped', table_name || '_moved',
        table_name || '_deleted', table_name || '_copied'
    );
    return kept;
end;
$_$;

COMMENT ON FUNCTION public.capture_changes(source regclass, more_columns text[]) IS 'Makes the triggers of change capture on a table again: before-images keep what they kept and more columns. Returns the columns. Marts that read the table are rebuilt.';

CREATE FUNCTION public.clear_change_tombstones(keep interval DEFAULT '14 days'::interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    last_xid xid8;
    cleared bigint;
begin
    -- Only of transactions that are over: none of them adds another one.
    select tombstones.change_xid into last_xid
    from public.change_tombstones as tombstones
    where tombstones.recorded_at < now() - keep
        and tombstones.change_xid < pg_snapshot_xmin(pg_current_snapshot())
    order by tombstones.change_xid desc
    limit 1;
    if last_xid is null then
        return 0;
    end if;
    -- In one transaction, so that a run that misses a tombstone knows of it.
    insert into public.change_tombstones_cleared as noted (up_to_xid)
    values (last_xid)
    on conflict (is_only_row) do update set
        up_to_xid = greatest(noted.up_to_xid, excluded.up_to_xid),
        cleared_at = now();
    delete from public.change_tombstones where change_xid <= last_xid;
    get diagnostics cleared = row_count;
    return cleared;
end;
$$;

COMMENT ON FUNCTION public.clear_change_tombstones(keep interval) IS 'Deletes tombstones older than the interval and returns how many. Marts that no run has seen for so long are rebuilt by their next one.';

CREATE FUNCTION public.create_event_partitions(from_month date, to_month date) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    -- Quoted where it needs to be.
    home constant text := (
        select typnamespace::regnamespace from pg_type
        where oid = pg_typeof(null::public.usage_events)
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
    lock table only public.usage_events in share update exclusive mode;

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
            lock table public.users, public.licenses, public.teams
            in share row exclusive mode;
            lock table only public.usage_events, only public.api_usage,
            only public.error_logs, only public.audit_logs
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
$_$;

COMMENT ON FUNCTION public.create_event_partitions(from_month date, to_month date) IS 'Makes the monthly partitions of the four event tables from one month to another, both included, where they are missing, and moves events of these months out of the default partitions. Returns how many it made. Safe to repeat, also by several at once; run it ahead of time, one month a transaction.';

CREATE FUNCTION public.forget_erasures(seen xid8) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    last_xid xid8;
    forgotten bigint;
begin
    with
    noted as (
        delete from public.erasures_to_forget
        where change_xid < least(seen, pg_snapshot_xmin(pg_current_snapshot()))
        returning change_xid
    ),

    deleted as (
        delete from public.change_tombstones
        where change_xid in (select change_xid from noted)
        returning change_xid
    )

    select count(*), max(change_xid::text::numeric)::text::xid8
    into forgotten, last_xid
    from deleted;
    if last_xid is not null then
        -- In one transaction, so that a run that misses one knows of it.
        insert into public.change_tombstones_cleared as noted (up_to_xid)
        values (last_xid)
        on conflict (is_only_row) do update set
            up_to_xid = greatest(noted.up_to_xid, excluded.up_to_xid),
            cleared_at = now();
    end if;
    return forgotten;
end;
$$;

COMMENT ON FUNCTION public.forget_erasures(seen xid8) IS 'Deletes the before-images of erasures whose transactions are older than what every mart has seen, and returns how many. A mart that has not seen them is rebuilt.';

CREATE FUNCTION public.lock_usage_owners(user_ids uuid[], license_ids uuid[], team_ids uuid[]) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    wanted constant bigint := coalesce(cardinality(user_ids), 0)
        + coalesce(cardinality(license_ids), 0) + coalesce(cardinality(team_ids), 0);
    locked bigint := 0;
    found_rows bigint;
begin
    perform from public.users where id = any (user_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from public.licenses where id = any (license_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    locked := locked + found_rows;
    perform from public.teams where id = any (team_ids)
    for key share skip locked;
    get diagnostics found_rows = row_count;
    return locked + found_rows = wanted;
end;
$$;

COMMENT ON FUNCTION public.lock_usage_owners(user_ids uuid[], license_ids uuid[], team_ids uuid[]) IS 'Keeps users, licences and teams from being deleted until the end of the transaction. False, without waiting, where one of them is gone or being deleted.';

CREATE FUNCTION public.mark_stale_usage_aggregates() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if current_setting('saas_analytics.aggregating', true) = 'on' then
        return null;
    end if;
    if tg_table_name = 'usage_aggregates_daily' then
        insert into public.usage_aggregate_stale_periods (
            period_type, period_start
        )
        select distinct 'day', date from old_rows;
    else
        insert into public.usage_aggregate_stale_periods (
            period_type, period_start
        )
        select distinct 'month', make_date(year, month, 1) from old_rows;
    end if;
    return null;
end;
$$;

COMMENT ON FUNCTION public.mark_stale_usage_aggregates() IS 'Marks the periods that lost aggregate rows to anything but the aggregation itself.';

CREATE FUNCTION public.note_erasure(erased uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into public.erasures_to_forget (change_xid)
    select pg_current_xact_id()
    union
    select change_xid from public.change_tombstones
    where old_row ->> 'user_id' = any (erased::text[])
        or old_row ->> 'license_id' = any (erased::text[])
        or old_row ->> 'team_id' = any (erased::text[])
        or old_row ->> 'affiliate_id' = any (erased::text[])
        or (
            table_name = any (array['users', 'licenses', 'teams', 'affiliates'])
            and old_row ->> 'id' = any (erased::text[])
        )
    on conflict do nothing;
end;
$$;

COMMENT ON FUNCTION public.note_erasure(erased uuid[]) IS 'Notes this transaction, and those whose before-images name one of these rows: a user, and the licences, teams and affiliates of that user.';

CREATE FUNCTION public.place_function(placed regprocedure) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

COMMENT ON FUNCTION public.place_function(placed regprocedure) IS 'Gives a function the search_path pg_catalog and pg_temp, and its body the name of its schema wherever that says this_schema.';

CREATE FUNCTION public.record_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    whole_row constant jsonb :=
        to_jsonb(case tg_op when 'INSERT' then new else old end);
begin
    insert into public.change_tombstones (table_name, old_row)
    select
        tg_argv[0],
        coalesce(
            jsonb_object_agg(kept, whole_row -> kept) filter (where whole_row ? kept),
            '{}'
        )
    from unnest(tg_argv[1:]) as kept;
    return null;
end;
$$;

COMMENT ON FUNCTION public.record_change() IS 'Leaves a tombstone: the table''s name, and of the row the columns that the trigger names after it.';

CREATE FUNCTION public.stamp_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    new.change_xid := pg_current_xact_id();
    return new;
end;
$$;

COMMENT ON FUNCTION public.stamp_change() IS 'Stamps an updated row with its transaction, whatever the update says.';

CREATE FUNCTION public.try_daily_usage(target_date date, is_last_try boolean) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from public.usage_groups(
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
        from public.usage_aggregates_daily
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
        select id from public.usage_aggregates_daily
        where id in (select id from difference)
        for update skip locked
    ),

    verdict as materialized (
        select
            is_last_try
            or public.lock_usage_owners(
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
        delete from public.usage_aggregates_daily
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update public.usage_aggregates_daily as aggregate
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
        insert into public.usage_aggregates_daily (
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

COMMENT ON FUNCTION public.try_daily_usage(target_date date, is_last_try boolean) IS 'Aggregates a day where nobody is in its way, without waiting. False where somebody is: the caller has to let go of what was locked. A last try has kept others out.';

CREATE FUNCTION public.try_monthly_usage(first_day date, is_last_try boolean) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    target_year constant integer := extract(year from first_day);
    target_month constant integer := extract(month from first_day);
    is_done boolean;
begin
    perform set_config('saas_analytics.aggregating', 'on', true);
    with
    fresh as materialized (
        select * from public.usage_groups(
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
        from public.usage_aggregates_monthly
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
        select id from public.usage_aggregates_monthly
        where id in (select id from difference)
        for update skip locked
    ),

    verdict as materialized (
        select
            is_last_try
            or public.lock_usage_owners(
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
        delete from public.usage_aggregates_monthly
        where (select is_free from verdict)
            and id in (select id from difference where action = 'remove')
    ),

    changed as (
        update public.usage_aggregates_monthly as aggregate
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
        insert into public.usage_aggregates_monthly (
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

COMMENT ON FUNCTION public.try_monthly_usage(first_day date, is_last_try boolean) IS 'Aggregates a month as try_daily_usage does a day.';

CREATE FUNCTION public.update_affiliate_earnings() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    affiliate_ids uuid[];
    paid_amounts bigint[];
    approved_amounts bigint[];
begin
    if tg_op = 'TRUNCATE' then
        -- As for referrals: an older snapshot may show 0 where there is more by now.
        update public.affiliates
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
        perform from public.affiliates where id = any (affiliate_ids)
        order by id for no key update;
    end if;

    update public.affiliates as affiliate
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

COMMENT ON FUNCTION public.update_affiliate_earnings() IS 'Keeps the three amounts on affiliates: total_earnings_cents = its commissions approved or paid, paid_out_cents = paid, pending_payout_cents = approved.';

CREATE FUNCTION public.update_affiliate_referral_stats() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    affiliate_ids uuid[];
    differences bigint[];
begin
    if tg_op = 'TRUNCATE' then
        -- An older snapshot may show 0 where there is more by now: touching the row
        -- anyway makes that a serialization failure.
        update public.affiliates set total_referrals = 0
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
        perform from public.affiliates where id = any (affiliate_ids)
        order by id for no key update;
    end if;

    update public.affiliates as affiliate
    set total_referrals = affiliate.total_referrals + change.difference
    from unnest(affiliate_ids, differences) as change (affiliate_id, difference)
    where affiliate.id = change.affiliate_id;
    return null;
end;
$$;

COMMENT ON FUNCTION public.update_affiliate_referral_stats() IS 'Keeps affiliates.total_referrals = its referrals qualified or converted.';

CREATE FUNCTION public.update_updated_at_column() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    new.updated_at = now();
    return new;
end;
$$;

COMMENT ON FUNCTION public.update_updated_at_column() IS 'Sets updated_at to the time of the transaction on every update.';

CREATE FUNCTION public.usage_groups(from_time timestamp with time zone, to_time timestamp with time zone) RETURNS TABLE(group_key jsonb, user_id uuid, license_id uuid, team_id uuid, event_type character varying, event_count bigint, unique_sessions bigint, unique_days_active bigint, total_duration_seconds numeric)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
select
    jsonb_build_array(user_id, license_id, team_id, event_type::varchar(201)),
    user_id,
    license_id,
    team_id,
    event_type::varchar(201),
    count(*),
    count(distinct session_id),
    count(distinct (occurred_at at time zone 'UTC')::date),
    coalesce(
        sum(
            jsonb_path_query_first(
                event_data,
                'strict $."duration_seconds" ? (@ >= 0 && @ < 1e100)',
                '{}',
                true
            )::numeric
        ),
        0
    )
from public.usage_events
where occurred_at >= from_time and occurred_at < to_time
    and case
        when occurred_at >= '1970-01-01 00:00:00+00'
            and occurred_at < '2100-01-01 00:00:00+00'
            then created_at >= occurred_at - interval '24 hours'
        else false
    end
group by user_id, license_id, team_id, event_type::varchar(201);
$_$;

COMMENT ON FUNCTION public.usage_groups(from_time timestamp with time zone, to_time timestamp with time zone) IS 'The usage of each group of user, licence, team and event type from one moment until before another. Null ids form groups of their own; group_key equals for equal groups.';

CREATE TABLE public.affiliate_clicks (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    affiliate_id uuid NOT NULL,
    ip_address inet,
    user_agent text,
    referrer_url text,
    landing_page text,
    utm_source character varying(255),
    utm_medium character varying(255),
    utm_campaign character varying(255),
    utm_content character varying(255),
    utm_term character varying(255),
    converted boolean DEFAULT false NOT NULL,
    referral_id uuid,
    clicked_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL
);

COMMENT ON TABLE public.affiliate_clicks IS 'One row per click on an affiliate''s link.';

CREATE TABLE public.affiliate_commissions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    affiliate_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    payment_transaction_id uuid,
    commission_type character varying(50) NOT NULL,
    amount_cents bigint NOT NULL,
    commission_rate numeric(5,2) NOT NULL,
    currency character varying(3) DEFAULT 'USD'::character varying NOT NULL,
    status character varying(50) DEFAULT 'pending'::character varying NOT NULL,
    approved_at timestamp with time zone,
    paid_at timestamp with time zone,
    payout_id uuid,
    notes text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT affiliate_commissions_amount_cents_at_most_10_to_15 CHECK ((amount_cents <= '1000000000000000'::bigint)),
    CONSTRAINT affiliate_commissions_amount_cents_check CHECK ((amount_cents >= 0)),
    CONSTRAINT affiliate_commissions_commission_rate_check CHECK (((commission_rate >= (0)::numeric) AND (commission_rate <= (100)::numeric))),
    CONSTRAINT affiliate_commissions_commission_type_check CHECK (((commission_type)::text = ANY ((ARRAY['initial'::character varying, 'recurring'::character varying, 'bonus'::character varying, 'adjustment'::character varying])::text[]))),
    CONSTRAINT affiliate_commissions_status_check CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'approved'::character varying, 'paid'::character varying, 'cancelled'::character varying, 'disputed'::character varying])::text[])))
);

COMMENT ON TABLE public.affiliate_commissions IS 'One row per commission that an affiliate may earn on a referral''s payment.';

CREATE TABLE public.affiliate_payouts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    affiliate_id uuid NOT NULL,
    amount_cents bigint NOT NULL,
    currency character varying(3) DEFAULT 'USD'::character varying NOT NULL,
    payment_method character varying(50) NOT NULL,
    payment_reference character varying(255),
    status character varying(50) DEFAULT 'pending'::character varying NOT NULL,
    commission_count integer DEFAULT 0 NOT NULL,
    processed_at timestamp with time zone,
    completed_at timestamp with time zone,
    failed_reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT affiliate_payouts_amount_cents_at_most_10_to_15 CHECK ((amount_cents <= '1000000000000000'::bigint)),
    CONSTRAINT affiliate_payouts_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT affiliate_payouts_commission_count_check CHECK ((commission_count >= 0)),
    CONSTRAINT affiliate_payouts_payment_method_check CHECK (((payment_method)::text = ANY ((ARRAY['stripe'::character varying, 'paypal'::character varying, 'bank_transfer'::character varying, 'crypto'::character varying])::text[]))),
    CONSTRAINT affiliate_payouts_status_check CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying, 'completed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[])))
);

COMMENT ON TABLE public.affiliate_payouts IS 'One row per transfer of money to an affiliate.';

CREATE TABLE public.affiliate_referrals (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    affiliate_id uuid NOT NULL,
    referred_user_id uuid NOT NULL,
    license_id uuid,
    subscription_id uuid,
    referral_source character varying(255),
    ip_address inet,
    user_agent text,
    utm_source character varying(255),
    utm_medium character varying(255),
    utm_campaign character varying(255),
    utm_content character varying(255),
    utm_term character varying(255),
    status character varying(50) DEFAULT 'pending'::character varying NOT NULL,
    qualified_at timestamp with time zone,
    converted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT affiliate_referrals_status_check CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'qualified'::character varying, 'converted'::character varying, 'cancelled'::character varying, 'refunded'::character varying])::text[])))
);

COMMENT ON TABLE public.affiliate_referrals IS 'One row per user that an affiliate brought, at most one per affiliate and user.';

CREATE TABLE public.affiliates (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    affiliate_code character varying(50) NOT NULL,
    status character varying(50) DEFAULT 'pending'::character varying NOT NULL,
    commission_rate numeric(5,2) DEFAULT 20.00 NOT NULL,
    payment_method character varying(50),
    payment_details jsonb DEFAULT '{}'::jsonb,
    total_referrals bigint DEFAULT 0 NOT NULL,
    total_earnings_cents bigint DEFAULT 0 NOT NULL,
    paid_out_cents bigint DEFAULT 0 NOT NULL,
    pending_payout_cents bigint DEFAULT 0 NOT NULL,
    approved_at timestamp with time zone,
    suspended_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT affiliates_check CHECK (((paid_out_cents + pending_payout_cents) <= total_earnings_cents)),
    CONSTRAINT affiliates_commission_rate_check CHECK (((commission_rate >= (0)::numeric) AND (commission_rate <= (100)::numeric))),
    CONSTRAINT affiliates_paid_out_cents_check CHECK ((paid_out_cents >= 0)),
    CONSTRAINT affiliates_payment_method_check CHECK (((payment_method)::text = ANY ((ARRAY['stripe'::character varying, 'paypal'::character varying, 'bank_transfer'::character varying, 'crypto'::character varying])::text[]))),
    CONSTRAINT affiliates_pending_payout_cents_check CHECK ((pending_payout_cents >= 0)),
    CONSTRAINT affiliates_status_check CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'active'::character varying, 'suspended'::character varying, 'banned'::character varying])::text[]))),
    CONSTRAINT affiliates_total_earnings_cents_check CHECK ((total_earnings_cents >= 0)),
    CONSTRAINT affiliates_total_referrals_check CHECK ((total_referrals >= 0))
)
WITH (fillfactor='70');

COMMENT ON TABLE public.affiliates IS 'One row per affiliate. The counters are kept by triggers: do not write to them.';

CREATE TABLE public.api_usage (
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid,
    license_id uuid,
    api_key_id uuid,
    endpoint character varying(255) NOT NULL,
    method character varying(10) NOT NULL,
    status_code integer NOT NULL,
    response_time_ms integer,
    request_size_bytes integer,
    response_size_bytes integer,
    ip_address inet,
    user_agent text,
    error_message text,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT api_usage_method_check CHECK (((method)::text = ANY ((ARRAY['GET'::character varying, 'POST'::character varying, 'PUT'::character varying, 'PATCH'::character varying, 'DELETE'::character varying])::text[]))),
    CONSTRAINT api_usage_request_size_bytes_check CHECK ((request_size_bytes >= 0)),
    CONSTRAINT api_usage_response_size_bytes_check CHECK ((response_size_bytes >= 0)),
    CONSTRAINT api_usage_response_time_ms_check CHECK ((response_time_ms >= 0)),
    CONSTRAINT api_usage_status_code_check CHECK (((status_code >= 100) AND (status_code < 600)))
)
PARTITION BY RANGE (occurred_at);

COMMENT ON TABLE public.api_usage IS 'One row per request to the public API.';

CREATE TABLE public.api_usage_default (
    id uuid DEFAULT uuidv7() CONSTRAINT api_usage_id_not_null NOT NULL,
    user_id uuid,
    license_id uuid,
    api_key_id uuid,
    endpoint character varying(255) CONSTRAINT api_usage_endpoint_not_null NOT NULL,
    method character varying(10) CONSTRAINT api_usage_method_not_null NOT NULL,
    status_code integer CONSTRAINT api_usage_status_code_not_null NOT NULL,
    response_time_ms integer,
    request_size_bytes integer,
    response_size_bytes integer,
    ip_address inet,
    user_agent text,
    error_message text,
    occurred_at timestamp with time zone DEFAULT now() CONSTRAINT api_usage_occurred_at_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT now() CONSTRAINT api_usage_created_at_not_null NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT api_usage_change_xid_not_null NOT NULL,
    CONSTRAINT api_usage_method_check CHECK (((method)::text = ANY ((ARRAY['GET'::character varying, 'POST'::character varying, 'PUT'::character varying, 'PATCH'::character varying, 'DELETE'::character varying])::text[]))),
    CONSTRAINT api_usage_request_size_bytes_check CHECK ((request_size_bytes >= 0)),
    CONSTRAINT api_usage_response_size_bytes_check CHECK ((response_size_bytes >= 0)),
    CONSTRAINT api_usage_response_time_ms_check CHECK ((response_time_ms >= 0)),
    CONSTRAINT api_usage_status_code_check CHECK (((status_code >= 100) AND (status_code < 600)))
);

CREATE TABLE public.audit_logs (
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid,
    team_id uuid,
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(255),
    changes jsonb DEFAULT '{}'::jsonb,
    ip_address inet,
    user_agent text,
    status character varying(20) NOT NULL,
    failure_reason text,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT audit_logs_status_check CHECK (((status)::text = ANY ((ARRAY['success'::character varying, 'failure'::character varying, 'pending'::character varying])::text[])))
)
PARTITION BY RANGE (occurred_at);

COMMENT ON TABLE public.audit_logs IS 'One row per action that must be accounted for.';

CREATE TABLE public.audit_logs_default (
    id uuid DEFAULT uuidv7() CONSTRAINT audit_logs_id_not_null NOT NULL,
    user_id uuid,
    team_id uuid,
    action character varying(100) CONSTRAINT audit_logs_action_not_null NOT NULL,
    resource_type character varying(50) CONSTRAINT audit_logs_resource_type_not_null NOT NULL,
    resource_id character varying(255),
    changes jsonb DEFAULT '{}'::jsonb,
    ip_address inet,
    user_agent text,
    status character varying(20) CONSTRAINT audit_logs_status_not_null NOT NULL,
    failure_reason text,
    occurred_at timestamp with time zone DEFAULT now() CONSTRAINT audit_logs_occurred_at_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT now() CONSTRAINT audit_logs_created_at_not_null NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT audit_logs_change_xid_not_null NOT NULL,
    CONSTRAINT audit_logs_status_check CHECK (((status)::text = ANY ((ARRAY['success'::character varying, 'failure'::character varying, 'pending'::character varying])::text[])))
);

CREATE TABLE public.change_tombstones (
    table_name text NOT NULL,
    old_row jsonb NOT NULL,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.change_tombstones REPLICA IDENTITY FULL;

COMMENT ON TABLE public.change_tombstones IS 'One row per source row that was deleted or left a group: what marts knew it by.';

CREATE TABLE public.change_tombstones_cleared (
    is_only_row boolean DEFAULT true NOT NULL,
    up_to_xid xid8 NOT NULL,
    cleared_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT change_tombstones_cleared_is_only_row_check CHECK (is_only_row)
);

COMMENT ON TABLE public.change_tombstones_cleared IS 'One row: tombstones up to this transaction are gone. A mart whose last run is older is rebuilt.';

CREATE TABLE public.erasures_to_forget (
    change_xid xid8 NOT NULL
);

COMMENT ON TABLE public.erasures_to_forget IS 'One row per transaction whose before-images name an erased person.';

CREATE TABLE public.error_logs (
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid,
    license_id uuid,
    error_type character varying(100) NOT NULL,
    error_message text NOT NULL,
    error_stack text,
    severity character varying(20) NOT NULL,
    source character varying(100),
    endpoint character varying(255),
    method character varying(10),
    ip_address inet,
    user_agent text,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT error_logs_severity_check CHECK (((severity)::text = ANY ((ARRAY['debug'::character varying, 'info'::character varying, 'warning'::character varying, 'error'::character varying, 'critical'::character varying])::text[])))
)
PARTITION BY RANGE (occurred_at);

COMMENT ON TABLE public.error_logs IS 'One row per error that the application logged.';

CREATE TABLE public.error_logs_default (
    id uuid DEFAULT uuidv7() CONSTRAINT error_logs_id_not_null NOT NULL,
    user_id uuid,
    license_id uuid,
    error_type character varying(100) CONSTRAINT error_logs_error_type_not_null NOT NULL,
    error_message text CONSTRAINT error_logs_error_message_not_null NOT NULL,
    error_stack text,
    severity character varying(20) CONSTRAINT error_logs_severity_not_null NOT NULL,
    source character varying(100),
    endpoint character varying(255),
    method character varying(10),
    ip_address inet,
    user_agent text,
    occurred_at timestamp with time zone DEFAULT now() CONSTRAINT error_logs_occurred_at_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT now() CONSTRAINT error_logs_created_at_not_null NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT error_logs_change_xid_not_null NOT NULL,
    CONSTRAINT error_logs_severity_check CHECK (((severity)::text = ANY ((ARRAY['debug'::character varying, 'info'::character varying, 'warning'::character varying, 'error'::character varying, 'critical'::character varying])::text[])))
);

CREATE TABLE public.feature_usage (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid,
    license_id uuid,
    feature_name character varying(100) NOT NULL,
    feature_category character varying(50),
    first_used_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone DEFAULT now() NOT NULL,
    total_uses bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    CONSTRAINT feature_usage_total_uses_check CHECK ((total_uses >= 0))
);

COMMENT ON TABLE public.feature_usage IS 'One row per user, licence and feature, as the application counts them.';

CREATE TABLE public.licenses (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    license_key character varying(255) NOT NULL,
    plan_type character varying(50) NOT NULL,
    status character varying(50) DEFAULT 'active'::character varying NOT NULL,
    seats_total integer DEFAULT 1 NOT NULL,
    seats_used integer DEFAULT 0 NOT NULL,
    trial_ends_at timestamp with time zone,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT licenses_check CHECK ((seats_used <= seats_total)),
    CONSTRAINT licenses_plan_type_check CHECK (((plan_type)::text = ANY ((ARRAY['free'::character varying, 'starter'::character varying, 'pro'::character varying, 'enterprise'::character varying])::text[]))),
    CONSTRAINT licenses_seats_total_check CHECK ((seats_total > 0)),
    CONSTRAINT licenses_seats_used_check CHECK ((seats_used >= 0)),
    CONSTRAINT licenses_status_check CHECK (((status)::text = ANY ((ARRAY['active'::character varying, 'suspended'::character varying, 'cancelled'::character varying, 'expired'::character varying])::text[])))
);

COMMENT ON TABLE public.licenses IS 'One row per licence that a user bought or was given.';

CREATE TABLE public.payment_transactions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    subscription_id uuid,
    stripe_payment_intent_id character varying(255),
    stripe_invoice_id character varying(255),
    amount_cents bigint NOT NULL,
    currency character varying(3) DEFAULT 'USD'::character varying NOT NULL,
    status character varying(50) NOT NULL,
    payment_method character varying(50),
    failure_reason text,
    refunded_amount_cents bigint DEFAULT 0,
    processed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT payment_transactions_amount_cents_at_most_10_to_15 CHECK ((amount_cents <= '1000000000000000'::bigint)),
    CONSTRAINT payment_transactions_amount_cents_check CHECK ((amount_cents >= 0)),
    CONSTRAINT payment_transactions_refunded_amount_cents_at_most_10_to_15 CHECK ((refunded_amount_cents <= '1000000000000000'::bigint)),
    CONSTRAINT payment_transactions_refunded_amount_cents_check CHECK ((refunded_amount_cents >= 0)),
    CONSTRAINT payment_transactions_status_check CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'succeeded'::character varying, 'failed'::character varying, 'refunded'::character varying, 'canceled'::character varying])::text[])))
);

COMMENT ON TABLE public.payment_transactions IS 'One row per attempt to take a payment, with what was refunded of it.';

CREATE TABLE public.subscriptions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    license_id uuid NOT NULL,
    stripe_subscription_id character varying(255),
    stripe_customer_id character varying(255),
    status character varying(50) NOT NULL,
    plan_type character varying(50) NOT NULL,
    billing_cycle character varying(50) NOT NULL,
    amount_cents bigint NOT NULL,
    currency character varying(3) DEFAULT 'USD'::character varying NOT NULL,
    current_period_start timestamp with time zone,
    current_period_end timestamp with time zone,
    cancel_at_period_end boolean DEFAULT false NOT NULL,
    canceled_at timestamp with time zone,
    trial_start timestamp with time zone,
    trial_end timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT subscriptions_amount_cents_at_most_10_to_15 CHECK ((amount_cents <= '1000000000000000'::bigint)),
    CONSTRAINT subscriptions_amount_cents_check CHECK ((amount_cents >= 0)),
    CONSTRAINT subscriptions_billing_cycle_check CHECK (((billing_cycle)::text = ANY ((ARRAY['monthly'::character varying, 'yearly'::character varying])::text[]))),
    CONSTRAINT subscriptions_plan_type_check CHECK (((plan_type)::text = ANY ((ARRAY['free'::character varying, 'starter'::character varying, 'pro'::character varying, 'enterprise'::character varying])::text[]))),
    CONSTRAINT subscriptions_status_check CHECK (((status)::text = ANY ((ARRAY['active'::character varying, 'past_due'::character varying, 'unpaid'::character varying, 'canceled'::character varying, 'incomplete'::character varying, 'incomplete_expired'::character varying, 'trialing'::character varying])::text[])))
);

COMMENT ON TABLE public.subscriptions IS 'One row per Stripe subscription; amount_cents is the price of one billing cycle.';

CREATE TABLE public.team_members (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    team_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role character varying(50) DEFAULT 'member'::character varying NOT NULL,
    joined_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT team_members_role_check CHECK (((role)::text = ANY ((ARRAY['owner'::character varying, 'admin'::character varying, 'member'::character varying])::text[])))
);

COMMENT ON TABLE public.team_members IS 'One row per user in a team.';

CREATE TABLE public.teams (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    license_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    slug character varying(255) NOT NULL,
    owner_id uuid NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL
);

COMMENT ON TABLE public.teams IS 'One row per team that works on a licence.';

CREATE TABLE public.usage_aggregate_runs (
    period_type text NOT NULL,
    period_start date NOT NULL,
    aggregated_at timestamp with time zone NOT NULL,
    CONSTRAINT usage_aggregate_runs_period_type_check CHECK ((period_type = ANY (ARRAY['day'::text, 'month'::text])))
);

COMMENT ON TABLE public.usage_aggregate_runs IS 'One row per day or month that was aggregated. Its row lock lets two runs over the same period queue up, and stops one that works on an old snapshot.';

CREATE TABLE public.usage_aggregate_stale_periods (
    period_type text NOT NULL,
    period_start date NOT NULL,
    marked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT usage_aggregate_stale_periods_period_type_check CHECK ((period_type = ANY (ARRAY['day'::text, 'month'::text])))
);

COMMENT ON TABLE public.usage_aggregate_stale_periods IS 'One row per time that a day or month lost aggregate rows, mostly to a cascade.';

CREATE TABLE public.usage_aggregates_daily (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid,
    license_id uuid,
    team_id uuid,
    date date NOT NULL,
    event_type character varying(100) NOT NULL,
    event_count bigint DEFAULT 0 NOT NULL,
    unique_sessions bigint DEFAULT 0 NOT NULL,
    total_duration_seconds numeric DEFAULT 0,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    CONSTRAINT usage_aggregates_daily_event_count_check CHECK ((event_count >= 0)),
    CONSTRAINT usage_aggregates_daily_total_duration_seconds_check CHECK ((total_duration_seconds >= (0)::numeric)),
    CONSTRAINT usage_aggregates_daily_unique_sessions_check CHECK ((unique_sessions >= 0))
);

COMMENT ON TABLE public.usage_aggregates_daily IS 'One row per day (UTC), user, licence, team and event type: aggregate_daily_usage().';

CREATE TABLE public.usage_aggregates_monthly (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid,
    license_id uuid,
    team_id uuid,
    year integer NOT NULL,
    month integer NOT NULL,
    event_type character varying(100) NOT NULL,
    event_count bigint DEFAULT 0 NOT NULL,
    unique_sessions bigint DEFAULT 0 NOT NULL,
    unique_days_active integer DEFAULT 0 NOT NULL,
    total_duration_seconds numeric DEFAULT 0,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    CONSTRAINT usage_aggregates_monthly_event_count_check CHECK ((event_count >= 0)),
    CONSTRAINT usage_aggregates_monthly_month_check CHECK (((month >= 1) AND (month <= 12))),
    CONSTRAINT usage_aggregates_monthly_total_duration_seconds_check CHECK ((total_duration_seconds >= (0)::numeric)),
    CONSTRAINT usage_aggregates_monthly_unique_days_active_check CHECK (((unique_days_active >= 0) AND (unique_days_active <= 31))),
    CONSTRAINT usage_aggregates_monthly_unique_sessions_check CHECK ((unique_sessions >= 0)),
    CONSTRAINT usage_aggregates_monthly_year_check CHECK (((year >= 1970) AND (year <= 2100)))
);

COMMENT ON TABLE public.usage_aggregates_monthly IS 'One row per month (UTC), user, licence, team and event type: aggregate_monthly_usage().';

CREATE TABLE public.usage_events (
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid,
    license_id uuid,
    team_id uuid,
    event_type character varying(100) NOT NULL,
    event_category character varying(50) NOT NULL,
    event_name character varying(100) NOT NULL,
    event_data jsonb DEFAULT '{}'::jsonb,
    session_id character varying(255),
    ip_address inet,
    user_agent text,
    client_version character varying(50),
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT usage_events_event_category_check CHECK (((event_category)::text = ANY ((ARRAY['license'::character varying, 'api'::character varying, 'feature'::character varying, 'auth'::character varying, 'billing'::character varying, 'team'::character varying, 'system'::character varying])::text[])))
)
PARTITION BY RANGE (occurred_at);

COMMENT ON TABLE public.usage_events IS 'One row per thing that a user or the system did.';

CREATE TABLE public.usage_events_default (
    id uuid DEFAULT uuidv7() CONSTRAINT usage_events_id_not_null NOT NULL,
    user_id uuid,
    license_id uuid,
    team_id uuid,
    event_type character varying(100) CONSTRAINT usage_events_event_type_not_null NOT NULL,
    event_category character varying(50) CONSTRAINT usage_events_event_category_not_null NOT NULL,
    event_name character varying(100) CONSTRAINT usage_events_event_name_not_null NOT NULL,
    event_data jsonb DEFAULT '{}'::jsonb,
    session_id character varying(255),
    ip_address inet,
    user_agent text,
    client_version character varying(50),
    occurred_at timestamp with time zone DEFAULT now() CONSTRAINT usage_events_occurred_at_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT now() CONSTRAINT usage_events_created_at_not_null NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT usage_events_change_xid_not_null NOT NULL,
    CONSTRAINT usage_events_event_category_check CHECK (((event_category)::text = ANY ((ARRAY['license'::character varying, 'api'::character varying, 'feature'::character varying, 'auth'::character varying, 'billing'::character varying, 'team'::character varying, 'system'::character varying])::text[])))
);

CREATE TABLE public.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    email character varying(255) NOT NULL,
    password_hash character varying(255) NOT NULL,
    full_name character varying(255),
    role character varying(50) DEFAULT 'user'::character varying NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    email_verified boolean DEFAULT false NOT NULL,
    email_verified_at timestamp with time zone,
    last_login_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    change_xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT users_role_check CHECK (((role)::text = ANY ((ARRAY['user'::character varying, 'admin'::character varying, 'super_admin'::character varying])::text[])))
);

COMMENT ON TABLE public.users IS 'One row per person with an account.';

ALTER TABLE ONLY public.api_usage ATTACH PARTITION public.api_usage_default DEFAULT;

ALTER TABLE ONLY public.audit_logs ATTACH PARTITION public.audit_logs_default DEFAULT;

ALTER TABLE ONLY public.error_logs ATTACH PARTITION public.error_logs_default DEFAULT;

ALTER TABLE ONLY public.usage_events ATTACH PARTITION public.usage_events_default DEFAULT;

ALTER TABLE ONLY public.affiliate_clicks
    ADD CONSTRAINT affiliate_clicks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.affiliate_commissions
    ADD CONSTRAINT affiliate_commissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.affiliate_payouts
    ADD CONSTRAINT affiliate_payouts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.affiliate_referrals
    ADD CONSTRAINT affiliate_referrals_affiliate_id_referred_user_id_key UNIQUE (affiliate_id, referred_user_id);

ALTER TABLE ONLY public.affiliate_referrals
    ADD CONSTRAINT affiliate_referrals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.affiliates
    ADD CONSTRAINT affiliates_affiliate_code_key UNIQUE (affiliate_code);

ALTER TABLE ONLY public.affiliates
    ADD CONSTRAINT affiliates_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_usage
    ADD CONSTRAINT api_usage_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.api_usage_default
    ADD CONSTRAINT api_usage_default_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.audit_logs
    ADD CONSTRAINT audit_logs_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.audit_logs_default
    ADD CONSTRAINT audit_logs_default_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.change_tombstones_cleared
    ADD CONSTRAINT change_tombstones_cleared_pkey PRIMARY KEY (is_only_row);

ALTER TABLE ONLY public.erasures_to_forget
    ADD CONSTRAINT erasures_to_forget_pkey PRIMARY KEY (change_xid);

ALTER TABLE ONLY public.error_logs
    ADD CONSTRAINT error_logs_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.error_logs_default
    ADD CONSTRAINT error_logs_default_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.feature_usage
    ADD CONSTRAINT feature_usage_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.feature_usage
    ADD CONSTRAINT feature_usage_user_id_license_id_feature_name_key UNIQUE (user_id, license_id, feature_name);

ALTER TABLE ONLY public.licenses
    ADD CONSTRAINT licenses_license_key_key UNIQUE (license_key);

ALTER TABLE ONLY public.licenses
    ADD CONSTRAINT licenses_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payment_transactions
    ADD CONSTRAINT payment_transactions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payment_transactions
    ADD CONSTRAINT payment_transactions_stripe_payment_intent_id_key UNIQUE (stripe_payment_intent_id);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_stripe_subscription_id_key UNIQUE (stripe_subscription_id);

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_team_id_user_id_key UNIQUE (team_id, user_id);

ALTER TABLE ONLY public.teams
    ADD CONSTRAINT teams_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.teams
    ADD CONSTRAINT teams_slug_key UNIQUE (slug);

ALTER TABLE ONLY public.usage_aggregate_runs
    ADD CONSTRAINT usage_aggregate_runs_pkey PRIMARY KEY (period_type, period_start);

ALTER TABLE ONLY public.usage_aggregates_daily
    ADD CONSTRAINT usage_aggregates_daily_date_user_id_license_id_team_id_even_key UNIQUE (date, user_id, license_id, team_id, event_type);

ALTER TABLE ONLY public.usage_aggregates_daily
    ADD CONSTRAINT usage_aggregates_daily_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_aggregates_monthly
    ADD CONSTRAINT usage_aggregates_monthly_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_aggregates_monthly
    ADD CONSTRAINT usage_aggregates_monthly_year_month_user_id_license_id_team_key UNIQUE (year, month, user_id, license_id, team_id, event_type);

ALTER TABLE ONLY public.usage_events
    ADD CONSTRAINT usage_events_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.usage_events_default
    ADD CONSTRAINT usage_events_default_pkey PRIMARY KEY (occurred_at, id) WITH (fillfactor='97');

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX affiliate_clicks_affiliate_id_idx ON public.affiliate_clicks USING btree (affiliate_id);

CREATE INDEX affiliate_clicks_campaign_idx ON public.affiliate_clicks USING btree (((utm_campaign)::character varying(257))) WHERE (utm_campaign IS NOT NULL);

CREATE INDEX affiliate_clicks_change_xid_idx ON public.affiliate_clicks USING btree (change_xid);

CREATE INDEX affiliate_clicks_clicked_at_idx ON public.affiliate_clicks USING btree (clicked_at);

CREATE INDEX affiliate_clicks_converted_idx ON public.affiliate_clicks USING btree (converted) WHERE converted;

CREATE INDEX affiliate_clicks_referral_id_idx ON public.affiliate_clicks USING btree (referral_id) WHERE (referral_id IS NOT NULL);

CREATE INDEX affiliate_commissions_affiliate_id_idx ON public.affiliate_commissions USING btree (affiliate_id);

CREATE INDEX affiliate_commissions_change_xid_idx ON public.affiliate_commissions USING btree (change_xid);

CREATE INDEX affiliate_commissions_commission_type_idx ON public.affiliate_commissions USING btree (commission_type);

CREATE INDEX affiliate_commissions_created_at_idx ON public.affiliate_commissions USING btree (created_at);

CREATE INDEX affiliate_commissions_payment_transaction_id_idx ON public.affiliate_commissions USING btree (payment_transaction_id) WHERE (payment_transaction_id IS NOT NULL);

CREATE INDEX affiliate_commissions_payout_id_idx ON public.affiliate_commissions USING btree (payout_id) WHERE (payout_id IS NOT NULL);

CREATE INDEX affiliate_commissions_referral_id_idx ON public.affiliate_commissions USING btree (referral_id);

CREATE INDEX affiliate_commissions_status_idx ON public.affiliate_commissions USING btree (status);

CREATE INDEX affiliate_payouts_affiliate_id_idx ON public.affiliate_payouts USING btree (affiliate_id);

CREATE INDEX affiliate_payouts_change_xid_idx ON public.affiliate_payouts USING btree (change_xid);

CREATE INDEX affiliate_payouts_created_at_idx ON public.affiliate_payouts USING btree (created_at);

CREATE INDEX affiliate_payouts_payment_reference_idx ON public.affiliate_payouts USING btree (payment_reference) WHERE (payment_reference IS NOT NULL);

CREATE INDEX affiliate_payouts_status_idx ON public.affiliate_payouts USING btree (status);

CREATE INDEX affiliate_referrals_campaign_idx ON public.affiliate_referrals USING btree (((utm_campaign)::character varying(257))) WHERE (utm_campaign IS NOT NULL);

CREATE INDEX affiliate_referrals_change_xid_idx ON public.affiliate_referrals USING btree (change_xid);

CREATE INDEX affiliate_referrals_converted_at_idx ON public.affiliate_referrals USING btree ((
CASE
    WHEN ((converted_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (converted_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN converted_at
    ELSE NULL::timestamp with time zone
END));

CREATE INDEX affiliate_referrals_created_at_idx ON public.affiliate_referrals USING btree (created_at);

CREATE INDEX affiliate_referrals_license_id_idx ON public.affiliate_referrals USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX affiliate_referrals_plausible_created_at_idx ON public.affiliate_referrals USING btree ((
CASE
    WHEN ((created_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (created_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN created_at
    ELSE NULL::timestamp with time zone
END));

CREATE INDEX affiliate_referrals_qualified_at_idx ON public.affiliate_referrals USING btree ((
CASE
    WHEN ((qualified_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (qualified_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN qualified_at
    ELSE NULL::timestamp with time zone
END));

CREATE INDEX affiliate_referrals_referred_user_id_idx ON public.affiliate_referrals USING btree (referred_user_id);

CREATE INDEX affiliate_referrals_status_idx ON public.affiliate_referrals USING btree (status);

CREATE INDEX affiliate_referrals_subscription_id_idx ON public.affiliate_referrals USING btree (subscription_id) WHERE (subscription_id IS NOT NULL);

CREATE INDEX affiliates_created_at_idx ON public.affiliates USING btree (created_at);

CREATE INDEX affiliates_status_idx ON public.affiliates USING btree (status);

CREATE INDEX affiliates_user_id_idx ON public.affiliates USING btree (user_id);

CREATE INDEX api_usage_brin_idx ON ONLY public.api_usage USING brin (occurred_at, id, endpoint text_bloom_ops (n_distinct_per_range='64')) WITH (pages_per_range='8');

CREATE INDEX api_usage_change_xid_idx ON ONLY public.api_usage USING btree (change_xid);

CREATE INDEX api_usage_default_change_xid_idx ON public.api_usage_default USING btree (change_xid);

CREATE INDEX api_usage_endpoint_day_idx ON ONLY public.api_usage USING btree (((endpoint)::character varying(257)), ((method)::character varying(201)), (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX api_usage_default_endpoint_method_timezone_idx1 ON public.api_usage_default USING btree (((endpoint)::character varying(257)), ((method)::character varying(201)), (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX api_usage_license_id_idx ON ONLY public.api_usage USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX api_usage_default_license_id_idx ON public.api_usage_default USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX api_usage_default_occurred_at_id_endpoint_idx ON public.api_usage_default USING brin (occurred_at, id, endpoint text_bloom_ops (n_distinct_per_range='64')) WITH (pages_per_range='8');

CREATE INDEX api_usage_status_code_idx ON ONLY public.api_usage USING btree (status_code) WHERE (status_code >= 400);

CREATE INDEX api_usage_default_status_code_idx ON public.api_usage_default USING btree (status_code) WHERE (status_code >= 400);

CREATE INDEX api_usage_user_id_idx ON ONLY public.api_usage USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX api_usage_default_user_id_idx ON public.api_usage_default USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX audit_logs_action_day_idx ON ONLY public.audit_logs USING btree (((action)::character varying(201)), ((resource_type)::character varying(201)), ((status)::character varying(201)), (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX audit_logs_brin_idx ON ONLY public.audit_logs USING brin (occurred_at, id, action text_bloom_ops (n_distinct_per_range='32'), resource_type text_bloom_ops (n_distinct_per_range='16')) WITH (pages_per_range='8');

CREATE INDEX audit_logs_change_xid_idx ON ONLY public.audit_logs USING btree (change_xid);

CREATE INDEX audit_logs_default_action_resource_type_status_timezone_idx1 ON public.audit_logs_default USING btree (((action)::character varying(201)), ((resource_type)::character varying(201)), ((status)::character varying(201)), (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX audit_logs_default_change_xid_idx ON public.audit_logs_default USING btree (change_xid);

CREATE INDEX audit_logs_default_occurred_at_id_action_resource_type_idx ON public.audit_logs_default USING brin (occurred_at, id, action text_bloom_ops (n_distinct_per_range='32'), resource_type text_bloom_ops (n_distinct_per_range='16')) WITH (pages_per_range='8');

CREATE INDEX audit_logs_resource_id_idx ON ONLY public.audit_logs USING btree (resource_id) WHERE (resource_id IS NOT NULL);

CREATE INDEX audit_logs_default_resource_id_idx ON public.audit_logs_default USING btree (resource_id) WHERE (resource_id IS NOT NULL);

CREATE INDEX audit_logs_status_idx ON ONLY public.audit_logs USING btree (status) WHERE ((status)::text <> 'success'::text);

CREATE INDEX audit_logs_default_status_idx ON public.audit_logs_default USING btree (status) WHERE ((status)::text <> 'success'::text);

CREATE INDEX audit_logs_team_id_idx ON ONLY public.audit_logs USING btree (team_id) WHERE (team_id IS NOT NULL);

CREATE INDEX audit_logs_default_team_id_idx ON public.audit_logs_default USING btree (team_id) WHERE (team_id IS NOT NULL);

CREATE INDEX audit_logs_user_id_idx ON ONLY public.audit_logs USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX audit_logs_default_user_id_idx ON public.audit_logs_default USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX change_tombstones_table_name_idx ON public.change_tombstones USING btree (table_name, change_xid);

CREATE INDEX error_logs_brin_idx ON ONLY public.error_logs USING brin (occurred_at, id, error_type text_bloom_ops (n_distinct_per_range='32'), severity text_bloom_ops (n_distinct_per_range='16'), source text_bloom_ops (n_distinct_per_range='16')) WITH (pages_per_range='8');

CREATE INDEX error_logs_change_xid_idx ON ONLY public.error_logs USING btree (change_xid);

CREATE INDEX error_logs_default_change_xid_idx ON public.error_logs_default USING btree (change_xid);

CREATE INDEX error_logs_type_day_idx ON ONLY public.error_logs USING btree (((error_type)::character varying(201)), ((severity)::character varying(201)), ((source)::character varying(201)), (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX error_logs_default_error_type_severity_source_timezone_idx1 ON public.error_logs_default USING btree (((error_type)::character varying(201)), ((severity)::character varying(201)), ((source)::character varying(201)), (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX error_logs_license_id_idx ON ONLY public.error_logs USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX error_logs_default_license_id_idx ON public.error_logs_default USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX error_logs_default_occurred_at_id_error_type_severity_sourc_idx ON public.error_logs_default USING brin (occurred_at, id, error_type text_bloom_ops (n_distinct_per_range='32'), severity text_bloom_ops (n_distinct_per_range='16'), source text_bloom_ops (n_distinct_per_range='16')) WITH (pages_per_range='8');

CREATE INDEX error_logs_user_id_idx ON ONLY public.error_logs USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX error_logs_default_user_id_idx ON public.error_logs_default USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX feature_usage_feature_category_idx ON public.feature_usage USING btree (feature_category) WHERE (feature_category IS NOT NULL);

CREATE INDEX feature_usage_feature_name_idx ON public.feature_usage USING btree (feature_name);

CREATE INDEX feature_usage_last_used_at_idx ON public.feature_usage USING btree (last_used_at);

CREATE INDEX feature_usage_license_id_idx ON public.feature_usage USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX licenses_cancelled_at_idx ON public.licenses USING btree ((
CASE
    WHEN ((cancelled_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (cancelled_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN cancelled_at
    ELSE NULL::timestamp with time zone
END));

CREATE INDEX licenses_created_at_idx ON public.licenses USING btree (created_at);

CREATE INDEX licenses_expires_at_idx ON public.licenses USING btree (expires_at) WHERE (expires_at IS NOT NULL);

CREATE INDEX licenses_plan_type_idx ON public.licenses USING btree (plan_type);

CREATE INDEX licenses_plausible_expires_at_idx ON public.licenses USING btree ((
CASE
    WHEN ((expires_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (expires_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN expires_at
    ELSE NULL::timestamp with time zone
END));

CREATE INDEX licenses_started_at_idx ON public.licenses USING btree ((
CASE
    WHEN ((started_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (started_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN started_at
    ELSE NULL::timestamp with time zone
END));

CREATE INDEX licenses_status_idx ON public.licenses USING btree (status);

CREATE INDEX licenses_user_id_idx ON public.licenses USING btree (user_id);

CREATE INDEX payment_transactions_change_xid_idx ON public.payment_transactions USING btree (change_xid);

CREATE INDEX payment_transactions_created_at_idx ON public.payment_transactions USING btree (created_at);

CREATE INDEX payment_transactions_status_idx ON public.payment_transactions USING btree (status);

CREATE INDEX payment_transactions_subscription_id_idx ON public.payment_transactions USING btree (subscription_id) WHERE (subscription_id IS NOT NULL);

CREATE INDEX payment_transactions_time_idx ON public.payment_transactions USING btree (COALESCE(
CASE
    WHEN ((processed_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (processed_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN processed_at
    ELSE NULL::timestamp with time zone
END,
CASE
    WHEN ((created_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (created_at < '2100-01-01 00:00:00+00'::timestamp with time zone)) THEN created_at
    ELSE NULL::timestamp with time zone
END));

CREATE INDEX subscriptions_change_xid_idx ON public.subscriptions USING btree (change_xid);

CREATE INDEX subscriptions_current_period_end_idx ON public.subscriptions USING btree (current_period_end) WHERE (current_period_end IS NOT NULL);

CREATE INDEX subscriptions_license_id_idx ON public.subscriptions USING btree (license_id);

CREATE INDEX subscriptions_status_idx ON public.subscriptions USING btree (status);

CREATE INDEX subscriptions_stripe_customer_id_idx ON public.subscriptions USING btree (stripe_customer_id) WHERE (stripe_customer_id IS NOT NULL);

CREATE INDEX team_members_role_idx ON public.team_members USING btree (role) WHERE ((role)::text <> 'member'::text);

CREATE INDEX team_members_user_id_idx ON public.team_members USING btree (user_id);

CREATE INDEX teams_created_at_idx ON public.teams USING btree (created_at);

CREATE INDEX teams_inactive_idx ON public.teams USING btree (is_active) WHERE (NOT is_active);

CREATE INDEX teams_license_id_idx ON public.teams USING btree (license_id);

CREATE INDEX teams_owner_id_idx ON public.teams USING btree (owner_id);

CREATE INDEX usage_aggregate_stale_periods_idx ON public.usage_aggregate_stale_periods USING btree (period_type, period_start);

CREATE INDEX usage_aggregates_daily_event_type_idx ON public.usage_aggregates_daily USING btree (event_type);

CREATE INDEX usage_aggregates_daily_license_id_idx ON public.usage_aggregates_daily USING btree (license_id);

CREATE INDEX usage_aggregates_daily_team_id_idx ON public.usage_aggregates_daily USING btree (team_id) WHERE (team_id IS NOT NULL);

CREATE INDEX usage_aggregates_daily_user_id_idx ON public.usage_aggregates_daily USING btree (user_id);

CREATE INDEX usage_aggregates_monthly_event_type_idx ON public.usage_aggregates_monthly USING btree (event_type);

CREATE INDEX usage_aggregates_monthly_license_id_idx ON public.usage_aggregates_monthly USING btree (license_id);

CREATE INDEX usage_aggregates_monthly_team_id_idx ON public.usage_aggregates_monthly USING btree (team_id) WHERE (team_id IS NOT NULL);

CREATE INDEX usage_aggregates_monthly_user_id_idx ON public.usage_aggregates_monthly USING btree (user_id);

CREATE INDEX usage_events_brin_idx ON ONLY public.usage_events USING brin (occurred_at, id, session_id text_bloom_ops (n_distinct_per_range='128'), event_type text_bloom_ops (n_distinct_per_range='32'), event_category text_bloom_ops (n_distinct_per_range='16')) WITH (pages_per_range='8');

CREATE INDEX usage_events_change_xid_idx ON ONLY public.usage_events USING btree (change_xid);

CREATE INDEX usage_events_default_change_xid_idx ON public.usage_events_default USING btree (change_xid);

CREATE INDEX usage_events_license_id_idx ON ONLY public.usage_events USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX usage_events_default_license_id_idx ON public.usage_events_default USING btree (license_id) WHERE (license_id IS NOT NULL);

CREATE INDEX usage_events_default_occurred_at_id_session_id_event_type_e_idx ON public.usage_events_default USING brin (occurred_at, id, session_id text_bloom_ops (n_distinct_per_range='128'), event_type text_bloom_ops (n_distinct_per_range='32'), event_category text_bloom_ops (n_distinct_per_range='16')) WITH (pages_per_range='8');

CREATE INDEX usage_events_team_id_idx ON ONLY public.usage_events USING btree (team_id) WHERE (team_id IS NOT NULL);

CREATE INDEX usage_events_default_team_id_idx ON public.usage_events_default USING btree (team_id) WHERE (team_id IS NOT NULL);

CREATE INDEX usage_events_user_id_day_idx ON ONLY public.usage_events USING btree (user_id, (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX usage_events_default_user_id_timezone_idx ON public.usage_events_default USING btree (user_id, (((occurred_at AT TIME ZONE 'UTC'::text))::date));

CREATE INDEX users_created_at_idx ON public.users USING btree (created_at);

CREATE INDEX users_inactive_idx ON public.users USING btree (is_active) WHERE (NOT is_active);

CREATE INDEX users_role_idx ON public.users USING btree (role) WHERE ((role)::text <> 'user'::text);

ALTER INDEX public.api_usage_change_xid_idx ATTACH PARTITION public.api_usage_default_change_xid_idx;

ALTER INDEX public.api_usage_endpoint_day_idx ATTACH PARTITION public.api_usage_default_endpoint_method_timezone_idx1;

ALTER INDEX public.api_usage_license_id_idx ATTACH PARTITION public.api_usage_default_license_id_idx;

ALTER INDEX public.api_usage_brin_idx ATTACH PARTITION public.api_usage_default_occurred_at_id_endpoint_idx;

ALTER INDEX public.api_usage_pkey ATTACH PARTITION public.api_usage_default_pkey;

ALTER INDEX public.api_usage_status_code_idx ATTACH PARTITION public.api_usage_default_status_code_idx;

ALTER INDEX public.api_usage_user_id_idx ATTACH PARTITION public.api_usage_default_user_id_idx;

ALTER INDEX public.audit_logs_action_day_idx ATTACH PARTITION public.audit_logs_default_action_resource_type_status_timezone_idx1;

ALTER INDEX public.audit_logs_change_xid_idx ATTACH PARTITION public.audit_logs_default_change_xid_idx;

ALTER INDEX public.audit_logs_brin_idx ATTACH PARTITION public.audit_logs_default_occurred_at_id_action_resource_type_idx;

ALTER INDEX public.audit_logs_pkey ATTACH PARTITION public.audit_logs_default_pkey;

ALTER INDEX public.audit_logs_resource_id_idx ATTACH PARTITION public.audit_logs_default_resource_id_idx;

ALTER INDEX public.audit_logs_status_idx ATTACH PARTITION public.audit_logs_default_status_idx;

ALTER INDEX public.audit_logs_team_id_idx ATTACH PARTITION public.audit_logs_default_team_id_idx;

ALTER INDEX public.audit_logs_user_id_idx ATTACH PARTITION public.audit_logs_default_user_id_idx;

ALTER INDEX public.error_logs_change_xid_idx ATTACH PARTITION public.error_logs_default_change_xid_idx;

ALTER INDEX public.error_logs_type_day_idx ATTACH PARTITION public.error_logs_default_error_type_severity_source_timezone_idx1;

ALTER INDEX public.error_logs_license_id_idx ATTACH PARTITION public.error_logs_default_license_id_idx;

ALTER INDEX public.error_logs_brin_idx ATTACH PARTITION public.error_logs_default_occurred_at_id_error_type_severity_sourc_idx;

ALTER INDEX public.error_logs_pkey ATTACH PARTITION public.error_logs_default_pkey;

ALTER INDEX public.error_logs_user_id_idx ATTACH PARTITION public.error_logs_default_user_id_idx;

ALTER INDEX public.usage_events_change_xid_idx ATTACH PARTITION public.usage_events_default_change_xid_idx;

ALTER INDEX public.usage_events_license_id_idx ATTACH PARTITION public.usage_events_default_license_id_idx;

ALTER INDEX public.usage_events_brin_idx ATTACH PARTITION public.usage_events_default_occurred_at_id_session_id_event_type_e_idx;

ALTER INDEX public.usage_events_pkey ATTACH PARTITION public.usage_events_default_pkey;

ALTER INDEX public.usage_events_team_id_idx ATTACH PARTITION public.usage_events_default_team_id_idx;

ALTER INDEX public.usage_events_user_id_day_idx ATTACH PARTITION public.usage_events_default_user_id_timezone_idx;

CREATE TRIGGER affiliate_clicks_copied AFTER INSERT ON public.affiliate_clicks FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('affiliate_clicks', 'id', 'affiliate_id', 'utm_campaign', 'clicked_at');

ALTER TABLE public.affiliate_clicks ENABLE ALWAYS TRIGGER affiliate_clicks_copied;

CREATE TRIGGER affiliate_clicks_deleted AFTER DELETE ON public.affiliate_clicks FOR EACH ROW EXECUTE FUNCTION public.record_change('affiliate_clicks', 'id', 'affiliate_id', 'utm_campaign', 'clicked_at');

ALTER TABLE public.affiliate_clicks ENABLE ALWAYS TRIGGER affiliate_clicks_deleted;

CREATE TRIGGER affiliate_clicks_moved AFTER UPDATE ON public.affiliate_clicks FOR EACH ROW WHEN (((((old.id IS DISTINCT FROM new.id) OR (old.affiliate_id IS DISTINCT FROM new.affiliate_id)) OR ((old.utm_campaign)::text IS DISTINCT FROM (new.utm_campaign)::text)) OR (old.clicked_at IS DISTINCT FROM new.clicked_at))) EXECUTE FUNCTION public.record_change('affiliate_clicks', 'id', 'affiliate_id', 'utm_campaign', 'clicked_at');

ALTER TABLE public.affiliate_clicks ENABLE ALWAYS TRIGGER affiliate_clicks_moved;

CREATE TRIGGER affiliate_clicks_stamped BEFORE UPDATE ON public.affiliate_clicks FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.affiliate_clicks ENABLE ALWAYS TRIGGER affiliate_clicks_stamped;

CREATE TRIGGER affiliate_commissions_copied AFTER INSERT ON public.affiliate_commissions FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('affiliate_commissions', 'id', 'affiliate_id', 'commission_type', 'status', 'currency', 'created_at');

ALTER TABLE public.affiliate_commissions ENABLE ALWAYS TRIGGER affiliate_commissions_copied;

CREATE TRIGGER affiliate_commissions_deleted AFTER DELETE ON public.affiliate_commissions FOR EACH ROW EXECUTE FUNCTION public.record_change('affiliate_commissions', 'id', 'affiliate_id', 'commission_type', 'status', 'currency', 'created_at');

ALTER TABLE public.affiliate_commissions ENABLE ALWAYS TRIGGER affiliate_commissions_deleted;

CREATE TRIGGER affiliate_commissions_earnings_delete AFTER DELETE ON public.affiliate_commissions REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_earnings();

CREATE TRIGGER affiliate_commissions_earnings_insert AFTER INSERT ON public.affiliate_commissions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_earnings();

CREATE TRIGGER affiliate_commissions_earnings_truncate AFTER TRUNCATE ON public.affiliate_commissions FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_earnings();

CREATE TRIGGER affiliate_commissions_earnings_update AFTER UPDATE ON public.affiliate_commissions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_earnings();

CREATE TRIGGER affiliate_commissions_moved AFTER UPDATE ON public.affiliate_commissions FOR EACH ROW WHEN (((((((old.id IS DISTINCT FROM new.id) OR (old.affiliate_id IS DISTINCT FROM new.affiliate_id)) OR ((old.commission_type)::text IS DISTINCT FROM (new.commission_type)::text)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text)) OR ((old.currency)::text IS DISTINCT FROM (new.currency)::text)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('affiliate_commissions', 'id', 'affiliate_id', 'commission_type', 'status', 'currency', 'created_at');

ALTER TABLE public.affiliate_commissions ENABLE ALWAYS TRIGGER affiliate_commissions_moved;

CREATE TRIGGER affiliate_commissions_stamped BEFORE UPDATE ON public.affiliate_commissions FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.affiliate_commissions ENABLE ALWAYS TRIGGER affiliate_commissions_stamped;

CREATE TRIGGER affiliate_commissions_updated_at BEFORE UPDATE ON public.affiliate_commissions FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER affiliate_payouts_copied AFTER INSERT ON public.affiliate_payouts FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('affiliate_payouts', 'id', 'affiliate_id', 'status', 'currency', 'created_at');

ALTER TABLE public.affiliate_payouts ENABLE ALWAYS TRIGGER affiliate_payouts_copied;

CREATE TRIGGER affiliate_payouts_deleted AFTER DELETE ON public.affiliate_payouts FOR EACH ROW EXECUTE FUNCTION public.record_change('affiliate_payouts', 'id', 'affiliate_id', 'status', 'currency', 'created_at');

ALTER TABLE public.affiliate_payouts ENABLE ALWAYS TRIGGER affiliate_payouts_deleted;

CREATE TRIGGER affiliate_payouts_moved AFTER UPDATE ON public.affiliate_payouts FOR EACH ROW WHEN ((((((old.id IS DISTINCT FROM new.id) OR (old.affiliate_id IS DISTINCT FROM new.affiliate_id)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text)) OR ((old.currency)::text IS DISTINCT FROM (new.currency)::text)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('affiliate_payouts', 'id', 'affiliate_id', 'status', 'currency', 'created_at');

ALTER TABLE public.affiliate_payouts ENABLE ALWAYS TRIGGER affiliate_payouts_moved;

CREATE TRIGGER affiliate_payouts_stamped BEFORE UPDATE ON public.affiliate_payouts FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.affiliate_payouts ENABLE ALWAYS TRIGGER affiliate_payouts_stamped;

CREATE TRIGGER affiliate_payouts_updated_at BEFORE UPDATE ON public.affiliate_payouts FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER affiliate_referrals_copied AFTER INSERT ON public.affiliate_referrals FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('affiliate_referrals', 'id', 'affiliate_id', 'status', 'utm_campaign', 'qualified_at', 'converted_at', 'created_at');

ALTER TABLE public.affiliate_referrals ENABLE ALWAYS TRIGGER affiliate_referrals_copied;

CREATE TRIGGER affiliate_referrals_deleted AFTER DELETE ON public.affiliate_referrals FOR EACH ROW EXECUTE FUNCTION public.record_change('affiliate_referrals', 'id', 'affiliate_id', 'status', 'utm_campaign', 'qualified_at', 'converted_at', 'created_at');

ALTER TABLE public.affiliate_referrals ENABLE ALWAYS TRIGGER affiliate_referrals_deleted;

CREATE TRIGGER affiliate_referrals_moved AFTER UPDATE ON public.affiliate_referrals FOR EACH ROW WHEN ((((((((old.id IS DISTINCT FROM new.id) OR (old.affiliate_id IS DISTINCT FROM new.affiliate_id)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text)) OR ((old.utm_campaign)::text IS DISTINCT FROM (new.utm_campaign)::text)) OR (old.qualified_at IS DISTINCT FROM new.qualified_at)) OR (old.converted_at IS DISTINCT FROM new.converted_at)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('affiliate_referrals', 'id', 'affiliate_id', 'status', 'utm_campaign', 'qualified_at', 'converted_at', 'created_at');

ALTER TABLE public.affiliate_referrals ENABLE ALWAYS TRIGGER affiliate_referrals_moved;

CREATE TRIGGER affiliate_referrals_stamped BEFORE UPDATE ON public.affiliate_referrals FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.affiliate_referrals ENABLE ALWAYS TRIGGER affiliate_referrals_stamped;

CREATE TRIGGER affiliate_referrals_stats_delete AFTER DELETE ON public.affiliate_referrals REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_referral_stats();

CREATE TRIGGER affiliate_referrals_stats_insert AFTER INSERT ON public.affiliate_referrals REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_referral_stats();

CREATE TRIGGER affiliate_referrals_stats_truncate AFTER TRUNCATE ON public.affiliate_referrals FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_referral_stats();

CREATE TRIGGER affiliate_referrals_stats_update AFTER UPDATE ON public.affiliate_referrals REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.update_affiliate_referral_stats();

CREATE TRIGGER affiliate_referrals_updated_at BEFORE UPDATE ON public.affiliate_referrals FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER affiliates_copied AFTER INSERT ON public.affiliates FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('affiliates', 'id', 'user_id', 'status');

ALTER TABLE public.affiliates ENABLE ALWAYS TRIGGER affiliates_copied;

CREATE TRIGGER affiliates_deleted AFTER DELETE ON public.affiliates FOR EACH ROW EXECUTE FUNCTION public.record_change('affiliates', 'id', 'user_id', 'status');

ALTER TABLE public.affiliates ENABLE ALWAYS TRIGGER affiliates_deleted;

CREATE TRIGGER affiliates_moved AFTER UPDATE ON public.affiliates FOR EACH ROW WHEN ((((old.id IS DISTINCT FROM new.id) OR (old.user_id IS DISTINCT FROM new.user_id)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text))) EXECUTE FUNCTION public.record_change('affiliates', 'id', 'user_id', 'status');

ALTER TABLE public.affiliates ENABLE ALWAYS TRIGGER affiliates_moved;

CREATE TRIGGER affiliates_stamped BEFORE UPDATE ON public.affiliates FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.affiliates ENABLE ALWAYS TRIGGER affiliates_stamped;

CREATE TRIGGER affiliates_updated_at BEFORE UPDATE ON public.affiliates FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER api_usage_copied AFTER INSERT ON public.api_usage FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('api_usage', 'user_id', 'license_id', 'endpoint', 'method', 'occurred_at', 'created_at');

ALTER TABLE public.api_usage ENABLE ALWAYS TRIGGER api_usage_copied;

CREATE TRIGGER api_usage_deleted AFTER DELETE ON public.api_usage FOR EACH ROW EXECUTE FUNCTION public.record_change('api_usage', 'user_id', 'license_id', 'endpoint', 'method', 'occurred_at', 'created_at');

ALTER TABLE public.api_usage ENABLE ALWAYS TRIGGER api_usage_deleted;

CREATE TRIGGER api_usage_moved AFTER UPDATE ON public.api_usage FOR EACH ROW WHEN (((((((old.user_id IS DISTINCT FROM new.user_id) OR (old.license_id IS DISTINCT FROM new.license_id)) OR ((old.endpoint)::text IS DISTINCT FROM (new.endpoint)::text)) OR ((old.method)::text IS DISTINCT FROM (new.method)::text)) OR (old.occurred_at IS DISTINCT FROM new.occurred_at)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('api_usage', 'user_id', 'license_id', 'endpoint', 'method', 'occurred_at', 'created_at');

ALTER TABLE public.api_usage ENABLE ALWAYS TRIGGER api_usage_moved;

CREATE TRIGGER api_usage_stamped BEFORE UPDATE ON public.api_usage FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.api_usage ENABLE ALWAYS TRIGGER api_usage_stamped;

CREATE TRIGGER audit_logs_copied AFTER INSERT ON public.audit_logs FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('audit_logs', 'user_id', 'team_id', 'action', 'resource_type', 'status', 'occurred_at', 'created_at');

ALTER TABLE public.audit_logs ENABLE ALWAYS TRIGGER audit_logs_copied;

CREATE TRIGGER audit_logs_deleted AFTER DELETE ON public.audit_logs FOR EACH ROW EXECUTE FUNCTION public.record_change('audit_logs', 'user_id', 'team_id', 'action', 'resource_type', 'status', 'occurred_at', 'created_at');

ALTER TABLE public.audit_logs ENABLE ALWAYS TRIGGER audit_logs_deleted;

CREATE TRIGGER audit_logs_moved AFTER UPDATE ON public.audit_logs FOR EACH ROW WHEN ((((((((old.user_id IS DISTINCT FROM new.user_id) OR (old.team_id IS DISTINCT FROM new.team_id)) OR ((old.action)::text IS DISTINCT FROM (new.action)::text)) OR ((old.resource_type)::text IS DISTINCT FROM (new.resource_type)::text)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text)) OR (old.occurred_at IS DISTINCT FROM new.occurred_at)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('audit_logs', 'user_id', 'team_id', 'action', 'resource_type', 'status', 'occurred_at', 'created_at');

ALTER TABLE public.audit_logs ENABLE ALWAYS TRIGGER audit_logs_moved;

CREATE TRIGGER audit_logs_stamped BEFORE UPDATE ON public.audit_logs FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.audit_logs ENABLE ALWAYS TRIGGER audit_logs_stamped;

CREATE TRIGGER error_logs_copied AFTER INSERT ON public.error_logs FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('error_logs', 'user_id', 'license_id', 'error_type', 'severity', 'source', 'occurred_at', 'created_at');

ALTER TABLE public.error_logs ENABLE ALWAYS TRIGGER error_logs_copied;

CREATE TRIGGER error_logs_deleted AFTER DELETE ON public.error_logs FOR EACH ROW EXECUTE FUNCTION public.record_change('error_logs', 'user_id', 'license_id', 'error_type', 'severity', 'source', 'occurred_at', 'created_at');

ALTER TABLE public.error_logs ENABLE ALWAYS TRIGGER error_logs_deleted;

CREATE TRIGGER error_logs_moved AFTER UPDATE ON public.error_logs FOR EACH ROW WHEN ((((((((old.user_id IS DISTINCT FROM new.user_id) OR (old.license_id IS DISTINCT FROM new.license_id)) OR ((old.error_type)::text IS DISTINCT FROM (new.error_type)::text)) OR ((old.severity)::text IS DISTINCT FROM (new.severity)::text)) OR ((old.source)::text IS DISTINCT FROM (new.source)::text)) OR (old.occurred_at IS DISTINCT FROM new.occurred_at)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('error_logs', 'user_id', 'license_id', 'error_type', 'severity', 'source', 'occurred_at', 'created_at');

ALTER TABLE public.error_logs ENABLE ALWAYS TRIGGER error_logs_moved;

CREATE TRIGGER error_logs_stamped BEFORE UPDATE ON public.error_logs FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.error_logs ENABLE ALWAYS TRIGGER error_logs_stamped;

CREATE TRIGGER feature_usage_updated_at BEFORE UPDATE ON public.feature_usage FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER licenses_copied AFTER INSERT ON public.licenses FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('licenses', 'id', 'user_id', 'plan_type', 'status', 'started_at', 'expires_at', 'cancelled_at');

ALTER TABLE public.licenses ENABLE ALWAYS TRIGGER licenses_copied;

CREATE TRIGGER licenses_deleted AFTER DELETE ON public.licenses FOR EACH ROW EXECUTE FUNCTION public.record_change('licenses', 'id', 'user_id', 'plan_type', 'status', 'started_at', 'expires_at', 'cancelled_at');

ALTER TABLE public.licenses ENABLE ALWAYS TRIGGER licenses_deleted;

CREATE TRIGGER licenses_moved AFTER UPDATE ON public.licenses FOR EACH ROW WHEN ((((((((old.id IS DISTINCT FROM new.id) OR (old.user_id IS DISTINCT FROM new.user_id)) OR ((old.plan_type)::text IS DISTINCT FROM (new.plan_type)::text)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text)) OR (old.started_at IS DISTINCT FROM new.started_at)) OR (old.expires_at IS DISTINCT FROM new.expires_at)) OR (old.cancelled_at IS DISTINCT FROM new.cancelled_at))) EXECUTE FUNCTION public.record_change('licenses', 'id', 'user_id', 'plan_type', 'status', 'started_at', 'expires_at', 'cancelled_at');

ALTER TABLE public.licenses ENABLE ALWAYS TRIGGER licenses_moved;

CREATE TRIGGER licenses_stamped BEFORE UPDATE ON public.licenses FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.licenses ENABLE ALWAYS TRIGGER licenses_stamped;

CREATE TRIGGER licenses_updated_at BEFORE UPDATE ON public.licenses FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER payment_transactions_copied AFTER INSERT ON public.payment_transactions FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('payment_transactions', 'id', 'subscription_id', 'currency', 'status', 'processed_at', 'created_at');

ALTER TABLE public.payment_transactions ENABLE ALWAYS TRIGGER payment_transactions_copied;

CREATE TRIGGER payment_transactions_deleted AFTER DELETE ON public.payment_transactions FOR EACH ROW EXECUTE FUNCTION public.record_change('payment_transactions', 'id', 'subscription_id', 'currency', 'status', 'processed_at', 'created_at');

ALTER TABLE public.payment_transactions ENABLE ALWAYS TRIGGER payment_transactions_deleted;

CREATE TRIGGER payment_transactions_moved AFTER UPDATE ON public.payment_transactions FOR EACH ROW WHEN (((((((old.id IS DISTINCT FROM new.id) OR (old.subscription_id IS DISTINCT FROM new.subscription_id)) OR ((old.currency)::text IS DISTINCT FROM (new.currency)::text)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text)) OR (old.processed_at IS DISTINCT FROM new.processed_at)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('payment_transactions', 'id', 'subscription_id', 'currency', 'status', 'processed_at', 'created_at');

ALTER TABLE public.payment_transactions ENABLE ALWAYS TRIGGER payment_transactions_moved;

CREATE TRIGGER payment_transactions_stamped BEFORE UPDATE ON public.payment_transactions FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.payment_transactions ENABLE ALWAYS TRIGGER payment_transactions_stamped;

CREATE TRIGGER payment_transactions_updated_at BEFORE UPDATE ON public.payment_transactions FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER subscriptions_copied AFTER INSERT ON public.subscriptions FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('subscriptions', 'id', 'license_id', 'status', 'plan_type', 'currency');

ALTER TABLE public.subscriptions ENABLE ALWAYS TRIGGER subscriptions_copied;

CREATE TRIGGER subscriptions_deleted AFTER DELETE ON public.subscriptions FOR EACH ROW EXECUTE FUNCTION public.record_change('subscriptions', 'id', 'license_id', 'status', 'plan_type', 'currency');

ALTER TABLE public.subscriptions ENABLE ALWAYS TRIGGER subscriptions_deleted;

CREATE TRIGGER subscriptions_moved AFTER UPDATE ON public.subscriptions FOR EACH ROW WHEN ((((((old.id IS DISTINCT FROM new.id) OR (old.license_id IS DISTINCT FROM new.license_id)) OR ((old.status)::text IS DISTINCT FROM (new.status)::text)) OR ((old.plan_type)::text IS DISTINCT FROM (new.plan_type)::text)) OR ((old.currency)::text IS DISTINCT FROM (new.currency)::text))) EXECUTE FUNCTION public.record_change('subscriptions', 'id', 'license_id', 'status', 'plan_type', 'currency');

ALTER TABLE public.subscriptions ENABLE ALWAYS TRIGGER subscriptions_moved;

CREATE TRIGGER subscriptions_stamped BEFORE UPDATE ON public.subscriptions FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.subscriptions ENABLE ALWAYS TRIGGER subscriptions_stamped;

CREATE TRIGGER subscriptions_updated_at BEFORE UPDATE ON public.subscriptions FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER team_members_copied AFTER INSERT ON public.team_members FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('team_members', 'id', 'team_id', 'user_id');

ALTER TABLE public.team_members ENABLE ALWAYS TRIGGER team_members_copied;

CREATE TRIGGER team_members_deleted AFTER DELETE ON public.team_members FOR EACH ROW EXECUTE FUNCTION public.record_change('team_members', 'id', 'team_id', 'user_id');

ALTER TABLE public.team_members ENABLE ALWAYS TRIGGER team_members_deleted;

CREATE TRIGGER team_members_moved AFTER UPDATE ON public.team_members FOR EACH ROW WHEN ((((old.id IS DISTINCT FROM new.id) OR (old.team_id IS DISTINCT FROM new.team_id)) OR (old.user_id IS DISTINCT FROM new.user_id))) EXECUTE FUNCTION public.record_change('team_members', 'id', 'team_id', 'user_id');

ALTER TABLE public.team_members ENABLE ALWAYS TRIGGER team_members_moved;

CREATE TRIGGER team_members_stamped BEFORE UPDATE ON public.team_members FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.team_members ENABLE ALWAYS TRIGGER team_members_stamped;

CREATE TRIGGER team_members_updated_at BEFORE UPDATE ON public.team_members FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER teams_copied AFTER INSERT ON public.teams FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('teams', 'id', 'license_id');

ALTER TABLE public.teams ENABLE ALWAYS TRIGGER teams_copied;

CREATE TRIGGER teams_deleted AFTER DELETE ON public.teams FOR EACH ROW EXECUTE FUNCTION public.record_change('teams', 'id', 'license_id');

ALTER TABLE public.teams ENABLE ALWAYS TRIGGER teams_deleted;

CREATE TRIGGER teams_moved AFTER UPDATE ON public.teams FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.license_id IS DISTINCT FROM new.license_id))) EXECUTE FUNCTION public.record_change('teams', 'id', 'license_id');

ALTER TABLE public.teams ENABLE ALWAYS TRIGGER teams_moved;

CREATE TRIGGER teams_stamped BEFORE UPDATE ON public.teams FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.teams ENABLE ALWAYS TRIGGER teams_stamped;

CREATE TRIGGER teams_updated_at BEFORE UPDATE ON public.teams FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER usage_aggregates_daily_stale AFTER DELETE ON public.usage_aggregates_daily REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.mark_stale_usage_aggregates();

CREATE TRIGGER usage_aggregates_daily_updated_at BEFORE UPDATE ON public.usage_aggregates_daily FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER usage_aggregates_monthly_stale AFTER DELETE ON public.usage_aggregates_monthly REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.mark_stale_usage_aggregates();

CREATE TRIGGER usage_aggregates_monthly_updated_at BEFORE UPDATE ON public.usage_aggregates_monthly FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TRIGGER usage_events_copied AFTER INSERT ON public.usage_events FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('usage_events', 'user_id', 'license_id', 'team_id', 'event_type', 'event_category', 'event_name', 'occurred_at', 'created_at');

ALTER TABLE public.usage_events ENABLE ALWAYS TRIGGER usage_events_copied;

CREATE TRIGGER usage_events_deleted AFTER DELETE ON public.usage_events FOR EACH ROW EXECUTE FUNCTION public.record_change('usage_events', 'user_id', 'license_id', 'team_id', 'event_type', 'event_category', 'event_name', 'occurred_at', 'created_at');

ALTER TABLE public.usage_events ENABLE ALWAYS TRIGGER usage_events_deleted;

CREATE TRIGGER usage_events_moved AFTER UPDATE ON public.usage_events FOR EACH ROW WHEN (((((((((old.user_id IS DISTINCT FROM new.user_id) OR (old.license_id IS DISTINCT FROM new.license_id)) OR (old.team_id IS DISTINCT FROM new.team_id)) OR ((old.event_type)::text IS DISTINCT FROM (new.event_type)::text)) OR ((old.event_category)::text IS DISTINCT FROM (new.event_category)::text)) OR ((old.event_name)::text IS DISTINCT FROM (new.event_name)::text)) OR (old.occurred_at IS DISTINCT FROM new.occurred_at)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('usage_events', 'user_id', 'license_id', 'team_id', 'event_type', 'event_category', 'event_name', 'occurred_at', 'created_at');

ALTER TABLE public.usage_events ENABLE ALWAYS TRIGGER usage_events_moved;

CREATE TRIGGER usage_events_stamped BEFORE UPDATE ON public.usage_events FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.usage_events ENABLE ALWAYS TRIGGER usage_events_stamped;

CREATE TRIGGER users_copied AFTER INSERT ON public.users FOR EACH ROW WHEN ((new.change_xid IS DISTINCT FROM pg_current_xact_id())) EXECUTE FUNCTION public.record_change('users', 'id', 'created_at');

ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_copied;

CREATE TRIGGER users_deleted AFTER DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.record_change('users', 'id', 'created_at');

ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_deleted;

CREATE TRIGGER users_moved AFTER UPDATE ON public.users FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.record_change('users', 'id', 'created_at');

ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_moved;

CREATE TRIGGER users_stamped BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.stamp_change();

ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_stamped;

CREATE TRIGGER users_updated_at BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

ALTER TABLE ONLY public.affiliate_clicks
    ADD CONSTRAINT affiliate_clicks_affiliate_id_fkey FOREIGN KEY (affiliate_id) REFERENCES public.affiliates(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.affiliate_clicks
    ADD CONSTRAINT affiliate_clicks_referral_id_fkey FOREIGN KEY (referral_id) REFERENCES public.affiliate_referrals(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.affiliate_commissions
    ADD CONSTRAINT affiliate_commissions_affiliate_id_fkey FOREIGN KEY (affiliate_id) REFERENCES public.affiliates(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.affiliate_commissions
    ADD CONSTRAINT affiliate_commissions_payment_transaction_id_fkey FOREIGN KEY (payment_transaction_id) REFERENCES public.payment_transactions(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.affiliate_commissions
    ADD CONSTRAINT affiliate_commissions_referral_id_fkey FOREIGN KEY (referral_id) REFERENCES public.affiliate_referrals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.affiliate_payouts
    ADD CONSTRAINT affiliate_payouts_affiliate_id_fkey FOREIGN KEY (affiliate_id) REFERENCES public.affiliates(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.affiliate_referrals
    ADD CONSTRAINT affiliate_referrals_affiliate_id_fkey FOREIGN KEY (affiliate_id) REFERENCES public.affiliates(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.affiliate_referrals
    ADD CONSTRAINT affiliate_referrals_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.affiliate_referrals
    ADD CONSTRAINT affiliate_referrals_referred_user_id_fkey FOREIGN KEY (referred_user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.affiliate_referrals
    ADD CONSTRAINT affiliate_referrals_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES public.subscriptions(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.affiliates
    ADD CONSTRAINT affiliates_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE public.api_usage
    ADD CONSTRAINT api_usage_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE CASCADE;

ALTER TABLE public.api_usage
    ADD CONSTRAINT api_usage_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE public.audit_logs
    ADD CONSTRAINT audit_logs_team_id_fkey FOREIGN KEY (team_id) REFERENCES public.teams(id) ON DELETE SET NULL;

ALTER TABLE public.audit_logs
    ADD CONSTRAINT audit_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE public.error_logs
    ADD CONSTRAINT error_logs_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE SET NULL;

ALTER TABLE public.error_logs
    ADD CONSTRAINT error_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.feature_usage
    ADD CONSTRAINT feature_usage_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.feature_usage
    ADD CONSTRAINT feature_usage_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.licenses
    ADD CONSTRAINT licenses_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.payment_transactions
    ADD CONSTRAINT payment_transactions_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES public.subscriptions(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_team_id_fkey FOREIGN KEY (team_id) REFERENCES public.teams(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.teams
    ADD CONSTRAINT teams_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.teams
    ADD CONSTRAINT teams_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.usage_aggregates_daily
    ADD CONSTRAINT usage_aggregates_daily_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage_aggregates_daily
    ADD CONSTRAINT usage_aggregates_daily_team_id_fkey FOREIGN KEY (team_id) REFERENCES public.teams(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage_aggregates_daily
    ADD CONSTRAINT usage_aggregates_daily_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage_aggregates_monthly
    ADD CONSTRAINT usage_aggregates_monthly_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage_aggregates_monthly
    ADD CONSTRAINT usage_aggregates_monthly_team_id_fkey FOREIGN KEY (team_id) REFERENCES public.teams(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage_aggregates_monthly
    ADD CONSTRAINT usage_aggregates_monthly_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE public.usage_events
    ADD CONSTRAINT usage_events_license_id_fkey FOREIGN KEY (license_id) REFERENCES public.licenses(id) ON DELETE SET NULL;

ALTER TABLE public.usage_events
    ADD CONSTRAINT usage_events_team_id_fkey FOREIGN KEY (team_id) REFERENCES public.teams(id) ON DELETE SET NULL;

ALTER TABLE public.usage_events
    ADD CONSTRAINT usage_events_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE SET NULL;
