{#-
    Gives a table without a primary key a replica identity. Where a publication includes
    all tables, PostgreSQL refuses updates and deletes of a table that has none. Rows of
    marts may have nulls in their grain, so the whole row is the identity. The statement
    waits for readers once; where one stays, a later run does it.
-#}
{% macro identify_rows(relation) -%}
    {%- set lacks_identity -%}
        select exists (
            select from pg_class
            where oid = to_regclass('{{ relation }}')
            and relkind = 'r' and relreplident = 'd' and not exists (
                select from pg_index where indrelid = pg_class.oid and indisprimary
            )
        )
    {%- endset -%}
    {%- if execute and run_query(lacks_identity).columns[0].values()[0] -%}
        {%- do exact.run_between_readers(
            "alter table " ~ relation ~ " replica identity full", relation,
            is_needed=false
        ) -%}
    {%- endif -%}
{%- endmacro %}
