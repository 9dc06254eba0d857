{#-
    A refresh of one model, and of all.
-#}
{% macro _engine_refresh(schema) %}
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


-- The model to refresh, its row held until the transaction ends. Fails, and loses
-- nothing, where another run has gone ahead of this snapshot.
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
            using hint = format('dbt run --select %s makes it anew', model_name);
    end if;
    return known;
end;
$$;


-- Whether the time alone makes a model's select give other rows than it did.
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


-- Finds what changed and how to take it in: the run's method, the identities by which
-- its inputs are remembered, and refresh_keys or what _sum_up() makes.
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
            -- Each change has its neighbours looked for: dearer than to read in order.
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


-- Applies what changed, with the settings that refresh() gives. The identities of
-- sources may come along, by _source_name().
create or replace function {{ schema }}._apply_changes(
    model_name text, rebuild boolean, source_identities jsonb
)
returns {{ schema }}.runs
language plpgsql
as $$
declare
    started constant timestamptz := clock_timestamp();
    known {{ schema }}.models;
    run {{ schema }}.runs;
    identities jsonb := '{}';
    keys text[];
    found record;
    made text;
begin
    if current_setting('transaction_isolation') = 'read committed' then
        raise exception 'a refresh must be the work of one REPEATABLE READ transaction'
            using hint = 'begin isolation level repeatable read';
    end if;
    known := {{ schema }}._model_to_refresh(model_name);
    run.model := model_name;
    run.method := 'unchanged';
    run.rows_removed := 0;
    run.rows_added := 0;
    run.failed_checks := '{}';
    run.refreshed_at := now();
    drop table if exists pg_temp.refresh_keys, pg_temp.refresh_periods,
        pg_temp.refresh_old, pg_temp.refresh_new, pg_temp.refresh_difference;

    -- 1 and 2: what changed, and the keys of it.
    if rebuild or known.is_stale or {{ schema }}._is_out_of_date(known) then
        run.method := 'full';
    else
        found := {{ schema }}._find_changes(known, source_identities, run);
        run := found.run;
        identities := found.identities;
    end if;
    if run.method = 'partial' then
        found := {{ schema }}._choose_keys(known, run);
        run := found.run;
        keys := found.keys;
    end if;

    -- 3 and 4: the rows as they should be, and what of them is to be written.
    if run.method = 'full' then
        perform {{ schema }}._check_types(known);
        made := known.relation;
        run := {{ schema }}._write_difference(
            known, format('(%s)', known.definition), known.relation, 'ctid', run
        );
    elsif run.method != 'unchanged' then
        made := 'refresh_new';
        if run.method = 'partial' then
            execute format('create temporary table refresh_new on commit drop as %s',
                {{ schema }}._made_sql(known, keys));
            perform {{ schema }}._refuse_other_keys(known, keys);
        end if;
        run := {{ schema }}._write_difference(
            known, made, case run.method when 'delta' then 'refresh_old'
                else format('(%s)', {{ schema }}._present_sql(known, keys)) end,
            'row_id', run
        );
    end if;
    if run.rows_added > 0 and known.checks != '[]' then
        run.failed_checks := {{ schema }}._failed_checks(known, made);
    end if;
    if run.method != 'unchanged' and known.is_logged then
        perform {{ schema }}._log_difference(known, run);
    end if;
    perform {{ schema }}._remember(model_name, run.method, identities);
    run.milliseconds := round(
        extract(epoch from clock_timestamp() - started)::numeric * 1000, 1
    );
    if run.method = 'partial' or run.rows_removed + run.rows_added > 0 then
        insert into {{ schema }}.runs select run.*;
        -- Those of this model alone: two runs never delete the same row.
        delete from {{ schema }}.runs
        where model = run.model and refreshed_at < now() - interval '30 days';
    end if;
    return run;
end;
$$;


-- Applies what changed, to one model.
create or replace function {{ schema }}.refresh(
    model_name text, rebuild boolean default false
)
returns {{ schema }}.runs
language plpgsql
set client_min_messages = warning
set jit = off
set work_mem = '{{ exact._work_mem() }}'
as $$
begin
    return {{ schema }}._apply_changes(model_name, rebuild, '{}');
end;
$$;


-- Refreshes models, all by default, each after those that it reads: one snapshot. The
-- settings are given once: to give them to each model takes longer than to find that
-- nothing has changed.
create or replace function {{ schema }}.refresh_all(only_models text[] default null)
returns setof {{ schema }}.runs
language plpgsql
set client_min_messages = warning
set jit = off
set work_mem = '{{ exact._work_mem() }}'
as $$
declare
    source_identities jsonb;
    name text;
begin
    perform {{ schema }}._refuse_unbuilt(only_models);
    perform {{ schema }}._refuse_mixed_builds();
    select jsonb_object_agg(source_name, {{ schema }}._input_identity(input))
    into source_identities
    from (
        select distinct on (source_name) source_name, input
        from {{ schema }}.models,
            jsonb_array_elements(inputs) as input,
            {{ schema }}._source_name(input) as source_name
        where input ->> 'kind' = 'source'
            and (only_models is null or model = any (only_models))
        order by source_name
    ) as each_source;
    for name in
        with recursive edges as (
            select model, input ->> 'name' as upstream
            from {{ schema }}.models, jsonb_array_elements(inputs) as input
            where input ->> 'kind' = 'model'
        ),
        depths as (
            select model, 0 as depth from {{ schema }}.models
            union
            select edges.model, depths.depth + 1
            from depths inner join edges on depths.model = edges.upstream
        )
        select depths.model from depths
        where only_models is null or depths.model = any (only_models)
        group by depths.model order by max(depths.depth), depths.model
    loop
        return next {{ schema }}._apply_changes(name, false, source_identities);
    end loop;
end;
$$;
{% endmacro %}
