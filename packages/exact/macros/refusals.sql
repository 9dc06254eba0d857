{#- Stops, before any table is created, where a source table does not exist. -#}
{% macro _refuse_missing_sources() -%}
    {%- set names = [] -%}
    {%- for node in graph.nodes.values() if node.unique_id in selected_resources -%}
        {%- for unique_id in node.depends_on.nodes if unique_id in graph.sources -%}
            {%- set source = graph.sources[unique_id] -%}
            {%- do names.append(
                "(" ~ exact.literal(source.schema) ~ ", "
                ~ exact.literal(source.identifier) ~ ")"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set missing -%}
        select case
            when count(*) > 3 then min(schema_name || '.' || name) || ' and '
                || count(*) - 1 || ' more'
            else string_agg(schema_name || '.' || name, ', ')
        end
        from (
            select distinct *
            from (values {{ names | join(", ") }}) as named (schema_name, name)
        ) as sources
        where not exists (
            select from pg_class
            inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
            where nspname = schema_name and relname = name
        )
    {%- endset -%}
    {%- set found = run_query(missing).columns[0].values()[0] if names -%}
    {%- if found -%}
        {%- do exceptions.raise_compiler_error(
            "The source tables are not there (" ~ found ~ "): "
            ~ exact.how_to("make the sources") ~ "."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Stops `--empty` where a model was built without it: it creates staging views that
    select nothing, so it would empty every table that reads them.
-#}
{% macro _refuse_to_empty() -%}
    {%- set schema = exact.engine_schema() -%}
    {%- if run_query(
        "select to_regclass('" ~ schema ~ ".models') is not null"
    ).columns[0].values()[0] and run_query(
        "select exists (select from " ~ schema ~ ".models "
        ~ "where definition not like '%where false limit 0%')"
    ).columns[0].values()[0] -%}
        {%- do exceptions.raise_compiler_error(
            "--empty would empty the marts in " ~ target.schema ~ ": name another "
            ~ "schema for it, such as DBT_SCHEMA=dry_run."
        ) -%}
    {%- endif -%}
{%- endmacro %}
