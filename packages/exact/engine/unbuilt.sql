{#-
    Models of another version of the engine that this one has not built yet. Their
    tables stay as they are, so a run without them would leave stale rows.
-#}
{% macro _engine_unbuilt(schema) %}
{%- set build = exact.how_to("build") -%}

-- Fails if one of these models, all by default, or one that they read is not built.
create or replace function {{ schema }}._refuse_unbuilt(only_models text[] default null)
returns void
language plpgsql stable
as $$
declare
    unbuilt constant text[] := array(
        select model from {{ schema }}.unbuilt
        union
        select model from {{ schema }}.models where definition_hash is null
    );
    names text[];
begin
    if unbuilt = '{}' then
        return;
    end if;
    with recursive needed as (
        select name from unnest(only_models) as name
        union
        select input ->> 'name'
        from needed
        inner join {{ schema }}.models on model = needed.name
        cross join jsonb_array_elements(inputs) as input
    )
    select array_agg(model order by model) into names
    from unnest(unbuilt) as model
    where only_models is null or model in (select name from needed);
    if names is not null then
        raise exception '% not built since the engine changed', case
            when cardinality(names) = 1 then format('model %s is', names[1])
            when cardinality(names) <= 3
                then format('models %s are', array_to_string(names, ', '))
            else format('models %s and %s more are',
                array_to_string(names[:3], ', '), cardinality(names) - 3)
        end using hint = 'run `{{ build }}`, which also says why it refuses one';
    end if;
end;
$$;
{% endmacro %}
