{#-
    A materialized view that readers use while a run refreshes it, if it has a unique
    index (`indexes=[{"columns": [...], "unique": true}]`), and that follows a changed
    select. dbt's own shuts readers out meanwhile, and keeps its first select.

    A changed select makes it anew beside, and swaps; refused while a view depends on
    it.
-#}
{% materialization materialized_view, adapter="postgres" %}
    {%- set target_relation = this.incorporate(type="materialized_view") -%}
    {%- set definition = exact.typed_select(
        exact.definition_of(sql)
    ) -%}
    {%- set existing = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {%- do exact.drop_former_indexes(target_relation) -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if config.get("contract").enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}
    {%- do run_query(exact.run_limits()) -%}
    {%- set is_same = existing is not none and existing.is_materialized_view
        and saas_analytics.materialized_view_has_select(target_relation, definition) -%}
    {%- if is_same -%}
        {%- do exact.create_missing_indexes(target_relation) -%}
        {%- call statement("main") -%}
            {{ saas_analytics.refresh_materialized_view_sql(target_relation) }}
        {%- endcall -%}
    {%- else -%}
        {%- set next_relation = make_intermediate_relation(target_relation) -%}
        {%- do exact.refuse_dependents(target_relation, "select") -%}
        {%- do run_query("drop materialized view if exists " ~ next_relation) -%}
        {%- call statement("main") -%}
            create materialized view {{ next_relation }} as {{ definition }}
        {%- endcall -%}
        {%- do exact.create_missing_indexes(next_relation) -%}
        {%- do run_query("analyze " ~ next_relation) -%}
        {%- do exact.replace_relation(target_relation, next_relation) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(
        target_relation, config.get("grants"), should_revoke=is_same
    ) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}


{#- Whether it was made by this select, as the server understands both. -#}
{% macro materialized_view_has_select(relation, definition) -%}
    {%- do run_query("create temporary view wanted_select as " ~ definition) -%}
    {%- set is_same = run_query(
        "select pg_get_viewdef('pg_temp.wanted_select'::regclass) = pg_get_viewdef('"
        ~ relation ~ "'::regclass)"
    ).columns[0].values()[0] -%}
    {%- do run_query("drop view pg_temp.wanted_select") -%}
    {{ return(is_same) }}
{%- endmacro %}


{#- Refreshes it beside its readers, where PostgreSQL can. -#}
{% macro refresh_materialized_view_sql(relation) %}
    do $refresh$
    begin
        if exists (
            select from pg_index
            inner join pg_class on pg_index.indrelid = pg_class.oid
            where indrelid = '{{ relation }}'::regclass and relispopulated
            and indisunique and indisvalid and indpred is null and indexprs is null
        ) then
            refresh materialized view concurrently {{ relation }};
        else
            refresh materialized view {{ relation }};
        end if;
    end;
    $refresh$
{% endmacro %}
