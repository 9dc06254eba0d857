{#-
    Step 2, continued: whether to compute the keys themselves, their days or months, or
    everything, whichever costs least.
-#}
{% macro _engine_choose(schema) %}

-- The key column that every mapping of a model gives as a day, week or month. Null
-- where there is none, or where it is the only key column.
create or replace function {{ schema }}._common_period(known {{ schema }}.models)
returns text
language sql stable
as $$
    select name from unnest(known.key_columns) as name
    where cardinality(known.key_columns) > 1 and not exists (
        select from jsonb_array_elements(known.inputs) as each_input (item),
            jsonb_array_elements(each_input.item -> 'mappings') as each_mapping (item)
        where not each_mapping.item -> name ? 'period'
    ) and exists (
        select from jsonb_array_elements(known.inputs) as each_input (item)
        where each_input.item ? 'mappings'
    )
    limit 1
$$;


-- Chooses by the number of keys: the keys, the periods that they are in, which
-- refresh_keys then holds, or everything. Returns the columns of refresh_keys.
create or replace function {{ schema }}._choose_keys(
    known {{ schema }}.models, inout run {{ schema }}.runs, out keys text[]
)
language plpgsql
as $$
declare
    total real;
    period_name text;
    keys_present bigint;
    rows_present bigint;
    is_most boolean := false;
begin
    keys := known.key_columns;
    select count(*) into run.key_count from refresh_keys;
    select greatest(reltuples, 1) into total
    from pg_class where oid = known.relation::regclass;
    -- Where they are most keys of their periods, all rows of the periods are read.
    period_name := {{ schema }}._common_period(known);
    if run.key_count > greatest(100, total / 50) and period_name is not null then
        execute format('select count(*), sum(number) from ('
            'select sum(number) as number from ('
            'select %1$s, 1 as number from %2$s where %3$I in '
            '(select %3$I from refresh_keys) '
            'union all select %1$s, 0 from refresh_keys) as keys '
            'group by %1$s) as present',
            {{ schema }}._column_list(known.key_columns),
            known.relation, period_name) into keys_present, rows_present;
        is_most := run.key_count > keys_present / 2;
    end if;
    if is_most and rows_present < total / 2 then
        keys := array[period_name];
        execute format('create temporary table refresh_periods on commit drop as '
            'select distinct %I from refresh_keys', period_name);
        drop table refresh_keys;
        alter table refresh_periods rename to refresh_keys;
        select count(*) into run.key_count from refresh_keys;
    elsif is_most or run.key_count > 100 and run.key_count > total / 5 then
        run.method := 'full';
        return;
    end if;
    execute format('create index on refresh_keys (%s)',
        {{ schema }}._column_list(keys));
    analyze refresh_keys;
end;
$$;
{% endmacro %}
