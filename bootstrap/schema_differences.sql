-- The differences of a schema from an expected one, in one line; '' if it has none.
--
-- The schema to compare is the first of the search_path. The setting
-- saas_analytics.expected names the expected one. The result is a row, and the setting
-- saas_analytics.differences.
--
-- An owner's additions are not differences: tables, columns, indexes, constraints,
-- triggers, partitions by month, settings, privileges, and columns of before-images. A
-- column of texts may be wider, or text. After that change, and after the restore of a
-- dump, PostgreSQL writes other casts to text and parentheses: these are not compared.

with prefixes as (
    select
        quote_ident(current_setting('saas_analytics.expected')) || '.' as expected,
        quote_ident(current_schema()) || '.' as present
),

places as (
    select
        oid as place,
        nspname <> current_schema() as is_expected
    from pg_namespace
    where nspname in (current_schema(), current_setting('saas_analytics.expected'))
),

relations as (
    select
        places.is_expected,
        pg_class.oid,
        pg_class.relname::text as name,
        pg_class.relkind,
        pg_class.relpersistence,
        pg_class.relreplident,
        pg_class.reloptions
    from places
    inner join pg_class on places.place = pg_class.relnamespace
    where pg_class.relkind in ('r', 'p', 'i', 'I') and not pg_class.relispartition
),

table_objects (is_expected, kind, name, definition) as (
    select
        is_expected,
        'table',
        name,
        concat_ws(' ', relkind, relpersistence, pg_get_partkeydef(oid))
    from relations
    where relkind in ('r', 'p')
    union all
    select
        is_expected,
        'replica identity of',
        name,
        relreplident::text
    from relations
    where relkind in ('r', 'p') and relreplident <> 'd'
    union all
    select
        is_expected,
        'setting',
        name || '.' || split_part(setting, '=', 1),
        split_part(setting, '=', 2)
    from relations
    cross join unnest(reloptions) as setting
    union all
    select
        places.is_expected,
        'default partition',
        pg_class.relname::text,
        pg_inherits.inhparent::regclass::text
    from places
    inner join pg_class on places.place = pg_class.relnamespace
    inner join pg_inherits on pg_class.oid = pg_inherits.inhrelid
    where pg_get_expr(pg_class.relpartbound, pg_class.oid) = 'DEFAULT'
    union all
    select
        relations.is_expected,
        described.kind,
        relations.name || '.' || pg_attribute.attname,
        described.definition
    from relations
    inner join pg_attribute on relations.oid = pg_attribute.attrelid
    left join pg_attrdef
        on pg_attribute.attrelid = pg_attrdef.adrelid
        and pg_attribute.attnum = pg_attrdef.adnum
    cross join lateral (values
        ('type of column', format_type(pg_attribute.atttypid, pg_attribute.atttypmod)),
        (
            'column', concat_ws(
                ' ', case when pg_attribute.attnotnull then 'not null' end,
                pg_attribute.attidentity, pg_attribute.attgenerated, 'default',
                -- A server that was older when it made the column has no ordered ids.
                replace(
                    pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid),
                    'uuidv7()', 'gen_random_uuid()'
                )
            )
        )
    ) as described (kind, definition)
    where relations.relkind in ('r', 'p')
        and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
    union all
    select
        relations.is_expected,
        'constraint',
        relations.name || '.' || pg_constraint.conname,
        pg_get_constraintdef(pg_constraint.oid)
    from relations
    inner join pg_constraint on relations.oid = pg_constraint.conrelid
    -- A column's own row shows whether it is not null.
    where pg_constraint.contype <> 'n'
    union all
    select
        relations.is_expected,
        'index',
        relations.name,
        concat_ws(
            ' ', pg_index.indrelid::regclass,
            case when pg_index.indisunique then 'unique' end,
            case when not pg_index.indisvalid then 'invalid' end,
            -- Settings have rows of their own.
            regexp_replace(
                pg_get_indexdef(relations.oid),
                '^.* USING | WITH \([^)]*\)(?= WHERE |$)', '', 'g'
            )
        )
    from relations
    inner join pg_index on relations.oid = pg_index.indexrelid
),

-- What a trigger of change capture keeps; its first argument names the table.
captures as (
    select
        pg_trigger.oid as capture,
        string_agg(
            format('old.%1$I IS DISTINCT FROM new.%1$I', kept.name), ' OR '
            order by kept.position
        ) as condition,
        string_agg(quote_literal(kept.name), ', ' order by kept.position) as arguments,
        array_agg(kept.name) as names
    from pg_trigger
    inner join pg_proc on pg_trigger.tgfoid = pg_proc.oid
    cross join
        unnest(string_to_array(encode(pg_trigger.tgargs, 'escape'), '\000'))
        with ordinality as kept (name, position)
    where pg_proc.proname = 'record_change' and kept.position > 1 and kept.name <> ''
    group by pg_trigger.oid
),

