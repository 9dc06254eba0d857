{#-
    Refuses a dbt run under another role than the owner of the marts' schemas, because
    the owner may have planted code there. saas_analytics/marts_owner.py has the rule.
-#}
{% macro refuse_to_act_for_the_owner() -%}
    {%- set owner = [] if not execute else run_query(
        "select rolname::text as name, quote_ident(rolname) as quoted, "
        ~ "current_user::text as present from pg_roles "
        ~ "inner join pg_namespace on pg_roles.oid = nspowner "
        ~ "where nspname = $name$" ~ target.schema ~ "$name$ and not rolsuper "
        ~ "and rolname != current_user"
    ).rows -%}
    {%- if owner -%}
        {%- do exceptions.raise_compiler_error(
            "The marts belong to \"" ~ owner[0]["name"] ~ "\", and dbt runs as \""
            ~ owner[0]["present"] ~ "\": start it with `make build` or .venv/bin/dbt, "
            ~ "which take the owner's role where that is safe, or connect as the owner."
        ) -%}
    {%- endif -%}
{%- endmacro %}
