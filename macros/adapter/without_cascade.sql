{#-
    dbt recreates a relation by a drop with `cascade`, which drops dependent objects of
    other users. These macros never cascade. They replace rows in place if the columns
    are the same. If the columns change, the error names the dependent objects.
-#}


{% macro postgres__drop_table(relation) -%}
    drop table if exists {{ relation }}
{%- endmacro %}


{% macro postgres__drop_view(relation) -%}
    drop view if exists {{ relation }}
{%- endmacro %}


{% macro postgres__drop_materialized_view(relation) -%}
    drop materialized view if exists {{ relation }}
{%- endmacro %}


{#- dbt's `table`, and a full refresh of its `incremental`, create another table and
    drop the former one. They call this macro for its name first. -#}
{% macro postgres__make_backup_relation(base_relation, backup_relation_type, suffix) -%}
    {%- if config.get("materialized") == "table" or should_full_refresh() -%}
        {%- do exact.refuse_dependents(base_relation, "table") -%}
    {%- endif -%}
    {%- set backup_relation = postgres__make_relation_with_suffix(
        base_relation, suffix, dstring=False
    ) -%}
    {{ return(backup_relation.incorporate(type=backup_relation_type)) }}
{%- endmacro %}


{#- An expression that lists the columns of a relation: null if it is not there. -#}
{% macro columns_of(relation) -%}
    (
        select string_agg(
            format('%I %s', attname, format_type(atttypid, atttypmod)), ', '
            order by attnum
        )
        from pg_attribute
        where attrelid = to_regclass('{{ relation }}')
            and attnum > 0 and not attisdropped
    )
{%- endmacro %}


{#-
    If a seed's table has the columns of the file, its rows are replaced in place, even
    with --full-refresh. Readers see the former rows until the end. Otherwise the table
    is recreated. Concurrent runs queue.
-#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
    {%- set types = model["config"].get("column_types", {}) -%}
    {%- set quoting = model["config"].get("quote_columns", none) -%}
    {%- set columns = [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do columns.append(
            adapter.quote_seed_column(name | string, quoting) ~ " "
            ~ types.get(name, adapter.convert_type(agate_table, loop.index0))
        ) -%}
    {%- endfor -%}
    {%- do run_query(
        "create temporary table seed_columns (" ~ columns | join(", ") ~ ")"
    ) -%}
    {%- set is_same = run_query(
        "select " ~ saas_analytics.columns_of("pg_temp.seed_columns") ~ " = "
        ~ saas_analytics.columns_of(old_relation)
    ).columns[0].values()[0] -%}
    {%- do run_query("drop table pg_temp.seed_columns") -%}
    {%- if is_same -%}
        {%- set statement -%}
            lock table {{ old_relation }} in share row exclusive mode;
            delete from {{ old_relation }}
        {%- endset -%}
        {%- do run_query(statement) -%}
        {{ return(statement) }}
    {%- endif -%}
    {%- do exact.refuse_dependents(old_relation, "set of columns") -%}
    {%- do exact.run_between_readers("drop table " ~ old_relation,
        old_relation) -%}
    {%- do adapter.drop_relation(old_relation) -%}
    {{ return(create_csv_table(model, agate_table)) }}
{% endmacro %}
