{#-
    Step 3, continued: the rows that a model's select gives for the keys, and the rows
    that its table holds for them.
-#}
{% macro _engine_recompute(schema) %}

-- The join of keys with rows by their key columns, null being equal to null. An
-- index serves it: each combination of nulls is a query of its own.
create or replace function {{ schema }}._key_join(
    keys text[], is_null boolean[], other text
)
returns text
language sql immutable
as $$
    select string_agg(
        case when is_null[position]
            then format('(keys.%1$I is null and %2$s is null)', name, other_name)
            else format('%2$s = keys.%1$I', name, other_name)
        end, ' and ' order by position
    )
    from unnest(keys) with ordinality as columns (name, position)
    cross join lateral (select replace(other, '?', name) as other_name) as others
$$;


-- A query of the rows that a model's select gives for the keys.
create or replace function {{ schema }}._made_sql(
    known {{ schema }}.models, keys text[]
)
returns text
language plpgsql
as $$
declare
    definition text := known.definition;
    input jsonb;
    touched text;
    mappings integer := 0;
    parts text[] := '{}';
begin
    for input in select * from jsonb_array_elements(known.inputs) loop
        continue when not input ? 'mappings';
        touched := format('touched_%s', input ->> 'name');
        mappings := mappings + jsonb_array_length(input -> 'mappings');
        parts := parts || format('%I as (%s)', touched, (
            -- A row of several keys is one row.
            select string_agg(format('(%s)', {{ schema }}._touched_sql(
                input, each_mapping.item, keys
            )), ' union ')
            from jsonb_array_elements(input -> 'mappings') as each_mapping (item)
        ));
        definition := replace(
            definition, input ->> 'relation', format('%I', touched)
        );
    end loop;
    definition := format('%s select made.* from (%s) as made',
        'with ' || nullif(array_to_string(parts, ', '), ''), definition);
    -- Rows of several mappings, or of an input without any, may bring keys along that
    -- are not meant.
    if mappings != 1 or jsonb_array_length(known.inputs) > 1 then
        definition := definition || format(
            ' where jsonb_build_array(%1$s) in '
            '(select jsonb_build_array(%1$s) from refresh_keys)',
            {{ schema }}._column_list(keys)
        );
    end if;
    return definition;
end;
$$;


-- A query of a model's present rows of the keys, with their row_id.
create or replace function {{ schema }}._present_sql(
    known {{ schema }}.models, keys text[]
)
returns text
language plpgsql
as $$
declare
    pattern boolean[];
    parts text[];
begin
    parts := array[format('(select ctid as row_id, %s from %s limit 0)',
        {{ schema }}._column_list(known.columns),
        known.relation)];
    for pattern in execute format(
        'select distinct array[%s] from refresh_keys',
        (select string_agg(format('%I is null', name), ', ' order by position)
            from unnest(keys) with ordinality as columns (name, position))
    ) loop
        parts := parts || format(
            'select present.ctid as row_id, %s from refresh_keys '
            'as keys inner join %s as present on %s where %s',
            (select string_agg(format('present.%I', name), ', ')
                from unnest(known.columns) as name),
            known.relation,
            {{ schema }}._key_join(keys, pattern, 'present."?"'),
            (select string_agg(format('keys.%I is %s null', name,
                case when pattern[position] then '' else 'not' end), ' and ')
                from unnest(keys) with ordinality as columns (name, position))
        );
    end loop;
    return array_to_string(parts, ' union all ');
end;
$$;


-- Fails where a model's select gives rows of other keys than those that it was asked
-- for: its config says another thing of its keys than its select.
create or replace function {{ schema }}._refuse_other_keys(
    known {{ schema }}.models, keys text[]
)
returns void
language plpgsql
as $$
declare
    has_other boolean;
begin
    execute format(
        'select exists (select from refresh_new where jsonb_build_array(%1$s) not in '
        '(select jsonb_build_array(%1$s) from refresh_keys))',
        {{ schema }}._column_list(keys)
    ) into has_other;
    if has_other then
        raise exception 'the config of % gives another % than its select', known.model,
            array_to_string(keys, ', ')
            using hint = 'correct its keys: for each key column they give the '
                'expression of the select';
    end if;
end;
$$;
{% endmacro %}
