{#-
    A table that after each run equals its select over the current rows, at a cost in
    proportion to what changed. The model is a plain select; dbt makes the table, and
    the refresh engine (engine.sql) keeps it so. docs/incremental.md has the picture.

    Config, all optional; without a scope any change recomputes the whole select, and
    only the rows that differ are written:

    scope: columns of the model, mostly of its grain. What changes in an input belongs
    to a scope, and only touched scopes are computed anew.

    changes: for each input that has scopes, how its columns give them. One of
        - a dict of scope column to input column, "day of <timestamp>" or "month of
            <timestamp>" (in the reporting zone; with " or none", where a row without a
            finite time has a group too), and "where" if only some rows count;
        - a list of such dicts, where a row belongs to several scopes;
        - a query of scopes, for an input that is looked up: it reads `changes` (the
            input's rows that came or went) and the model's inputs by name;
        - {"around": a query of the input's rows that changed and those next to them},
            for an input that is a model and a select that adds up: the sum over these
            rows as they are, less the sum over them as they were, is the change.
            `rows_column` names the column that counts the rows of a group; a group
            without any goes.
    A change of any other input recomputes the whole.

    clock: how far a select that reads reporting_now() depends on it: "moment" (the
    default for such a model) recomputes it in every run, "day" when the day changes.

    A changed select rebuilds the table in place. Changed columns replace the table;
    refused while a view depends on it.
-#}
{% materialization exact, adapter="postgres" %}
    {%- set schema = saas_analytics.refresh_schema() -%}
    {%- set target_relation = this.incorporate(type="table") -%}
    {%- set definition = saas_analytics.refresh_definition(sql) -%}
    {%- set registration = saas_analytics.refresh_registration(definition) -%}
    {%- set hash = local_md5(tojson(registration)) -%}
    {%- set log = schema ~ "." ~ adapter.quote(this.identifier ~ "__log") -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}

    {#- Runs of one model queue up here, before they take their snapshot. -#}
    {%- do run_query("create table if not exists " ~ log ~ " ()") -%}
    {%- set sources = registration.inputs | map(attribute="source")
        | select("defined") | unique | join(", ") -%}
    {%- do run_query(
        "commit; begin isolation level repeatable read; lock table " ~ log
        ~ " in share update exclusive mode"
        ~ ("; lock table " ~ sources ~ " in access share mode" if sources)
    ) -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set known = run_query(
        "select definition_hash = '" ~ hash ~ "' from " ~ schema ~ ".models "
        ~ "where model = '" ~ this.identifier ~ "' and to_regclass('"
        ~ target_relation ~ "') is not null"
    ).columns[0].values() -%}
    {%- set is_registered = known | length > 0 -%}
    {%- if is_registered and known[0] -%}
        {%- set method = "refresh" -%}
    {%- elif saas_analytics.refresh_has_same_columns(target_relation, definition) -%}
        {%- set method = "rebuild" -%}
    {%- else -%}
        {%- set method = "create" -%}
    {%- endif -%}

    {%- if method != "refresh" -%}
        {%- do saas_analytics.refresh_register(
            registration, hash, target_relation, log,
            method == "create" or not is_registered
        ) -%}
    {%- endif -%}
    {%- if method == "create" -%}
        {%- do saas_analytics.refresh_create(target_relation, definition, log) -%}
    {%- endif -%}

    {%- set rebuild = method == "rebuild" or should_full_refresh() -%}
    {%- call statement("main", fetch_result=True) -%}
        {%- if method == "create" -%}
            select 'created' as method,
                {{ schema }}.remember('{{ this.identifier }}', 'created')
        {%- else -%}
            select run.method, run.scopes, run.rows_removed, run.rows_added
            from {{ schema }}.refresh('{{ this.identifier }}', {{ rebuild }}) as run
        {%- endif -%}
    {%- endcall -%}
    {%- if method == "rebuild" -%}
        {%- do saas_analytics.refresh_constrain(target_relation) -%}
        {%- do saas_analytics.refresh_index(target_relation) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(
        target_relation, config.get("grants"), should_revoke=method != "create"
    ) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}


{#-
    The select as a later refresh can run it: "now" is the time of that refresh, and the
    database may have another name by then, as after a restore.
-#}
{% macro refresh_definition(sql) -%}
    {%- set definition = sql | replace(adapter.quote(target.database) ~ ".", "") -%}
    {%- if var("as_of", none) -%}
        {{ return(definition) }}
    {%- endif -%}
    {{ return(definition | replace(saas_analytics.reporting_now(), "now()")) }}
{%- endmacro %}


{#- The name of a graph node's relation, without the database. -#}
{% macro refresh_name_of(node) -%}
    {{ return(adapter.quote(node.schema) ~ "." ~ adapter.quote(node.alias)) }}
{%- endmacro %}


{#- What the engine has to know of a model, as a dict: its select and its inputs. -#}
{% macro refresh_registration(definition) -%}
    {%- set changes = config.get("changes", {}) -%}
    {%- set inputs = [] -%}
    {%- set relations = {} -%}
    {%- for unique_id in model.depends_on.nodes if unique_id in graph.nodes -%}
        {%- set node = graph.nodes[unique_id] -%}
        {%- set relation = saas_analytics.refresh_name_of(node) -%}
        {%- do relations.update({node.name: relation}) -%}
        {%- set input = {"name": node.name, "relation": relation} -%}
        {%- if node.resource_type == "seed" -%}
            {%- do input.update({"kind": "seed"}) -%}
        {%- elif node.config.materialized == "exact" -%}
            {%- do input.update({
                "kind": "model",
                "log": saas_analytics.refresh_schema() ~ "."
                    ~ adapter.quote(node.name ~ "__log"),
            }) -%}
        {%- else -%}
            {%- set source = graph.sources[node.depends_on.nodes[0]] -%}
            {%- set source_schema = adapter.quote(source.schema) -%}
            {%- do input.update({
                "kind": "source",
                "source": source_schema ~ "." ~ adapter.quote(source.identifier),
                "source_table": source.identifier,
                "tombstones": source_schema ~ ".change_tombstones",
                "cleared": source_schema ~ ".change_tombstones_cleared",
            }) -%}
        {%- endif -%}
        {%- do inputs.append(input) -%}
    {%- endfor -%}
    {%- for name in changes if name not in relations -%}
        {%- do exceptions.raise_compiler_error(
            "`changes` names " ~ name ~ ", which " ~ model.name ~ " does not read."
        ) -%}
    {%- endfor -%}
    {%- for input in inputs if input.name in changes -%}
        {%- set change = changes[input.name] -%}
        {%- set query = namespace(
            text=change["around"] if change is mapping else change
        ) -%}
        {%- if query.text is string -%}
            {%- for name, relation in relations.items() -%}
                {%- set query.text = modules.re.sub(
                    "\\b(from|join) " ~ name ~ "\\b", "\\1 " ~ relation, query.text
                ) -%}
            {%- endfor -%}
            {%- do input.update(
                {"through" if change is string else "around": query.text}
            ) -%}
        {%- else -%}
            {%- set mappings = [] -%}
            {%- for each in ([change] if change is mapping else change) -%}
                {%- set mapping = {} -%}
                {%- for column in config.get("scope") -%}
                    {%- do mapping.update(
                        {column: saas_analytics.refresh_scope_part(each[column])}
                    ) -%}
                {%- endfor -%}
                {%- do mappings.append(mapping) -%}
            {%- endfor -%}
            {%- do input.update({"mappings": mappings}) -%}
            {%- if change is mapping and "where" in change -%}
                {%- do input.update({"filter": change["where"]}) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set is_logged = namespace(value=false) -%}
    {%- for node in graph.nodes.values()
        if node.config.materialized == "exact"
        and model.unique_id in node.depends_on.nodes -%}
        {%- set is_logged.value = true -%}
    {%- endfor -%}
    {{ return({
        "definition": definition,
        "columns": model.columns if config.get("contract").enforced else {},
        "scope": config.get("scope", []),
        "rows_column": config.get("rows_column"),
        "checks": saas_analytics.refresh_checks(),
        "inputs": inputs,
        "clock": config.get("clock", "moment") if "now()" in definition else "none",
        "today": saas_analytics.reporting_date("now()"),
        "is_logged": is_logged.value,
        "indexes": config.get("indexes", []),
    }) }}
{%- endmacro %}


{#-
    The model's data tests that need no other row than those of one group: a refresh
    applies them to what it writes. `dbt test` applies all of them to everything.
-#}
{% macro refresh_checks() -%}
    {%- set checks = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == "test" and node.attached_node == model.unique_id
        and node.test_metadata and not node.config.where -%}
        {%- set test = node.test_metadata -%}
        {%- set arguments = test.kwargs -%}
        {%- if test.name == "unique_grain" -%}
            {%- set check = {"grain": arguments.columns | join(", ")} -%}
        {%- elif test.name == "primary_key" -%}
            {%- set check = {"grain": arguments.column_name} -%}
        {%- elif test.name == "expression_is_true" -%}
            {%- set check = {
                "fails": "not coalesce(" ~ arguments.expression ~ ", false)"
            } -%}
        {%- elif test.name == "rate" -%}
            {%- set check = {
                "fails": arguments.column_name ~ " < 0 or "
                    ~ arguments.column_name ~ " > 1"
            } -%}
        {%- elif test.name == "not_negative" -%}
            {%- set check = {
                "fails": "least(" ~ arguments.columns | join(", ") ~ ") < 0"
            } -%}
        {%- else -%}
            {%- set check = {} -%}
        {%- endif -%}
        {%- if check -%}
            {%- do check.update({"name": node.name}) -%}
            {%- do checks.append(check) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(checks | sort(attribute="name")) }}
{%- endmacro %}


{#- One entry of `changes` as the engine takes it: an expression, a period or both. -#}
{% macro refresh_scope_part(text) -%}
    {%- set has_none = text.endswith(" or none") -%}
    {%- set words = (text[:-8] if has_none else text).split(" of ") -%}
    {%- if words | length == 1 -%}
        {{ return({"expression": text}) }}
    {%- endif -%}
    {%- set expression = saas_analytics.reporting_date(words[1]) if words[0] == "day"
        else saas_analytics.reporting_month(words[1]) -%}
    {%- if has_none -%}
        {%- set expression = "case when " ~ saas_analytics.is_finite(words[1])
            ~ " then " ~ expression ~ " end" -%}
    {%- endif -%}
    {{ return({
        "expression": expression,
        "period": words[0],
        "column": words[1],
        "zone": var("reporting_timezone", "UTC"),
        "has_none": has_none,
    }) }}
{%- endmacro %}


{#- The select with the names and types of the contract, if there is one. -#}
{% macro refresh_typed(definition) -%}
    {%- if config.get("contract").enforced -%}
        select
        {%- for column in model.columns.values() %}
            cast({{ adapter.quote(column.name) }} as {{ column.data_type }})
            as {{ adapter.quote(column.name) }}{{ "," if not loop.last }}
        {%- endfor %}
        from ({{ definition }}) as made
    {%- else -%}
        {{ definition }}
    {%- endif -%}
{%- endmacro %}


{#- Whether a table is there with the columns and types that the select gives. -#}
{% macro refresh_has_same_columns(relation, definition) -%}
    {%- if config.get("contract").enforced -%}
        {%- do get_assert_columns_equivalent(definition) -%}
    {%- endif -%}
    {%- set columns -%}
        select string_agg(
            format('%I %s', attname, format_type(atttypid, atttypmod)), ', '
            order by attname
        )
        from pg_attribute where attnum > 0 and not attisdropped and attrelid =
    {%- endset -%}
    {%- do run_query(
        "create temporary table refresh_columns on commit drop as select * from ("
        ~ saas_analytics.refresh_typed(definition) ~ ") as made limit 0"
    ) -%}
    {{ return(run_query(
        "select (" ~ columns ~ " 'pg_temp.refresh_columns'::regclass) = (" ~ columns
        ~ " (select oid from pg_class where relkind in ('r', 'p') and oid = "
        ~ "to_regclass('" ~ relation ~ "')))"
    ).columns[0].values()[0]) }}
{%- endmacro %}


{#- Notes a model and its select; a table that is made anew gets an empty log. -#}
{% macro refresh_register(registration, hash, relation, log, is_new) -%}
    {%- set schema = saas_analytics.refresh_schema() -%}
    {%- if is_new -%}
        {%- do run_query("drop table " ~ log) -%}
        {%- do run_query("create table " ~ log
            ~ " as select * from pg_temp.refresh_columns limit 0") -%}
        {%- do run_query("alter table " ~ log ~ " add column sign bigint not null, "
            ~ "add column change_xid xid8 not null default pg_current_xact_id()") -%}
        {%- do run_query("create index on " ~ log ~ " (change_xid)") -%}
    {%- endif -%}
    {%- set values = [
        model.name, relation.include(database=False) | string, log,
        registration.definition, hash,
        registration.inputs | tojson, registration.clock, registration.today,
        registration.checks | tojson,
    ] -%}
    {%- set columns -%}
        array(
            select attname from pg_attribute
            where attrelid = 'pg_temp.refresh_columns'::regclass and attnum > 0
            order by attnum
        )::text[]
    {%- endset -%}
    {%- set statement -%}
        insert into {{ schema }}.models (
            model, relation, log, definition, definition_hash, inputs, clock, today,
            checks, rows_column, columns, scope, is_logged
        )
        values (
            {% for value in values %}$refresh${{ value }}$refresh$, {% endfor %}
            nullif('{{ registration.rows_column or "" }}', ''),
            {{ columns }},
            array[{% for column in registration.scope -%}
                '{{ column }}'{{ ", " if not loop.last }}
            {%- endfor %}]::text[],
            {{ registration.is_logged }}
        )
        on conflict (model) do update set
            relation = excluded.relation,
            log = excluded.log,
            definition = excluded.definition,
            definition_hash = excluded.definition_hash,
            inputs = excluded.inputs,
            clock = excluded.clock,
            today = excluded.today,
            checks = excluded.checks,
            rows_column = excluded.rows_column,
            columns = excluded.columns,
            scope = excluded.scope,
            is_logged = excluded.is_logged,
            generation = {{ "excluded.generation" if is_new else "models.generation" }};
        delete from {{ schema }}.inputs where model = '{{ model.name }}'
    {%- endset -%}
    {%- do run_query(statement) -%}
{%- endmacro %}


{#- Makes the table from all rows, in parallel where the server can. -#}
{% macro refresh_create(relation, definition, log) -%}
    {%- set next_relation = make_intermediate_relation(relation) -%}
    {%- do run_query("drop table if exists " ~ next_relation) -%}
    {%- do run_query(
        "create table " ~ next_relation ~ " as "
        ~ saas_analytics.refresh_typed(definition)
    ) -%}
    {%- do saas_analytics.refresh_constrain(next_relation) -%}
    {%- do saas_analytics.refresh_index(next_relation) -%}
    {%- do run_query("analyze " ~ next_relation) -%}
    {%- set existing = load_cached_relation(relation) -%}
    {%- if existing is not none -%}
        {%- do saas_analytics.refresh_refuse_dependents(relation) -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- do adapter.rename_relation(next_relation, relation) -%}
{%- endmacro %}


{#- Makes the indexes that are missing: the config's, and one on the scope. -#}
{% macro refresh_index(relation) -%}
    {%- set wanted = config.get("indexes", []) | list -%}
    {%- if config.get("scope") -%}
        {%- do wanted.append({"columns": config.get("scope")}) -%}
    {%- endif -%}
    {%- for index in wanted -%}
        {%- set is_there -%}
            select exists (
                select from pg_index
                where indrelid = '{{ relation }}'::regclass
                and (
                    select string_agg(attname, ', ' order by position)
                    from unnest(indkey) with ordinality as keys (attnum, position)
                    inner join pg_attribute
                        on attrelid = indrelid and pg_attribute.attnum = keys.attnum
                ) = '{{ index.columns | join(", ") }}'
            )
        {%- endset -%}
        {%- if not run_query(is_there).columns[0].values()[0] -%}
            {%- do run_query(get_create_index_sql(relation, index)) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{#- The contract's constraints as they are now. -#}
{% macro refresh_constrain(relation) -%}
    {%- set changes = [] -%}
    {%- if config.get("contract").enforced -%}
        {%- for column in model.columns.values() -%}
            {%- set types = column.constraints | map(attribute="type") | join(" ") -%}
            {%- do changes.append(
                "alter column " ~ adapter.quote(column.name)
                ~ (" set" if "not_null" in types else " drop") ~ " not null"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if changes -%}
        {%- do run_query("alter table " ~ relation ~ " " ~ changes | join(", ")) -%}
    {%- endif -%}
{%- endmacro %}


{#- Dropping a table would take along the views that analysts built on it. -#}
{% macro refresh_refuse_dependents(relation) -%}
    {%- set dependents = run_query(
        "select distinct pg_rewrite.ev_class::regclass::text from pg_depend "
        ~ "inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid "
        ~ "where pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.refobjid = "
        ~ "to_regclass('" ~ relation ~ "')"
    ).columns[0].values() -%}
    {%- if dependents -%}
        {%- do exceptions.raise_compiler_error(
            "The columns of " ~ relation ~ " change, and " ~ dependents | join(", ")
            ~ " is built on it: drop it first and make it again afterwards."
        ) -%}
    {%- endif -%}
{%- endmacro %}
