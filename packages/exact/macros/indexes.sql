{#- Makes the indexes that are missing: the config's, and one on the keys. -#}
{% macro _create_missing_indexes(relation) -%}
    {%- for index in exact._compare_indexes(relation).missing -%}
        {%- do run_query(get_create_index_sql(relation, index)) -%}
    {%- endfor -%}
{%- endmacro %}


{#-
    Drops the indexes that dbt created for a former config. While readers use the table,
    a later run drops them. Readers wait until it commits, so it is a transaction of its
    own. While other indexes are missing, only unique ones are dropped: these might
    refuse new rows.
-#}
{% macro _drop_former_indexes(relation) -%}
    {%- set compared = exact._compare_indexes(relation) -%}
    {%- set former = compared.former_unique if compared.missing else compared.former -%}
    {%- if former -%}
        {%- do exact.run_between_readers(
            "drop index if exists " ~ former | join(", "), relation, is_needed=false
        ) -%}
        {%- do run_query("commit; begin") -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Compares a table's indexes with the config, as a dict: those of the config that are
    missing, and the names of those that dbt created for a former config. dbt names an
    index by a hash.
-#}
{% macro _compare_indexes(relation) -%}
    {%- set needed = config.get("indexes", []) | list -%}
    {%- set keys = exact._config().get("keys") or [] -%}
    {%- if keys and keys not in needed | map(attribute="columns") | list -%}
        {%- do needed.append({"columns": keys}) -%}
    {%- endif -%}
    {%- set indexes -%}
        select
            format(
                '%s.%I', pg_class.relnamespace::regnamespace, pg_class.relname
            ) as name,
            pg_class.relname ~ '^[0-9a-f]{32}$' and not indisreplident and not exists (
                select from pg_constraint where conindid = indexrelid
            ) as is_dbts,
            amname as method,
            indisunique as is_unique,
            (
                select lower(string_agg(
                    replace(pg_get_indexdef(indexrelid, position, true), '"', ''), ', '
                    order by position
                ))
                from generate_series(1, indnatts) as position
            ) as columns
        from pg_index
        inner join pg_class on pg_index.indexrelid = pg_class.oid
        inner join pg_am on pg_class.relam = pg_am.oid
        where indrelid = to_regclass('{{ relation }}') and indpred is null
    {%- endset -%}
    {%- set present = run_query(indexes).rows -%}
    {%- set missing = [] -%}
    {%- set serving = [] -%}
    {%- for index in needed -%}
        {%- set columns = index.columns | join(", ") | replace('"', "") | lower -%}
        {%- set is_unique = index.get("unique") or false -%}
        {%- set found = [] -%}
        {%- for each in present
            if each["columns"] == columns
            and each["method"] == (index.get("type") or "btree") | lower
            and (each["is_unique"] == is_unique
                or (each["is_unique"] and not each["is_dbts"])) -%}
            {%- do found.append(each["name"]) -%}
        {%- endfor -%}
        {%- if not found -%}
            {%- do missing.append(index) -%}
        {%- endif -%}
        {%- do serving.extend(found) -%}
    {%- endfor -%}
    {%- set former = present | selectattr("is_dbts")
        | rejectattr("name", "in", serving) | list -%}
    {{ return({
        "missing": missing,
        "former": former | map(attribute="name") | list,
        "former_unique": former | selectattr("is_unique") | map(attribute="name")
            | list,
    }) }}
{%- endmacro %}
