{#-
    What a role can't see is not what isn't there. Where row-level security hides rows
    of a table from the role that reads it, a run would take them for deleted; so it is
    refused. A policy may let all rows of today through and not those of tomorrow, so
    policies are not looked at.
-#}


{#-
    The condition that row-level security of a table (an alias of pg_class) applies to a
    role (an alias of pg_roles), as PostgreSQL decides it.
-#}
{% macro hides_rows(table_alias, role_alias) -%}
    {{ table_alias }}.relrowsecurity
    and not {{ role_alias }}.rolsuper and not {{ role_alias }}.rolbypassrls
    and (
        {{ table_alias }}.relforcerowsecurity
        or not pg_has_role({{ role_alias }}.oid, {{ table_alias }}.relowner, 'usage')
    )
{%- endmacro %}


{#- Functions of the engine. -#}
{% macro refresh_visibility(schema) %}

-- Fails if row-level security hides rows from a run: from the role that runs it, or
-- from the owner of a staging view, whose rights the view reads with.
create or replace function {{ schema }}.refuse_hidden_rows(inputs jsonb) returns void
language plpgsql stable
as $$
declare
    hidden record;
begin
    select relations.oid::regclass as name, readers.rolname as role into hidden
    from pg_class as relations
    inner join pg_roles as readers on {{ saas_analytics.hides_rows(
        "relations", "readers"
    ) }}
    where relations.relrowsecurity and (
        readers.rolname = current_user
        or readers.oid in (
            select relowner from pg_class as views
            where views.oid in (
                select to_regclass(input ->> 'relation')
                from jsonb_array_elements(inputs) as input
                where to_regclass(input ->> 'source') = relations.oid
            )
        )
    ) and (
        relations.relnamespace = '{{ schema }}'::regnamespace
        or relations.oid in (
            select to_regclass(name)
            from jsonb_array_elements(inputs) as input
            cross join lateral (values
                (input ->> 'relation'), (input ->> 'source'), (input ->> 'tombstones'),
                (input ->> 'cleared')
            ) as names (name)
            union
            select to_regclass(relation) from {{ schema }}.models
        )
    )
    order by 1 limit 1;
    if found then
        raise exception 'row-level security hides rows of % from role %',
            hidden.name, hidden.role
            using hint = format(
                'as owner `alter table %s disable row level security`, or as '
                'administrator `alter role %I bypassrls`', hidden.name, hidden.role
            );
    end if;
end;
$$;
{% endmacro %}


{#-
    Stops a run of dbt before it reads a source, seed or model whose rows are hidden
    from its role: a test would pass for rows that it can't see, and a snapshot end the
    validity of theirs.
-#}
{% macro refuse_hidden_rows() -%}
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
                    {{- saas_analytics.refresh_literal(schema) }}, {{ "" -}}
                    {{ saas_analytics.refresh_literal(name) -}}
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
            on {{ saas_analytics.hides_rows("relations", "readers") }}
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
