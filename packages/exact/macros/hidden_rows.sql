{#-
    The condition that row-level security of a table (an alias of pg_class) applies to a
    role (an alias of pg_roles), as PostgreSQL decides it.
-#}
{% macro _hides_rows(table_alias, role_alias) -%}
    {{ table_alias }}.relrowsecurity
    and not {{ role_alias }}.rolsuper and not {{ role_alias }}.rolbypassrls
    and (
        {{ table_alias }}.relforcerowsecurity
        or not pg_has_role({{ role_alias }}.oid, {{ table_alias }}.relowner, 'usage')
    )
{%- endmacro %}


{#-
    Stops a run of dbt before it reads a source, seed or model whose rows are hidden
    from its role: a test would pass for rows that it can't see, and a snapshot end the
    validity of theirs.
-#}
{% macro _refuse_hidden_rows() -%}
    {%- set names = [] -%}
    {%- for node in graph.sources.values() -%}
        {%- do names.append((node.schema, node.identifier)) -%}
    {%- endfor -%}
    {%- for node in graph.nodes.values()
        if node.resource_type in ("model", "seed", "snapshot") -%}
        {%- do names.append((node.schema, node.alias)) -%}
    {%- endfor -%}
    {%- set hidden -%}
        with named as (
            select pg_class.*
            from pg_class
            inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
            where (nspname, relname) in (
                {%- for schema, name in names -%}
                (
                    {{- exact.literal(schema) }}, {{ "" -}}
                    {{ exact.literal(name) -}}
                )
                {{- ", " if not loop.last }}
                {%- endfor -%}
            )
        )
        select
            relations.oid::regclass::text as relation_name,
            readers.rolname as role_name
        from named as relations
        inner join pg_roles as readers
            on {{ exact._hides_rows("relations", "readers") }}
        where
            readers.rolname = current_user
            or readers.oid in (select relowner from named where relkind = 'v')
        order by 1 limit 1
    {%- endset -%}
    {%- for name, role in run_query(hidden).rows if names -%}
        {%- do exceptions.raise_compiler_error(
            "Row-level security hides rows of " ~ name ~ " from role " ~ role
            ~ ": as owner `alter table " ~ name ~ " disable row level security`, or "
            ~ "as administrator `alter role " ~ adapter.quote(role) ~ " bypassrls`."
        ) -%}
    {%- endfor -%}
{%- endmacro %}
