{#-
    Models that the project renamed or removed.
-#}


{#-
    Gives the table, log and state of a model with `renamed_from` its present name. No
    model is computed again for it. It stays in its schema.
-#}
{% macro _rename_models() -%}
    {%- set schema = exact.engine_schema() -%}
    {%- for node in graph.nodes.values() if node.config.materialized == "exact"
        and ((node.config.meta or {}).get("exact") or {}).get("renamed_from") -%}
        {%- set former = node.config.meta.exact.renamed_from -%}
        {%- set relation = exact._relation_of(node) -%}
        {%- for known in run_query(
            "select relation from " ~ schema ~ ".models where model = "
            ~ exact.literal(former) ~ " and to_regclass(relation) is not null "
            ~ "and starts_with(relation, "
            ~ exact.literal(adapter.quote(node.schema) ~ ".") ~ ") "
            ~ "and not exists (select from " ~ schema ~ ".models where model = "
            ~ exact.literal(node.alias) ~ ") and to_regclass("
            ~ exact.literal(relation) ~ ") is null"
        ).rows -%}
            {%- do exact.run_between_readers(
                "alter table " ~ known["relation"] ~ " rename to "
                ~ adapter.quote(node.alias), known["relation"]
            ) -%}
            {%- do run_query(
                "select " ~ schema ~ "._rename_model(" ~ exact.literal(former) ~ ", "
                ~ exact.literal(node.alias) ~ ", " ~ exact.literal(relation) ~ ")"
            ) -%}
            {%- do run_query("commit") -%}
            {%- do log(known["relation"] ~ " is now " ~ relation, info=true) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}


{#-
    Forgets models that the project no longer has. Of those in `removed` the table is
    dropped too, unless something is built on it. The others are named.
-#}
{% macro _forget_former_models(names, removed) -%}
    {%- set schema = exact.engine_schema() -%}
    {%- set present = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type in ("model", "seed", "snapshot") -%}
        {%- do present.append(exact._relation_of(node)) -%}
    {%- endfor -%}
    {%- for known in run_query(
        "select model, relation from " ~ schema ~ ".models where model != all (array["
        ~ names | join(", ") ~ "]::text[]) and to_regclass(relation) is not null "
        ~ "order by model"
    ).rows if known["relation"] not in present -%}
        {%- set relation = known["relation"] -%}
        {%- set is_dropped = known["model"] in removed and not run_query(
            exact._dependents_sql(relation)
        ).columns[0].values() -%}
        {%- if is_dropped -%}
            {%- do exact.run_between_readers("drop table " ~ relation, relation) -%}
        {%- endif -%}
        {%- do log("the project no longer makes " ~ relation ~ (
            ": it was dropped" if is_dropped else ", which stays as it is"
        ), info=true) -%}
    {%- endfor -%}
    {%- set forget -%}
        do $forget$
        declare
            present constant text[] := array[{{ names | join(", ") }}]::text[];
            log regclass;
        begin
            delete from {{ schema }}.models where model != all (present);
            delete from {{ schema }}.unbuilt where model != all (present);
            for log in
                select oid from pg_class
                where relnamespace = '{{ schema }}'::regnamespace and relkind = 'r'
                and relname like '%\_\_log'
                and left(relname, -length('__log')) != all (present)
            loop
                execute format('drop table %s', log);
            end loop;
        end;
        $forget$;
        commit
    {%- endset -%}
    {%- do run_query(forget) -%}
{%- endmacro %}
