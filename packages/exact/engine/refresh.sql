{#-
    refresh() and refresh_all(): the public functions.
-#}
{% macro _engine_refresh(schema) %}

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
