-- 011: which columns of a source table the before-images keep is the owner's choice.
--
-- * capture_changes(table, columns) makes the triggers of change capture again, with
--   more columns. It follows a renamed column or table, which the triggers of 005 know
--   by name only, and starts the capture of a table of one's own.
-- * A before-image lacks a column that the row did not have under the name that the
--   trigger knows. It held null, which a run could not tell from a value.
-- * Where a publication includes all tables, PostgreSQL refuses deletes from a table
--   without a replica identity: before-images could not be cleared.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path',
    pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()),
    true
);

alter table change_tombstones replica identity full;

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
        coalesce(
            jsonb_object_agg(kept, whole_row -> kept) filter (where whole_row ? kept),
            '{}'
        )
    from unnest(tg_argv[1:]) as kept;
    return null;
end;
$$;

select place_function('record_change()');

-- The functions of capture are those in the schema of the table.
create function capture_changes(source regclass, more_columns text[] default '{}')
returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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

commit;
