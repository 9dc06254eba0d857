{#-
    A view that changes only if its select does. dbt recreates each view in every run
    and drops the former one with all dependent objects. For that it waits until every
    transaction that has read the view ends.

    A changed select replaces the view's in place, so its privileges and dependent
    objects stay. New columns may follow the present ones. Other changes of columns need
    a new view, and are refused while an object depends on the present one.
-#}
{% materialization view, adapter="postgres" %}
    {%- set target_relation = this.incorporate(type="view") -%}
    {%- set existing = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if config.get("contract").enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}
    {%- set difference = "other columns" -%}
    {%- if existing is not none and existing.is_view -%}
        {%- set difference = saas_analytics.view_difference(target_relation, sql) -%}
    {%- endif -%}
    {%- if difference == "none" -%}
        {%- call statement("main") -%}
            select 'unchanged' as method
        {%- endcall -%}
    {%- elif difference == "select" -%}
        {%- do saas_analytics.replace_view(target_relation, sql) -%}
        {%- call statement("main") -%}
            select 'replaced' as method
        {%- endcall -%}
    {%- else -%}
        {%- set next_relation = make_intermediate_relation(target_relation) -%}
        {%- do exact.refuse_dependents(target_relation, "set of columns") -%}
        {%- do run_query("drop view if exists " ~ next_relation) -%}
        {%- call statement("main") -%}
            {{ get_create_view_as_sql(next_relation, sql) }}
        {%- endcall -%}
        {%- do exact.replace_relation(target_relation, next_relation) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(
        target_relation, config.get("grants"), should_revoke=existing is not none
    ) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}


{#-
    The difference of a view from a select, in the server's own form of both: "none",
    "select" or "other columns". New columns may follow the present ones.
-#}
{% macro view_difference(relation, sql) -%}
    {%- do run_query("create temporary view wanted_view as (\n" ~ sql ~ "\n)") -%}
    {%- set difference = run_query(
        "with columns as ("
        ~ "select attrelid, array_agg(row(attname, atttypid, atttypmod, attcollation)"
        ~ "::text order by attnum) as present from pg_attribute "
        ~ "where attrelid in ('" ~ relation ~ "'::regclass, "
        ~ "'pg_temp.wanted_view'::regclass) group by attrelid) "
        ~ "select case when wanted.present[:cardinality(former.present)] "
        ~ "!= former.present then 'other columns' "
        ~ "when pg_get_viewdef(wanted.attrelid) = pg_get_viewdef(former.attrelid) "
        ~ "and wanted.present = former.present then 'none' else 'select' end "
        ~ "from columns as wanted cross join columns as former "
        ~ "where wanted.attrelid = 'pg_temp.wanted_view'::regclass "
        ~ "and former.attrelid = '" ~ relation ~ "'::regclass"
    ).columns[0].values()[0] -%}
    {%- do run_query("drop view pg_temp.wanted_view") -%}
    {{ return(difference) }}
{%- endmacro %}


{#- Gives a view another select in place, and keeps its options. -#}
{% macro replace_view(relation, sql) -%}
    {%- set options = run_query(
        "select coalesce('with (' || array_to_string(reloptions, ', ') || ')', '') "
        ~ "from pg_class where oid = '" ~ relation ~ "'::regclass"
    ).columns[0].values()[0] -%}
    {%- do exact.run_between_readers(
        "create or replace view " ~ relation ~ " " ~ options ~ " as (\n" ~ sql ~ "\n)",
        relation
    ) -%}
{%- endmacro %}
