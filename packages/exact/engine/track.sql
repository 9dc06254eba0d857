{#-
    Change capture: the tables and triggers by which a refresh finds what was written to
    a source table. They live in the table's own schema, and its owner makes them.

    * Each row carries the transaction that wrote it last, change_xid. A refresh reads
        the rows whose transaction the snapshot of the refresh before could not see.
    * A row that is deleted, or updated in a captured column, stores a before-image of
        these columns in change_tombstones: it belonged to their keys.

    An insert calls no function: it pays for eight bytes and one index entry.
-#}
{% macro _engine_track(schema) %}

-- Makes what the triggers of a schema need, as far as it is missing. `this_schema` is
-- the schema's name: a function may look nothing up where others create.
create or replace function {{ schema }}._install_capture(home name) returns void
language plpgsql
as $$
declare
    tables constant text := $ddl$
        create table this_schema.change_tombstones (
            table_name text not null,
            old_row jsonb not null,
            change_xid xid8 not null default pg_current_xact_id(),
            recorded_at timestamptz not null default now()
        );
        comment on table this_schema.change_tombstones is
        'One row per source row that was deleted or left a group: what marts knew it '
        'by.';
        create index change_tombstones_table_name_idx
        on this_schema.change_tombstones (table_name, change_xid);
        alter table this_schema.change_tombstones replica identity full;

        create table this_schema.change_tombstones_cleared (
            is_only_row boolean primary key default true check (is_only_row),
            up_to_xid xid8 not null,
            cleared_at timestamptz not null default now()
        );
        comment on table this_schema.change_tombstones_cleared is
        'One row: tombstones up to this transaction are gone. A mart whose last run is '
        'older is rebuilt.';
    $ddl$;
    functions constant text := $ddl$
        create function this_schema.stamp_change() returns trigger
        language plpgsql
        set search_path = pg_catalog, pg_temp
        as $body$
        begin
            new.change_xid := pg_current_xact_id();
            return new;
        end;
        $body$;
        comment on function this_schema.stamp_change() is
        'Stamps an updated row with its transaction, whatever the update says.';

        -- Whoever may write the table stores before-images, with no right on them.
        create function this_schema.record_change() returns trigger
        language plpgsql security definer
        set search_path = pg_catalog, pg_temp
        as $body$
        declare
            whole_row constant jsonb :=
                to_jsonb(case tg_op when 'INSERT' then new else old end);
        begin
            insert into this_schema.change_tombstones (table_name, old_row)
            select
                tg_argv[0],
                coalesce(
                    jsonb_object_agg(kept, whole_row -> kept)
                        filter (where whole_row ? kept),
                    '{}'
                )
            from unnest(tg_argv[1:]) as kept;
            return null;
        end;
        $body$;
        revoke execute on function this_schema.record_change() from public;
        comment on function this_schema.record_change() is
        'Stores a before-image: the table''s name, and the columns that the trigger '
        'names.';

        create function this_schema.clear_change_tombstones(
            keep interval default '14 days'
        )
        returns bigint
        language plpgsql
        set search_path = pg_catalog, pg_temp
        as $body$
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
            -- In one transaction, so that a refresh that misses one knows of it.
            insert into this_schema.change_tombstones_cleared as noted (up_to_xid)
            values (last_xid)
            on conflict (is_only_row) do update set
                up_to_xid = greatest(noted.up_to_xid, excluded.up_to_xid),
                cleared_at = now();
            delete from this_schema.change_tombstones where change_xid <= last_xid;
            get diagnostics cleared = row_count;
            return cleared;
        end;
        $body$;
        comment on function this_schema.clear_change_tombstones(interval) is
        'Deletes before-images older than the interval, and returns how many.';
    $ddl$;
    quoted constant text := quote_ident(home);
begin
    if to_regclass(format('%I.change_tombstones', home)) is null then
        execute replace(tables, 'this_schema', quoted);
    end if;
    if to_regproc(format('%I.record_change', home)) is null then
        execute replace(functions, 'this_schema', quoted);
    end if;
end;
$$;


-- Captures the changes of a table from now on. Its before-images keep these columns,
-- all by default, and those that they kept before. Returns the columns that are kept.
create or replace function {{ schema }}.track(
    source regclass, columns text[] default null
)
returns text[]
language plpgsql
as $$
declare
    home name;
    table_name text;
    place text;
    known name;
    kept text[];
    former text;
    present text;
    arguments text;
begin
    select nspname, relname into home, table_name
    from pg_class
    inner join pg_namespace on relnamespace = pg_namespace.oid
    where pg_class.oid = source and relkind in ('r', 'p') and not relispartition;
    if not found then
        raise exception '% is not a table of its own', source
            using hint = 'name a table that is neither a view nor a partition';
    end if;
    select column_name into former
    from unnest(columns) as column_name
    where not exists (
        select from pg_attribute
        where attrelid = source and attname = column_name
            and attnum > 0 and not attisdropped and attgenerated != 'v'
    );
    if found then
        raise exception '% has no stored column %', source, former
            using hint = 'name columns as the table has them now';
    end if;

    perform {{ schema }}._install_capture(home);
    place := quote_ident(home);
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
        attname = any (columns)
        or columns is null and attname != 'change_xid' and attgenerated != 'v'
            and exists (
                select from pg_operator
                where oprname = '=' and oprleft = atttypid and oprright = atttypid
            )
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
            using hint = 'name those that models group by, filter by or join by';
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
        concat_ws(
            ', ', quote_literal(table_name), string_agg(quote_literal(name), ', ')
        )
    into former, present, arguments
    from unnest(kept) as name;
    table_name := left(table_name, 54);
    execute format(
        'create trigger %1$I before update on %2$s
        for each row execute function %3$s.stamp_change()',
        table_name || '_stamped', source, place
    );
    execute format(
        'create trigger %1$I after update on %2$s
        for each row when ((%3$s) is distinct from (%4$s))
        execute function %5$s.record_change(%6$s)',
        table_name || '_moved', source, former, present, place, arguments
    );
    execute format(
        'create trigger %1$I after delete on %2$s
        for each row execute function %3$s.record_change(%4$s)',
        table_name || '_deleted', source, place, arguments
    );
    execute format(
        'create trigger %1$I after insert on %2$s
        for each row when (new.change_xid is distinct from pg_current_xact_id())
        execute function %3$s.record_change(%4$s)',
        table_name || '_copied', source, place, arguments
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
{% endmacro %}
