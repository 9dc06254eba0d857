{#-
    Captures the changes of a source table from now on, as an operation:

        dbt run-operation exact.track --args '{table: shop.orders}'

    `columns` are those that before-images keep, all by default.
-#}
{% macro track(table, columns=none) -%}
    {%- set schema = exact.engine_schema() -%}
    {%- do exact._install_engine() -%}
    {%- set kept = run_query(
        "select unnest(" ~ schema ~ ".track(" ~ exact.literal(table) ~ ", "
        ~ ("null" if columns is none
            else exact.literal("{" ~ columns | join(",") ~ "}")) ~ "))"
    ).columns[0].values() -%}
    {%- do run_query("commit") -%}
    {%- do log("exact captures " ~ table ~ ": " ~ kept | join(", "), info=true) -%}
{%- endmacro %}
