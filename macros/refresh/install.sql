{#- The schema in which the engine keeps its functions and its state, quoted. -#}
{% macro refresh_schema() -%}
    {{ return(adapter.quote(target.schema ~ "_refresh")) }}
{%- endmacro %}


{#-
    Puts the refresh engine in place at the start of a run, where it is missing or
    another version, and forgets models that the project no longer has.
-#}
{% macro install_refresh_engine() -%}
    {{ return(adapter.dispatch("install_refresh_engine", "saas_analytics")()) }}
{%- endmacro %}

{% macro default__install_refresh_engine() -%}{%- endmacro %}

{% macro postgres__install_refresh_engine() -%}
    {%- if execute and flags.WHICH in ("run", "build", "retry") -%}
        {%- if flags.FULL_REFRESH and env_var("DBT_PRODUCTION", "") != ""
            and not var("allow_full_refresh", false) -%}
            {%- do exceptions.raise_compiler_error(
                "DBT_PRODUCTION is set, where --full-refresh rebuilds every mart from "
                ~ "all history; a mart that differs from its source rows does so by "
                ~ "itself. If you mean it, add --vars 'allow_full_refresh: true'."
            ) -%}
        {%- endif -%}
        {%- set schema = saas_analytics.refresh_schema() -%}
        {%- set engine = saas_analytics.refresh_engine(schema) -%}
        {%- set version = "Refresh engine " ~ local_md5(engine) -%}
        {%- set installed -%}
            select obj_description(to_regnamespace('{{ schema }}')) as version
        {%- endset -%}
        {%- if run_query(installed).columns[0].values()[0] != version -%}
            {%- set statements -%}
                select pg_advisory_xact_lock(7226002);
                -- "if not exists" would ask for the right to make schemas all the same.
                do $install$
                begin
                    if to_regnamespace('{{ schema }}') is null then
                        create schema {{ schema }};
                    end if;
                end;
                $install$;
                -- Another version knows nothing of this one's state: all is rebuilt, in
                -- place.
                do $install$
                declare
                    present text;
                begin
                    -- Listed first: a table takes functions of its type along.
                    foreach present in array coalesce((
                        select array_agg(format('%s if exists %s', kind, name))
                        from (
                            select 'table' as kind, oid::regclass::text as name
                            from pg_class
                            where relkind = 'r'
                            and relnamespace = '{{ schema }}'::regnamespace
                            union all
                            select 'function', oid::regprocedure::text
                            from pg_proc
                            where pronamespace = '{{ schema }}'::regnamespace
                        ) as things
                    ), '{}')
                    loop
                        execute format('drop %s cascade', present);
                    end loop;
                end;
                $install$;
                {{ engine }}
                comment on schema {{ schema }} is '{{ version }}';
                commit
            {%- endset -%}
            {%- do run_query(statements) -%}
        {%- endif -%}
        {%- set names = [] -%}
        {%- for node in graph.nodes.values() if node.config.materialized == "exact" -%}
            {%- do names.append("'" ~ node.name ~ "'") -%}
        {%- endfor -%}
        delete from {{ schema }}.models where model not in ({{ names | join(", ") }});
        commit
    {%- endif -%}
{%- endmacro %}