triggers as (
    select
        relations.is_expected,
        captures.names,
        relations.name || '.' || pg_trigger.tgname as name,
        -- What was added to what it keeps is no difference.
        replace(
            replace(
                regexp_replace(
                    pg_get_triggerdef(pg_trigger.oid, true),
                    '::(text|character varying)(?!\()|[()]', '', 'g'
                ),
                coalesce(captures.condition, ''), 'it keeps'
            ),
            coalesce(captures.arguments, ''), 'it keeps'
        ) || pg_trigger.tgenabled::text as definition
    from relations
    inner join pg_trigger on relations.oid = pg_trigger.tgrelid
    left join captures on pg_trigger.oid = captures.capture
    where not pg_trigger.tgisinternal
),

functions as (
    select
        places.is_expected,
        pg_proc.oid,
        pg_proc.prosecdef,
        pg_proc.oid::regprocedure::text as name,
        concat_ws(
            ' ', pg_get_function_arguments(pg_proc.oid),
            pg_get_function_result(pg_proc.oid), pg_language.lanname,
            pg_proc.prokind, pg_proc.provolatile, pg_proc.prosecdef,
            pg_proc.proisstrict, pg_proc.proleakproof, pg_proc.proparallel,
            pg_proc.proconfig, pg_proc.prosrc
        ) as definition,
        has_function_privilege('public', pg_proc.oid, 'execute') as is_open
    from places
    inner join pg_proc on places.place = pg_proc.pronamespace
    inner join pg_language on pg_proc.prolang = pg_language.oid
),

described (is_expected, kind, name, definition) as (
    select
        is_expected,
        kind,
        name,
        case
            when kind in ('column', 'constraint', 'index')
                then regexp_replace(
                    definition, '::(text|character varying)(\[\])?(?!\()|[()]', '', 'g'
                )
            else definition
        end
    from table_objects
    union all
    select
        is_expected,
        'trigger',
        name,
        definition
    from triggers
    union all
    select
        triggers.is_expected,
        'column kept by trigger',
        triggers.name || '.' || kept,
        ''
    from triggers
    cross join unnest(triggers.names) as kept
    union all
    select
        is_expected,
        'function',
        name,
        definition
    from functions
    union all
    select
        is_expected,
        'revoke from public on function',
        name,
        ''
    from functions
    -- Others run with the rights of their caller.
    where prosecdef and not is_open
    union all
    select
        relations.is_expected,
        'comment on table',
        relations.name,
        obj_description(relations.oid, 'pg_class')
    from relations
    where obj_description(relations.oid, 'pg_class') is not null
    union all
    select
        is_expected,
        'comment on function',
        name,
        obj_description(oid, 'pg_proc')
    from functions
    where obj_description(oid, 'pg_proc') is not null
),

renamed as (
    select
        described.kind,
        replace(described.name, prefixes.expected, '') as name,
        replace(
            described.definition, prefixes.expected,
            case described.kind when 'function' then prefixes.present else '' end
        ) as definition
    from described
    cross join prefixes
    where described.is_expected
),

differences as (
    select
        renamed.kind,
        renamed.name,
        case
            when present.name is null
                then format('%s %s is missing', renamed.kind, renamed.name)
            when renamed.kind = 'type of column'
                then format(
                    '%s %s is %s, not %s', renamed.kind, renamed.name,
                    present.definition, renamed.definition
                )
            else format('%s %s differs', renamed.kind, renamed.name)
        end as line
    from renamed
    left join described as present
        on not present.is_expected
        and renamed.kind = present.kind
        and renamed.name = present.name
    where case
        when present.name is null then renamed.kind <> 'type of column'
        when renamed.definition is not distinct from present.definition then false
        -- Wider texts are compared by their lengths; text has none.
        when renamed.kind = 'type of column'
            and renamed.definition like 'character varying(%'
            and present.definition ~ '^(text|character varying)'
            then coalesce(substring(present.definition from '\d+')::integer, 2 ^ 30)
                < substring(renamed.definition from '\d+')::integer
        else true
    end
),

numbered as (
    select
        line,
        row_number() over (
            order by case kind when 'table' then 0 else 1 end, kind, name
        ) as number,
        count(*) over () as total
    from differences
)

select set_config(
    'saas_analytics.differences',
    coalesce(
        string_agg(line, ', ' order by number)
        || coalesce(' and ' || nullif(greatest(max(total) - 3, 0), 0) || ' more', ''),
        ''
    ),
    false
)
from numbered
where number <= 3;
