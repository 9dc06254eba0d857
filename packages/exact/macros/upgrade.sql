{#-
    Upgrades of the engine. Its functions are replaced whenever their text changes. Its
    state, the tables of engine/state.sql, has a version of its own and is kept: each
    change of a table's layout or meaning is a step below.

    A step after a fault that may have left rows wrong marks the models as stale. The
    next refresh then computes them in full.
-#}


{#- The version of the package, as dbt_project.yml has it. -#}
{% macro _package_version() -%}
    {{ return("0.1.0") }}
{%- endmacro %}


{#- The version of the state that this engine reads and writes. -#}
{% macro _state_version() -%}
    {{ return(2) }}
{%- endmacro %}


{#-
    Makes the schema, or brings the state in it to this version and drops the functions
    of the former one. A state of unknown layout is dropped. The names of its models are
    kept, and each is computed in full when dbt builds it next.
-#}
{% macro _upgrade(schema) %}
create temporary table refresh_unbuilt (model text) on commit drop;

do $upgrade$
declare
    version integer;
    present text;
begin
    -- "if not exists" would ask for the right to make schemas although it is there.
    if to_regnamespace('{{ schema }}') is null then
        create schema {{ schema }};
    end if;
    version := {{ exact._installed_version_sql(schema) }};
    if version > {{ exact._state_version() }} then
        raise exception 'schema {{ schema }} is of a later version of the package exact'
            using hint = 'install that version, or build into another schema';
    end if;
    foreach present in array array['models', 'unbuilt'] loop
        if version is null and to_regclass('{{ schema }}.' || present) is not null then
            execute format(
                'insert into pg_temp.refresh_unbuilt select model from {{ schema }}.%I',
                present
            );
        end if;
    end loop;
    -- Listed first: a table drops the functions of its row type too.
    foreach present in array coalesce((
        select array_agg(format('%s if exists %s', kind, name))
        from (
            select 'table' as kind, oid::regclass::text as name
            from pg_class
            where relkind = 'r' and relnamespace = '{{ schema }}'::regnamespace
                and version is null
            union all
            select 'function', oid::regprocedure::text
            from pg_proc where pronamespace = '{{ schema }}'::regnamespace
        ) as things
    ), '{}')
    loop
        execute format('drop %s cascade', present);
    end loop;
    if version < 1 then
        {{ exact._upgrade_to_1(schema) }}
    end if;
    if version < 2 then
        {{ exact._upgrade_to_2(schema) }}
    end if;
end;
$upgrade$;
{% endmacro %}


{#-
    An expression: the version of the state that is there, or null where its layout is
    unknown or there is none. Version 0 had no number in the schema's comment.
-#}
{% macro _installed_version_sql(schema) -%}
    (
        select case
            when comment like 'exact %' then split_part(comment, ' ', 2)::integer
            when comment like 'Refresh engine %' and (
                select string_agg(attname, ' ' order by attname)
                from pg_attribute
                where attrelid = to_regclass('{{ schema }}.models')
                    and attnum > 0 and not attisdropped
            ) = 'as_of checks clock columns day definition definition_hash '
                'generation inputs is_logged is_stale log method model '
                'refreshed_at relation rows_column scope today zone' then 0
        end
        from obj_description(to_regnamespace('{{ schema }}')) as comment
    )
{%- endmacro %}


{#-
    Version 1 compares selects as the server understands them. Key columns, their number
    and the methods of a refresh have other names. A null hash says that the next build
    keeps the model if its select is still the same, whatever form its config has.
-#}
{% macro _upgrade_to_1(schema) %}
        alter table {{ schema }}.models alter column definition_hash drop not null;
        alter table {{ schema }}.models drop column rows_column;
        alter table {{ schema }}.models rename column scope to key_columns;
        alter table {{ schema }}.runs rename column scopes to key_count;
        update {{ schema }}.models set definition_hash = null;
        update {{ schema }}.models set method = names.present
        from (
            values ('quiet', 'unchanged'), ('scoped', 'partial'), ('summed', 'delta'),
                ('whole', 'full')
        ) as names (former, present)
        where method = names.former;
        update {{ schema }}.runs set method = names.present
        from (
            values ('quiet', 'unchanged'), ('scoped', 'partial'), ('summed', 'delta'),
                ('whole', 'full')
        ) as names (former, present)
        where method = names.former;
{% endmacro %}


{#- Version 2 keeps a data test as a query, and not as a condition or columns. -#}
{% macro _upgrade_to_2(schema) %}
        update {{ schema }}.models set checks = (
            select jsonb_agg(jsonb_build_object(
                'name', test -> 'name',
                'query', case when test ? 'grain' then concat(
                    'select from refresh_groups group by ', test ->> 'grain',
                    ' having count(*) > 1'
                ) else concat(
                    'select from refresh_written where ', test ->> 'fails'
                ) end
            ) order by position)
            from jsonb_array_elements(checks) with ordinality as checks (test, position)
        )
        where checks != '[]';
{% endmacro %}


{#- Lists the models whose state was dropped. -#}
{% macro _remember_unbuilt(schema) %}
insert into {{ schema }}.unbuilt select distinct model from pg_temp.refresh_unbuilt;
{% endmacro %}
