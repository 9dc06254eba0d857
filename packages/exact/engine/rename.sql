{#-
    Another name of a model, which keeps what it and its readers have seen.
-#}
{% macro _engine_rename(schema) %}

-- Moves the state of a model to another name. Its table has this name already. The
-- select of each reader names the table, and is the same select.
create or replace function {{ schema }}._rename_model(
    former text, present text, present_relation text
)
returns void
language plpgsql
as $$
declare
    known {{ schema }}.models;
    present_log constant text := format('%I', present || '__log');
begin
    select * into strict known from {{ schema }}.models where model = former for update;
    execute format('alter table %s rename to %s', known.log, present_log);

    insert into {{ schema }}.models
    select renamed.*
    from {{ schema }}.models
    cross join jsonb_populate_record(models, jsonb_build_object(
        'model', present, 'relation', present_relation,
        'log', '{{ schema }}.' || present_log, 'definition_hash', null
    )) as renamed
    where models.model = former;
    update {{ schema }}.inputs set model = present where model = former;
    update {{ schema }}.inputs set name = present where name = former;
    update {{ schema }}.runs set model = present where model = former;
    delete from {{ schema }}.models where model = former;

    update {{ schema }}.models set
        definition = replace(definition, known.relation, present_relation),
        definition_hash = null,
        inputs = (
            select jsonb_agg(
                case when item ->> 'name' = former
                    then item || jsonb_build_object(
                        'name', present, 'called', present,
                        'relation', present_relation,
                        'log', '{{ schema }}.' || present_log
                    )
                    else item
                end order by position
            )
            from jsonb_array_elements(inputs) with ordinality as items (item, position)
        )
    where exists (
        select from jsonb_array_elements(inputs) as item
        where item ->> 'name' = former
    );
end;
$$;
{% endmacro %}
