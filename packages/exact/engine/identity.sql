{#-
    What the engine knows of a source table: its staging view, its columns, its
    triggers, and which columns of the view its before-images hold.
-#}
{% macro _engine_identity(schema) %}

-- What identifies a source: its table, view, columns and triggers, and the columns of
-- the view that its before-images hold. A view is parsed only when it is new, because
-- that takes longer than everything else.
create or replace function {{ schema }}._source_identity(input jsonb) returns jsonb
language plpgsql stable
as $$
declare
    source constant regclass := input ->> 'source';
    view_name constant text := input ->> 'relation';
    view_sql constant text := {{ schema }}._view_sql(view_name);
    present jsonb;
    parsed jsonb;
    triggers jsonb;
    problem text;
    captured record;
    partition_column smallint;
begin
    if cardinality(
        string_to_array(view_sql, {{ schema }}._from_source(input))
    ) != 2 then
        raise exception 'the view % must read % once', view_name, input ->> 'source'
            using hint = format(
                'run `dbt run --select %s`, which makes it again', input ->> 'called'
            );
    end if;
    select jsonb_build_object(
        'table', jsonb_build_array(
            source::oid::text, pg_relation_filenode(source::oid)
        ),
        'view', md5(view_sql),
        'view_columns', md5({{ schema }}._column_types(view_name)),
        'rule', concat(pg_rewrite.oid, ' ', pg_rewrite.xmin),
        -- A function can be replaced by another of its name, that of an operator too.
        'functions', string_agg(pg_proc.xmin::text, ' ' order by pg_proc.oid)
    ) into present
    from pg_rewrite
    left join pg_depend
        on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
        and refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
    left join pg_operator
        on refclassid = 'pg_operator'::regclass and refobjid = pg_operator.oid
    left join pg_proc on pg_proc.oid = coalesce(oprcode::oid, refobjid)
    where ev_class = view_name::regclass and rulename = '_RETURN'
    group by pg_rewrite.oid, pg_rewrite.xmin;

    select
        case when identity @> present then identity -> 'parsed' end,
        identity -> 'triggers'
    into parsed, triggers
    from {{ schema }}.inputs
    where name = input ->> 'name'
    limit 1;
    if parsed is null then
        problem := {{ schema }}._view_problem(view_name, source);
        if problem is not null then
            raise exception 'the view % %', view_name, problem
                using hint = 'a staging view renames and converts the columns of one '
                    'table; put the rest into an exact model that reads it';
        end if;
        select jsonb_object_agg(name, jsonb_build_array(reads, equals)) into parsed
        from {{ schema }}._view_columns(view_name);
    end if;

    captured := {{ schema }}._captured_columns(source, triggers);
    select partattrs[0] into partition_column
    from pg_partitioned_table
    where partrelid = source and partstrat = 'r' and partnatts = 1;
    return present || jsonb_build_object(
        'parsed', parsed,
        'complaint', captured.complaint,
        'is_captured', captured.complaint is null,
        'triggers', captured.triggers,
        'kept', (
            select jsonb_agg(attname order by attname) from pg_attribute
            where attrelid = source and attnum = any (captured.numbers)
        )
    ) || (
        select jsonb_build_object(
            'known', jsonb_agg(key order by key)
                filter (where value -> 0 <@ to_jsonb(captured.numbers)),
            'partition_columns', jsonb_agg(key order by key)
                filter (where value -> 1 = to_jsonb(partition_column))
        )
        from jsonb_each(parsed)
    ) || jsonb_build_object(
        'columns', (
            select jsonb_agg(jsonb_build_array(
                attnum, attname, atttypid::oid, atttypmod, attcollation::oid,
                -- An enum's labels can change without any row being written. None is
                -- among PostgreSQL's own types, which have the lower numbers.
                case when atttypid >= 16384 then (
                    select md5(string_agg(enumlabel, ' ' order by enumsortorder))
                    from pg_enum where enumtypid = atttypid
                ) end,
                -- Nor is one where a column is computed whenever it is read.
                case when attgenerated = 'v' then (
                    select pg_get_expr(adbin, adrelid) from pg_attrdef
                    where adrelid = attrelid and adnum = attnum
                ) end
            ) order by attnum)
            from pg_attribute
            where attrelid = source and attnum = any (array(
                select number::smallint
                from jsonb_each(parsed)
                cross join jsonb_array_elements_text(value -> 0) as number
            ))
        )
    );
end;
$$;


-- Whether an input's before-images hold all that the model needs to know of a row that
-- was deleted or changed.
create or replace function {{ schema }}._is_known(input jsonb, identity jsonb)
returns boolean
language sql immutable
as $$
    select input ->> 'kind' != 'source'
        or coalesce(identity -> 'known' @> (input -> 'needs'), false)
$$;


-- A sentence for each input because of which a run computes the model in full: why, and
-- what makes it cheap.
create or replace function {{ schema }}.advice(model_name text)
returns setof text
language plpgsql stable
as $$
declare
    input record;
    lacking text[];
begin
    for input in
        select item, inputs.identity, item ->> 'called' as called,
            (item ->> 'source')::regclass as source
        from {{ schema }}.models
        cross join jsonb_array_elements(models.inputs) as each_input (item)
        inner join {{ schema }}.inputs
            on inputs.model = models.model and inputs.name = item ->> 'name'
        where models.model = model_name and item ->> 'kind' = 'source'
        order by item ->> 'name'
    loop
        if input.identity ->> 'complaint' is not null then
            return next format(
                'computed in full in every run, because changes of %s are not captured '
                '(%s): `%s` repairs that',
                input.source, input.identity ->> 'complaint',
                case
                    when input.identity ->> 'complaint' like '%unlogged%'
                        then 'alter table … set logged'
                    else format(
                        '{{ exact.how_to("capture") }}',
                        input.item ->> 'source_table', '', '', input.source
                    )
                end
            );
        elsif input.item ? 'needs' and not {{ schema }}._is_known(
            input.item, input.identity
        ) then
            select array_agg(attname::text order by attnum) into lacking
            from pg_attribute
            where attrelid = input.source
                and not input.identity -> 'kept' ? attname::text
                and to_jsonb(attnum) in (
                    select number
                    from jsonb_each(input.identity -> 'parsed')
                    cross join jsonb_array_elements(value -> 0) as number
                    where input.item -> 'needs' ? key
                );
            return next format(
                'computed in full whenever %s changes, because before-images of %s '
                'lack %s: `%s` adds it',
                input.called, input.source, array_to_string(lacking, ', '),
                format('{{ exact.how_to("add") }}', input.item ->> 'source_table',
                    array_to_string(lacking, ' '), array_to_string(lacking, ', '),
                    input.source)
            );
        end if;
    end loop;
end;
$$;
{% endmacro %}
