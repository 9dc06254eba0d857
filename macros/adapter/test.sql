{#-
    dbt's test, except that the table of its failing rows stays. dbt drops it with all
    dependent objects, and recreates it in every run.
-#}
{% materialization test, adapter="postgres" %}
    {%- set relations = [] -%}
    {%- set failures = get_limit_subquery_sql(sql, config.get("limit")) -%}
    {%- set main_sql = failures -%}
    {%- do run_query(exact.run_limits()) -%}
    {%- if should_store_failures() -%}
        {%- set target_relation = api.Relation.create(
            identifier=model["alias"], schema=schema, database=database, type="table"
        ) -%}
        {%- do saas_analytics.store_failures(target_relation, failures) -%}
        {%- do relations.append(target_relation) -%}
        {{ adapter.commit() }}
        {%- set main_sql = "select * from " ~ target_relation -%}
    {%- endif -%}
    {%- call statement("main", fetch_result=True) -%}
        {{ get_test_sql(
            main_sql,
            config.get("fail_calc"),
            config.get("warn_if"),
            config.get("error_if"),
            limit=none,
        ) }}
    {%- endcall -%}
    {{ return({"relations": relations}) }}
{% endmaterialization %}


{#- Replaces the failing rows in a table, or the table if its columns change. -#}
{% macro store_failures(relation, failures) -%}
    {%- set existing = adapter.get_relation(
        database=relation.database, schema=relation.schema,
        identifier=relation.identifier,
    ) -%}
    {%- do run_query(
        "create temporary view failing_rows as (\n" ~ failures ~ "\n)"
    ) -%}
    {%- set is_same = existing is not none and existing.is_table and run_query(
        "select " ~ saas_analytics.columns_of("pg_temp.failing_rows") ~ " = "
        ~ saas_analytics.columns_of(relation)
    ).columns[0].values()[0] -%}
    {%- do run_query("drop view pg_temp.failing_rows") -%}
    {%- if is_same -%}
        {%- call statement(auto_begin=True) -%}
            lock table {{ relation }} in share row exclusive mode;
            delete from {{ relation }};
            insert into {{ relation }} select * from (
                {{ failures }}
            ) as failures
        {%- endcall -%}
    {%- else -%}
        {%- set next_relation = make_intermediate_relation(relation) -%}
        {%- do exact.refuse_dependents(relation, "set of columns") -%}
        {%- do run_query("drop table if exists " ~ next_relation) -%}
        {%- call statement(auto_begin=True) -%}
            {{ get_create_sql(next_relation, failures) }}
        {%- endcall -%}
        {%- do run_query(
            "comment on table " ~ next_relation ~ " is '"
            ~ saas_analytics.failures_comment() ~ "'"
        ) -%}
        {%- do exact.replace_relation(relation, next_relation) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Drops the tables of tests that no longer store failing rows, at the start of a run:
    those of other tests of the project, and those that store_failures() marked.
    A table that is in use, or that others built on, stays until a later run.
-#}
{% macro drop_stale_failures() -%}
    {{ return(adapter.dispatch("drop_stale_failures", "saas_analytics")()) }}
{%- endmacro %}

{% macro default__drop_stale_failures() -%}{%- endmacro %}

{% macro postgres__drop_stale_failures() -%}
    {%- set schemas = [] -%}
    {%- set stored = [] -%}
    {%- set others = [] -%}
    {%- for node in (graph.nodes.values() if execute else [])
        if node.resource_type == "test" -%}
        {%- do schemas.append(exact.literal(node.schema)) -%}
        {%- do (stored if node.config.store_failures else others).append(
            exact.literal(node.alias)
        ) -%}
    {%- endfor -%}
    {%- if schemas and flags.WHICH in ("build", "test") and not flags.STORE_FAILURES -%}
        {%- set drop_them -%}
            do $drop$
            declare
                stale regclass;
            begin
                set local lock_timeout = '50ms';
                for stale in
                    select oid from pg_class
                    where relkind = 'r' and relnamespace in (
                        select oid from pg_namespace
                        where nspname in ({{ schemas | unique | join(", ") }})
                    )
                    and relname != all (array[{{ stored | join(", ") }}]::text[])
                    and (
                        relname = any (array[{{ others | join(", ") }}]::text[])
                        or obj_description(oid, 'pg_class')
                        = '{{ saas_analytics.failures_comment() }}'
                    )
                loop
                    begin
                        execute format('drop table %s', stale);
                    exception when lock_not_available or dependent_objects_still_exist
                        or insufficient_privilege
                    then
                        continue;
                    end;
                end loop;
            end;
            $drop$;
            commit
        {%- endset -%}
        {%- do run_query(drop_them) -%}
    {%- endif -%}
{%- endmacro %}


{#- What marks a table of failing rows. -#}
{% macro failures_comment() -%}
    {{ return("Failing rows of a dbt test, from its last run.") }}
{%- endmacro %}
