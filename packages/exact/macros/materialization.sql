{#-
    A table that after each run equals its select over the current rows, at a cost in
    proportion to what changed. dbt creates the table from the model's select, and the
    engine applies changes to it. README.md describes its config, under meta.exact.

    A changed select or config computes the table in full, in place. Changed columns
    replace the table, which is refused while a view depends on it.
-#}
{% materialization exact, adapter="postgres" %}
    {%- set schema = exact.engine_schema() -%}
    {%- set target_relation = this.incorporate(type="table") -%}
    {%- set definition = exact._definition_of(sql) -%}
    {%- do exact._check_config() -%}
    {%- set registration = exact._registration(definition) -%}
    {#- What the rows depend on. A changed data test computes nothing. -#}
    {%- set meaning = dict(registration) -%}
    {%- for name in ("checks", "is_logged", "definition") -%}
        {%- do meaning.pop(name) -%}
    {%- endfor -%}
    {%- do meaning.pop("clock") -%}
    {%- do meaning.update({"clock": exact._config().clock or "moment"}) -%}
    {%- set hash = local_md5(tojson(meaning)) -%}
    {%- set log = schema ~ "." ~ adapter.quote(this.identifier ~ "__log") -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}

    {%- do run_query("create table if not exists " ~ log ~ " ()") -%}
    {%- do exact._allow_nulls(target_relation) -%}
    {%- do exact.identify_rows(target_relation) -%}
    {%- do exact._drop_former_indexes(target_relation) -%}
    {%- do exact._begin(registration, log) -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set known = run_query(
        "update " ~ schema ~ ".models set checks = "
        ~ exact.literal(tojson(registration.checks))
        ~ ", is_logged = " ~ registration.is_logged
        ~ " where model = '" ~ this.identifier ~ "' and relation = "
        ~ exact.literal(target_relation.include(database=False))
        ~ " and " ~ schema ~ "._has_its_columns(models) "
        ~ "returning definition_hash = '" ~ hash ~ "' and definition = "
        ~ exact.literal(definition) ~ " as is_current, "
        ~ "coalesce(definition_hash, '" ~ hash ~ "') = '" ~ hash ~ "' and "
        ~ schema ~ "._is_same_select(definition, " ~ exact.literal(definition)
        ~ ") as is_same"
    ).rows -%}
    {%- set is_registered = known | length > 0 -%}
    {%- if not exact._has_same_columns(
        [target_relation, log] if is_registered else [target_relation], definition
    ) -%}
        {%- set method = "create" -%}
    {%- elif is_registered and known[0]["is_current"] -%}
        {%- set method = "refresh" -%}
    {%- elif is_registered and known[0]["is_same"] -%}
        {%- set method = "adopt" -%}
    {%- else -%}
        {%- set method = "rebuild" -%}
    {%- endif -%}

    {%- if method != "refresh" -%}
        {%- if not exact._check_definition(
            definition, registration.inputs
        ) -%}
            {%- do registration.update({"clock": "none"}) -%}
        {%- endif -%}
        {%- for input in registration.inputs
            if input.mappings or input.lookup -%}
            {%- do input.update({
                "needs": exact._columns_needed(input, registration.inputs)
            }) -%}
        {%- endfor -%}
        {%- if config.get("contract").enforced -%}
            {%- do get_assert_columns_equivalent(definition) -%}
        {%- endif -%}
        {%- do exact._register(
            registration, hash, target_relation, log,
            is_new=(method == "create" or not is_registered),
            is_kept=(method == "adopt"),
        ) -%}
    {%- endif -%}
    {%- do run_query("drop view pg_temp.refresh_columns") -%}
    {%- if method == "create" -%}
        {%- do exact._create_table(target_relation, definition) -%}
    {%- endif -%}

    {%- set rebuild = method == "rebuild" or should_full_refresh() -%}
    {%- call statement("main", fetch_result=True) -%}
        {%- if method == "create" -%}
            select 'created' as method,
                {{ schema }}._remember('{{ this.identifier }}', 'created')
        {%- else -%}
            select run.method, run.key_count, run.rows_removed, run.rows_added,
                array_to_string(run.failed_checks, ', ') as failed_checks
            from {{ schema }}.refresh('{{ this.identifier }}', {{ rebuild }}) as run
        {%- endif -%}
    {%- endcall -%}
    {%- if method != "create" -%}
        {%- do exact._create_missing_indexes(target_relation) -%}
        {%- do exact._log_failed_checks(load_result("main").data[0][4]) -%}
    {%- endif -%}
    {%- if method != "refresh" -%}
        {%- do run_query(
            "select " ~ schema ~ "._refuse_other_rows('" ~ this.identifier ~ "')"
        ) -%}
    {%- endif -%}
    {%- if method == "rebuild" -%}
        {%- do exact._refuse_nulls(target_relation) -%}
    {%- endif -%}
    {%- if load_result("main").data[0][0] in ("created", "full") -%}
        {%- do exact._log_advice() -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(
        target_relation, config.get("grants"), should_revoke=method != "create"
    ) -%}
    {%- do exact.write_comments(target_relation, model) -%}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}


{#-
    The select as a later refresh can run it: "now" is the time of that refresh, and the
    database may have another name by then, as after a restore.
-#}
{% macro _definition_of(sql) -%}
    {%- set definition = sql | replace(adapter.quote(target.database) ~ ".", "") -%}
    {%- if var("as_of", none) -%}
        {{ return(definition) }}
    {%- endif -%}
    {{ return(definition | replace(exact.now(), "now()")) }}
{%- endmacro %}
