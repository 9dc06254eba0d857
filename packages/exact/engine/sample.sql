{#-
    Whether the config of a model agrees with its select. The author promises that the
    select over the input rows of a key gives the rows of that key. When a model is
    built, the engine computes a few of its keys in this way, and compares them.
-#}
{% macro _engine_sample(schema) %}

-- Fails where a refresh of some keys gives other rows than the select over all rows.
-- Floats are not compared, because their sums depend on the order of the rows. A model
-- without mappings (a delta, or look-ups alone) has nothing to compare.
create or replace function {{ schema }}._refuse_other_rows(model_name text)
returns void
language plpgsql
set client_min_messages = warning
set jit = off
as $$
declare
    known {{ schema }}.models;
    key_names text;
    names text;
    sampled numeric;
    half bigint;
    differs boolean;
begin
    select * into strict known from {{ schema }}.models where model = model_name;
    if not jsonb_path_exists(known.inputs, '$[*].mappings') then
        return;
    end if;
    drop table if exists pg_temp.refresh_keys, pg_temp.refresh_sample;
    key_names := {{ schema }}._column_list(known.key_columns);
    select string_agg(format('%I', attname), ', ' order by attnum) into names
    from pg_attribute
    where attrelid = known.relation::regclass and attname = any (known.columns)
        and (
            attname = any (known.key_columns)
            or atttypid not in ('real'::regtype, 'double precision'::regtype)
        );
    -- About a thousand rows of a large table.
    select round(least(100, 100000 / greatest(reltuples, 1))::numeric, 6) into sampled
    from pg_class where oid = known.relation::regclass;
    execute format(
        'create temporary table refresh_sample on commit drop as '
        'select *, row_number() over () %% 2 as refresh_half '
        'from (select distinct %1$s from %2$s tablesample bernoulli (%3$s) '
        'repeatable (1) order by %1$s limit 10) as found',
        key_names, known.relation, sampled
    );
    -- In two halves: a select that compares keys gives the same for all of them.
    for half in select distinct refresh_half from refresh_sample loop
        execute format(
            'create temporary table refresh_keys on commit drop as '
            'select %s from refresh_sample where refresh_half = %s', key_names, half
        );
        execute format(
            'select exists (select from (select %1$s, 1 as sign from (%2$s) as made '
            'union all select %1$s, -1 from (%3$s) as present) as both_sides '
            'group by %1$s having sum(sign) != 0)',
            names, {{ schema }}._made_sql(known, known.key_columns),
            {{ schema }}._present_sql(known, known.key_columns)
        ) into differs;
        if differs then
            raise exception 'the config of % gives other rows of a % than its select',
                known.model, array_to_string(known.key_columns, ', ')
                using hint = 'correct them: for each key column they name the '
                    'expression of the select, and a key needs no row of another';
        end if;
        drop table pg_temp.refresh_keys;
    end loop;
    drop table pg_temp.refresh_sample;
end;
$$;
{% endmacro %}
