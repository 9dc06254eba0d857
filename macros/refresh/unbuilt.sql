{#-
    Models that another version of the engine kept, and that this one has not built yet.
    Their tables are there and stay as they are, so a run that went past them would
    leave readers with rows of former times.
-#}


{#- Notes them before the state of the other version is dropped. -#}
{% macro refresh_note_unbuilt(schema) %}
create temporary table refresh_unbuilt (model text) on commit drop;
do $note$
declare
    present text;
begin
    foreach present in array array['models', 'unbuilt'] loop
        if to_regclass(format('%s.%I', '{{ schema }}', present)) is not null then
            execute format(
                'insert into pg_temp.refresh_unbuilt select model from %s.%I',
                '{{ schema }}', present
            );
        end if;
    end loop;
end;
$note$;
{% endmacro %}


{#- A table and a function of the engine. -#}
{% macro refresh_unbuilt(schema) %}

create table if not exists {{ schema }}.unbuilt (model text primary key);

comment on table {{ schema }}.unbuilt is
'One row per model that a former version kept and this one has not built yet.';


-- Fails if one of these models, all by default, or one that they read is not built.
create or replace function {{ schema }}.refuse_unbuilt(only_models text[] default null)
returns void
language plpgsql stable
as $$
declare
    names text[];
begin
    if not exists (select from {{ schema }}.unbuilt) then
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
    from {{ schema }}.unbuilt
    where only_models is null or model in (select name from needed);
    if names is not null then
        raise exception '% not built since the engine changed', case
            when cardinality(names) = 1 then format('model %s is', names[1])
            when cardinality(names) <= 3
                then format('models %s are', array_to_string(names, ', '))
            else format('models %s and %s more are',
                array_to_string(names[:3], ', '), cardinality(names) - 3)
        end using hint = 'run `make build`, which also says why it refuses one';
    end if;
end;
$$;
{% endmacro %}
