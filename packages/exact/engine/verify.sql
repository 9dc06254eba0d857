{#-
    Whether a model equals its select.
-#}
{% macro _engine_verify(schema) %}

-- How many rows of a model differ from what its select gives now: 0, always.
create or replace function {{ schema }}.verify(model_name text) returns bigint
language plpgsql
as $$
declare
    known {{ schema }}.models;
    names text;
    found bigint;
begin
    select * into strict known from {{ schema }}.models where model = model_name;
    names := {{ schema }}._column_list(known.columns);
    execute format(
        'select count(*) from (select from (select %1$s, 1 as sign from (%2$s) as made '
        'union all select %1$s, -1 from %3$s) as both_sides '
        'group by %1$s having sum(sign) != 0) as different',
        names, known.definition, known.relation
    ) into found;
    return found;
end;
$$;


-- Whether two selects mean the same, as the server understands both. A comment or
-- another layout makes no difference.
create or replace function {{ schema }}._is_same_select(former text, present text)
returns boolean
language plpgsql
as $$
declare
    is_same boolean;
begin
    if former = present then
        return true;
    end if;
    execute 'create temporary view refresh_former as ' || former;
    execute 'create temporary view refresh_present as ' || present;
    is_same := pg_get_viewdef('pg_temp.refresh_former'::regclass)
        = pg_get_viewdef('pg_temp.refresh_present'::regclass)
        and {{ schema }}._column_types('pg_temp.refresh_former')
        = {{ schema }}._column_types('pg_temp.refresh_present');
    drop view pg_temp.refresh_former, pg_temp.refresh_present;
    return is_same;
exception when undefined_table or undefined_column or undefined_function
    or undefined_object or invalid_schema_name
then
    -- What the former one read has been replaced.
    return false;
end;
$$;
{% endmacro %}
