{#-
    track(): adds change capture to one table.
-#}
{% macro _engine_track(schema) %}

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
