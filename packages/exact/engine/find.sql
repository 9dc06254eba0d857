{#-
    What a refresh of one model has to do: the model itself, whether time alone changed
    its rows, and steps 1 and 2 over its inputs.
-#}
{% macro _engine_find(schema) %}
{%- set build = exact.how_to("build") -%}

-- Whether a model's table is there with all columns that its select gives.
create or replace function {{ schema }}._has_its_columns(known {{ schema }}.models)
returns boolean
language sql stable
as $$
    select known.columns <@ array(
        select attname::text from pg_attribute
        where attrelid = to_regclass(known.relation)
            and attnum > 0 and not attisdropped
    )
$$;


-- The model to refresh. Its row is locked until the transaction ends. Fails, and
-- changes nothing, where another run committed after this snapshot.
create or replace function {{ schema }}._model_to_refresh(model_name text)
returns {{ schema }}.models
language plpgsql
as $$
declare
    known {{ schema }}.models;
begin
    select * into known from {{ schema }}.models where model = model_name for update;
    if not found then
        raise exception 'no model % is kept exact here: dbt run makes it', model_name;
    end if;
    if to_regclass(known.relation) is null then
        raise exception 'the table % is gone', known.relation
            using hint = 'run `{{ build }}`, which creates it';
    end if;
    if not {{ schema }}._has_its_columns(known) then
        raise exception 'the table % has lost a column', known.relation
            using hint = format('dbt run --select %s creates it again', model_name);
    end if;
    return known;
end;
$$;


-- Whether the time alone may have changed the result of a model's select.
create or replace function {{ schema }}._is_out_of_date(known {{ schema }}.models)
returns boolean
language plpgsql stable
as $$
declare
    current_day date;
begin
    execute format('select %s', known.today) into current_day;
    return known.clock = 'moment'
        or (known.clock = 'day' and known.day != current_day);
end;
$$;


-- Finds what changed and how to apply it: the method of the run, the identities of its
-- inputs, and refresh_keys or the tables of _sum_up().
create or replace function {{ schema }}._find_changes(
    known {{ schema }}.models,
    source_identities jsonb,
    inout run {{ schema }}.runs,
    out identities jsonb
)
language plpgsql
as $$
declare
    input jsonb;
    seen {{ schema }}.inputs;
    identity jsonb;
    changes text;
    due text;
    is_lacking boolean;
    is_changed boolean;
    is_due boolean;
    queries text[] := '{}';
begin
    identities := '{}';
    for input in select * from jsonb_array_elements(known.inputs) loop
        identity := coalesce(
            source_identities -> {{ schema }}._source_name(input),
            {{ schema }}._input_identity(input)
        );
        identities := identities || jsonb_build_object(input ->> 'name', identity);
        select * into seen from {{ schema }}.inputs
        where inputs.model = known.model and inputs.name = input ->> 'name';
        if {{ schema }}._has_lost_track(input, seen, identity) then
            run.method := 'full';
            return;
        end if;
        if input ? 'moments' then
            due := {{ schema }}._due_sql(known, input);
            execute format('select exists (%s)', due) into is_due;
            if is_due then
                run.method := 'partial';
                queries := queries || due;
            end if;
        end if;
        continue when input ->> 'kind' = 'seed';
        select * into changes, is_lacking
        from {{ schema }}._changes_of(input, seen, identity);
        if is_lacking then
            run.method := 'full';
            return;
        end if;
        is_changed := changes is not null;
        if is_changed then
            changes := format('select * from %s as changes where %s',
                changes, coalesce(input ->> 'filter', 'true'));
            if input ? 'filter' then
                execute format('select exists (%s)', changes) into is_changed;
            end if;
        end if;
        continue when not is_changed and seen.identity -> 'partitions'
            is not distinct from identity -> 'partitions';
        if known.key_columns = '{}'
            or not (input ?| array['mappings', 'lookup', 'delta'])
            or not {{ schema }}._is_known(input, identity)
        then
            run.method := 'full';
            return;
        end if;
        if input ? 'delta' then
            -- Each change looks up its neighbors, which costs more than one scan.
            execute format('select count(*) from (%s) as changes', changes)
                into run.key_count;
            if run.key_count > (
                select greatest(reltuples, 1000) / 20 from pg_class
                where oid = (input ->> 'relation')::regclass
            ) then
                run.method := 'full';
                run.key_count := null;
                return;
            end if;
            run.method := 'delta';
            perform {{ schema }}._sum_up(known, input, changes);
        else
            run.method := 'partial';
            queries := queries || {{ schema }}._key_queries(
                known, input, seen, identity, case when is_changed then changes end
            );
        end if;
    end loop;
    -- The time of one of the partitions isn't known.
    if array_position(queries, null) is not null then
        run.method := 'full';
    elsif run.method = 'partial' then
        perform {{ schema }}._collect_keys(known, queries);
    end if;
end;
$$;
{% endmacro %}
