-- 004: change capture. By it a refresh finds the rows that were written since the
-- previous refresh: inserted late, updated, erased or committed out of order.
--
-- * Each source row has the transaction that last wrote it, change_xid. A refresh reads
--   the rows whose transaction the previous refresh's snapshot could not see. There is
--   no timestamp comparison, so no commit is too late.
-- * When a row is deleted, or updated in a column that marts group by, a trigger stores
--   its before-image in change_tombstones: the groups that the row has left.
--
-- An insert calls no function: it costs eight bytes and one index entry.
-- docs/reference/refresh.md describes change capture and its limits.

-- A migration is one transaction, and "concurrently" is not for partitioned tables.
-- squawk-ignore-file require-concurrent-index-creation

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

create table change_tombstones (
    table_name text not null,
    old_row jsonb not null,
    change_xid xid8 not null default pg_current_xact_id(),
    recorded_at timestamptz not null default now()
);

comment on table change_tombstones is
'One row per source row that was deleted or left a group: what marts knew it by.';

create index change_tombstones_table_name_idx
on change_tombstones (table_name, change_xid);

-- Under a publication for all tables, PostgreSQL refuses deletes without an identity.
alter table change_tombstones replica identity full;

create table change_tombstones_cleared (
    is_only_row boolean primary key default true check (is_only_row),
    up_to_xid xid8 not null,
    cleared_at timestamptz not null default now()
);

comment on table change_tombstones_cleared is
'One row: tombstones up to this transaction are gone. A mart whose last run is older '
'is rebuilt.';

create function stamp_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.change_xid := pg_current_xact_id();
    return new;
end;
$$;

select place_function('stamp_change()');

comment on function stamp_change() is
'Stamps an updated row with its transaction, whatever the update says.';

-- The function stores before-images with its owner's rights, so writers need no right
-- on them. A before-image lacks a column that the row does not have under the trigger's
-- name.
create function record_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    whole_row constant jsonb :=
        to_jsonb(case tg_op when 'INSERT' then new else old end);
begin
    insert into this_schema.change_tombstones (table_name, old_row)
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

select place_function('record_change()');

comment on function record_change() is
'Leaves a tombstone: the table''s name, and of the row the columns that the trigger '
'names after it.';

revoke execute on function record_change() from public;

create function clear_change_tombstones(keep interval default '14 days')
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
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

comment on function clear_change_tombstones(interval) is
'Deletes tombstones older than the interval and returns how many. Marts that no run '
'has seen for so long are rebuilt by their next one.';

-- It recreates a table's triggers with more columns. It follows a renamed column or
-- table, and starts the capture of another table. The triggers call the functions in
-- the schema of that table.
create function capture_changes(source regclass, more_columns text[] default '{}')
returns text[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
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
$$;

select place_function('capture_changes(regclass, text[])');

comment on function capture_changes(regclass, text[]) is
'Makes the triggers of change capture on a table again: before-images keep what they '
'kept and more columns. Returns the columns. Marts that read the table are rebuilt.';

revoke execute on function capture_changes(regclass, text[]) from public;

-- The tables --------------------------------------------------------------------------
--
-- * The default of change_xid is the same for all rows of a transaction, so adding the
--   column rewrites nothing. Existing rows count as written by this migration.
-- * A trigger stamps an updated row before the update. Another trigger stores the
--   before-image after the update or delete, when no trigger can change the row any
--   more.
-- * A backup or logical replication inserts rows with the change_xid of another
--   transaction. A refresh can't find these rows by it, so they get a before-image,
--   too.
--
-- Row triggers fire in every partition, present and future, also for a statement on a
-- partition itself. "Always" makes them fire where replication writes.

do $$
declare
    source record;
    former text;
    present text;
    arguments text;
begin
    for source in
        -- What marts know a row by: the columns that they group or join by.
        select table_name, string_to_array(kept, ' ') as kept_columns
        from (values
            ('users', 'id created_at'),
            (
                'licenses',
                'id user_id plan_type status started_at expires_at cancelled_at'
            ),
            ('teams', 'id license_id'),
            ('team_members', 'id team_id user_id'),
            ('affiliates', 'id user_id status'),
            ('subscriptions', 'id license_id status plan_type currency'),
            (
                'payment_transactions',
                'id subscription_id currency status processed_at created_at'
            ),
            (
                'affiliate_referrals',
                'id affiliate_id status utm_campaign qualified_at converted_at '
                'created_at'
            ),
            (
                'affiliate_commissions',
                'id affiliate_id commission_type status currency created_at'
            ),
            ('affiliate_payouts', 'id affiliate_id status currency created_at'),
            ('affiliate_clicks', 'id affiliate_id utm_campaign clicked_at'),
            (
                'usage_events',
                'user_id license_id team_id event_type event_category event_name '
                'occurred_at created_at'
            ),
            (
                'api_usage',
                'user_id license_id endpoint method occurred_at created_at'
            ),
            (
                'error_logs',
                'user_id license_id error_type severity source occurred_at created_at'
            ),
            (
                'audit_logs',
                'user_id team_id action resource_type status occurred_at created_at'
            )
        ) as grouped (table_name, kept)
    loop
        select
            string_agg(format('old.%I', kept), ', '),
            string_agg(format('new.%I', kept), ', '),
            string_agg(format('%L', kept), ', ')
        into former, present, arguments
        from unnest(source.kept_columns) as kept;

        execute format(
            'alter table %I add column change_xid xid8 not null '
            'default pg_current_xact_id()',
            source.table_name
        );
        execute format(
            'create trigger %1$I before update on %2$I
            for each row execute function stamp_change()',
            source.table_name || '_stamped', source.table_name
        );
        execute format(
            'create trigger %1$I after update on %2$I
            for each row when ((%3$s) is distinct from (%4$s))
            execute function record_change(%2$L, %5$s)',
            source.table_name || '_moved', source.table_name,
            former, present, arguments
        );
        execute format(
            'create trigger %1$I after delete on %2$I
            for each row execute function record_change(%2$L, %3$s)',
            source.table_name || '_deleted', source.table_name, arguments
        );
        execute format(
            'create trigger %1$I after insert on %2$I
            for each row when (new.change_xid is distinct from pg_current_xact_id())
            execute function record_change(%2$L, %3$s)',
            source.table_name || '_copied', source.table_name, arguments
        );
        execute format(
            'alter table %1$I
            enable always trigger %2$I, enable always trigger %3$I,
            enable always trigger %4$I, enable always trigger %5$I',
            source.table_name,
            source.table_name || '_stamped', source.table_name || '_moved',
            source.table_name || '_deleted', source.table_name || '_copied'
        );
    end loop;
end;
$$;

-- Tables of accounts have no such index: they are small and often updated.
create index subscriptions_change_xid_idx on subscriptions (change_xid);
create index payment_transactions_change_xid_idx on payment_transactions (change_xid);
create index affiliate_referrals_change_xid_idx on affiliate_referrals (change_xid);
create index affiliate_commissions_change_xid_idx on affiliate_commissions (change_xid);
create index affiliate_payouts_change_xid_idx on affiliate_payouts (change_xid);
create index affiliate_clicks_change_xid_idx on affiliate_clicks (change_xid);
create index usage_events_change_xid_idx on usage_events (change_xid);
create index api_usage_change_xid_idx on api_usage (change_xid);
create index error_logs_change_xid_idx on error_logs (change_xid);
create index audit_logs_change_xid_idx on audit_logs (change_xid);

commit;
