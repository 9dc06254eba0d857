{#-
    How a refresh begins. Each run of a model locks its log, then takes its snapshot.
    After the snapshot, no table that it reads may be emptied or replaced: the snapshot
    would show it as empty.

    The caller begins a REPEATABLE READ transaction, runs the statements of
    before_refresh() in order, and asks hold(). Where that is false, the caller rolls
    back and begins again.
-#}
{% macro _engine_protocol(schema) %}

-- The tables, but those of sources, that a model with these inputs reads, and the logs
-- of their changes, as far as they exist.
create or replace function {{ schema }}._tables_read(inputs jsonb) returns text[]
language sql stable
as $$
    select coalesce(array_agg(distinct name order by name), '{}')
    from jsonb_array_elements(inputs) as input
    cross join lateral (
        values
        (input ->> 'log'),
        (case when input ->> 'kind' != 'source' then input ->> 'relation' end)
    ) as names (name)
    where to_regclass(name) is not null
$$;


-- The statements that begin a refresh: none of them takes a snapshot.
create or replace function {{ schema }}._statements_before(logs text[], inputs jsonb)
returns setof text
language sql stable
as $$
    -- From here on, a row that a policy hides is an error.
    select 'set local row_security = off'
    union all
    select format('lock table %s in share update exclusive mode',
        array_to_string(logs, ', '))
    union all
    select format('lock table %s in access share mode', array_to_string(reads, ', '))
    from {{ schema }}._tables_read(inputs) as reads
    where reads != '{}'
$$;


-- Those of a refresh of these models, all by default.
create or replace function {{ schema }}.before_refresh(only_models text[] default null)
returns setof text
language plpgsql stable
as $$
begin
    perform {{ schema }}._refuse_unbuilt(only_models);
    return query
        select statements
        from (
            select
                array_agg(log order by log) as logs,
                jsonb_path_query_array(jsonb_agg(inputs), '$[*][*]') as inputs
            from {{ schema }}.models
            where only_models is null or model = any (only_models)
        ) as chosen
        cross join lateral {{ schema }}._statements_before(logs, inputs) as statements
        where logs is not null;
end;
$$;


-- Locks the sources of these models, all by default, until the transaction ends.
-- Returns whether the snapshot shows them as they are now.
create or replace function {{ schema }}.hold(only_models text[] default null)
returns boolean
language sql
as $$
    select {{ schema }}._hold_sources(
        jsonb_path_query_array(jsonb_agg(inputs), '$[*][*]')
    )
    from {{ schema }}.models
    where only_models is null or model = any (only_models)
$$;
{% endmacro %}
