{#-
    Step 2: the keys that the changes of an input belong to, in refresh_keys.
-#}
{% macro _engine_keys(schema) %}

-- The expressions by which a mapping of an input gives the keys.
create or replace function {{ schema }}._key_expressions(
    known {{ schema }}.models, mapping jsonb
)
returns text
language sql stable
as $$
    select string_agg(mapping -> name ->> 'expression', ', ' order by position)
    from unnest(known.key_columns) with ordinality as columns (name, position)
$$;


-- A query of the keys that a mapping gives to rows: `of_rows` is a FROM clause. A row
-- without a finite time has no key, except where the mapping says that it has one.
create or replace function {{ schema }}._keys_sql(
    known {{ schema }}.models, mapping jsonb, of_rows text
)
returns text
language sql stable
as $$
    select format('(select * from (select distinct %s from %s) as found (%s)%s)',
        {{ schema }}._key_expressions(known, mapping), of_rows,
        {{ schema }}._column_list(known.key_columns), ' where ' || string_agg(
            format('%I is not null', part.key), ' and '
        ))
    from jsonb_each(mapping) as part
    where part.value ? 'period' and not (part.value ->> 'has_none')::boolean
$$;


-- A query of the keys by which the model looks up changed rows of an input: those of
-- the rows, of another input, that have the same values in some columns. Only changes
-- of other columns count, where `changed` names these: the log of a model shows
-- which rows are new and which are as before.
create or replace function {{ schema }}._lookup_sql(
    known {{ schema }}.models, input jsonb, changes text
)
returns text
language sql stable
as $$
    select string_agg({{ schema }}._keys_sql(known, mapping, case
        when driving is null then format('(%s) as changes', changes)
        else format(
            '%1$s where (%2$s) and (%3$s) in (select %3$s from (%4$s) as changes%5$s)',
            driving ->> 'relation', coalesce(driving ->> 'filter', 'true'),
            looked_up_by, changes,
            ' group by ' || looked_up_by || ' having sum(sign) != 0' || has_changed
        )
    end), ' union ')
    from (values (input -> 'lookup')) as lookups (lookup)
    cross join lateral (
        select
            string_agg(format('%I', name), ', ') as looked_up_by,
            (
                select string_agg(format(
                    ' or count(distinct %1$I) > 1 or count(%1$I) not in (0, count(*))',
                    column_name
                ), '')
                from jsonb_array_elements_text(lookup -> 'changed') as column_name
            ) as has_changed
        from jsonb_array_elements_text(lookup -> 'by') as name
    ) as conditions
    left join lateral (
        select item as driving from jsonb_array_elements(known.inputs) as item
        where item ->> 'name' = lookup ->> 'in'
    ) as drivings on true
    cross join lateral jsonb_array_elements(
        coalesce(driving -> 'mappings', lookup -> 'mappings')
    ) as mapping
$$;


-- A query of the keys of a partition's time, in the input and in the model. Null
-- where its time isn't known, or is not that of the input's column.
create or replace function {{ schema }}._partition_keys_sql(
    known {{ schema }}.models, input jsonb, mapping jsonb, partition_bound text,
    partition_columns jsonb
)
returns text
language plpgsql
as $$
declare
    bounds text[] := regexp_match(
        partition_bound, 'FOR VALUES FROM \(''(.+)''\) TO \(''(.+)''\)'
    );
    period_column text;
    period jsonb;
begin
    select key, value into period_column, period
    from jsonb_each(mapping) where value ? 'period' limit 1;
    if period is null or bounds is null
        or bounds[1]::timestamptz < '0001-01-01 00:00:00+00'
        or bounds[2]::timestamptz > '9999-12-31 00:00:00+00'
        or (partition_columns ? (period ->> 'column')) is not true
    then
        return null;
    end if;
    -- In the model a day or month more on each side: zones.
    return format(
        '(select distinct %1$s from %2$s '
        'where %3$s >= %4$L::timestamptz and %3$s < %5$L::timestamptz) '
        'union all (select distinct %6$s from %7$s '
        'where %8$I >= (%4$L::timestamptz at time zone ''UTC'')::date - 32 '
        'and %8$I <= (%5$L::timestamptz at time zone ''UTC'')::date + 1)',
        {{ schema }}._key_expressions(known, mapping), input ->> 'relation',
        period ->> 'column', bounds[1], bounds[2],
        {{ schema }}._column_list(known.key_columns), known.relation, period_column
    );
end;
$$;


-- Queries of the keys that changes of an input and of its partitions belong to; one
-- that is null is of a partition whose time isn't known.
create or replace function {{ schema }}._key_queries(
    known {{ schema }}.models,
    input jsonb,
    seen {{ schema }}.inputs,
    identity jsonb,
    changes text
)
returns text[]
language plpgsql
as $$
declare
    queries text[] := '{}';
    mapping jsonb;
    partition jsonb;
begin
    if changes is not null and input ? 'lookup' then
        queries := queries || {{ schema }}._lookup_sql(known, input, changes);
    end if;
    -- A look-up has no time of its own.
    if input ? 'lookup'
        and seen.identity -> 'partitions' is distinct from identity -> 'partitions'
    then
        queries := array_append(queries, null);
    end if;
    for mapping in select * from jsonb_array_elements(input -> 'mappings') loop
        if changes is not null then
            queries := queries || {{ schema }}._keys_sql(
                known, mapping, format('(%s) as changes', changes)
            );
        end if;
        -- Partitions that were added, dropped or emptied: all of their time.
        for partition in
            select value from jsonb_each(coalesce(identity -> 'partitions', '{}'))
            where seen.identity -> 'partitions' -> key is distinct from value
            union
            select value from jsonb_each(coalesce(seen.identity -> 'partitions', '{}'))
            where identity -> 'partitions' -> key is distinct from value
        loop
            queries := array_append(queries, {{ schema }}._partition_keys_sql(
                known, input, mapping, partition ->> 2, identity -> 'partition_columns'
            ));
        end loop;
    end loop;
    return queries;
end;
$$;


-- A query of the keys that time alone has changed since the model was refreshed: of
-- rows with a moment between then and now, whichever is later. Null where an input has
-- no moments.
create or replace function {{ schema }}._due_sql(
    known {{ schema }}.models, input jsonb
)
returns text
language sql stable
as $$
    select string_agg({{ schema }}._keys_sql(known, mapping, format(
        '%s where %I between %L and %L', input ->> 'relation', moment,
        least(known.refreshed_at, now()), greatest(known.refreshed_at, now())
    )), ' union ')
    from jsonb_array_elements(input -> 'mappings') as mapping
    cross join jsonb_array_elements_text(input -> 'moments') as moment
$$;


-- Creates refresh_keys, the distinct keys that queries find, with the names and types
-- of the model's columns. The planner expects few changed rows, and sorts them where
-- they are many: a hash takes half the time.
create or replace function {{ schema }}._collect_keys(
    known {{ schema }}.models, queries text[]
)
returns void
language plpgsql
set enable_sort = off
as $$
begin
    execute format('create temporary table refresh_keys on commit drop as '
        'select distinct * from (%s) as found',
        array_to_string(
            format('(select %s from %s limit 0)',
                {{ schema }}._column_list(known.key_columns), known.relation
            ) || queries, ' union all '
        ));
end;
$$;
{% endmacro %}
