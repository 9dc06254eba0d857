{#- At the end of a dbt run. -#}
{% macro forget() -%}
    {%- if execute and flags.WHICH in ("run", "build", "retry") -%}
        {%- set schema = exact.engine_schema() -%}
        {%- set is_there -%}
            select to_regproc('{{ schema }}.forget') is not null as is_there
        {%- endset -%}
        {%- if run_query(is_there).columns[0].values()[0] -%}
            select {{ schema }}.forget();
            commit
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
