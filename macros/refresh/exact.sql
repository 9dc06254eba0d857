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
            finite time has a group too), "where" if only some rows count, and
            "moments", columns of the input: at the time that one of them holds, the
            select may give the row's scope another result though nothing was written;
        - a list of such dicts, where a row belongs to several scopes;
        - a query of scopes, for an input that is looked up: it reads `changes` (the
            input's rows that came, with sign 1, or went, with sign -1) and the model's
            inputs by name;
        - {"around": a query of the input's rows that changed and those next to them;
            `changes where sign > 0`, if each row counts by itself},
            for an input that is a model, the only one here, and a select that adds up:
            the sum over these rows as they are, less the sum over them as they were, is
            the change.
            `rows_column` names the column that counts the rows of a group; a group
            without any goes.
    A change of any other input recomputes the whole.

    clock: how far a select that reads reporting_now() depends on it: "moment" (the
    default for such a model) recomputes it in every run, "day" when the day changes,
    "none" not at all: the moments of its inputs are all that it depends on.

    A changed select or config rebuilds the table in place. Changed columns replace the
    table; refused while a view depends on it.
-#}
{% materialization exact, adapter="postgres" %}
    {%- set schema = saas_analytics.refresh_schema() -%}
    {%- set target_relation = this.incorporate(type="table") -%}
    {%- set definition = saas_analytics.refresh_definition(sql) -%}
    {%- do saas_analytics.refresh_check_config() -%}
    {%- set registration = saas_analytics.refresh_registration(definition) -%}
    {#- What the rows depend on: a changed data test rebuilds nothing. -#}
    {%- set meaning = dict(registration) -%}
    {%- do meaning.pop("checks") -%}
    {%- do meaning.pop("is_logged") -%}
    {%- do meaning.pop("clock") -%}
    {%- do meaning.update({"clock": config.get("clock", "moment")}) -%}
    {%- set hash = local_md5(tojson(meaning)) -%}
    {%- set log = schema ~ "." ~ adapter.quote(this.identifier ~ "__log") -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}

    {%- do run_query("create table if not exists " ~ log ~ " ()") -%}
    {%- do saas_analytics.refresh_allow_nulls(target_relation) -%}
    {%- do saas_analytics.refresh_identify_rows(target_relation) -%}
    {%- do saas_analytics.refresh_drop_former_indexes(target_relation) -%}
    {%- do saas_analytics.refresh_begin(registration, log) -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set known = run_query(
        "update " ~ schema ~ ".models set checks = "
        ~ saas_analytics.refresh_literal(tojson(registration.checks))
        ~ ", is_logged = " ~ registration.is_logged
        ~ " where model = '" ~ this.identifier ~ "' and relation = "
        ~ saas_analytics.refresh_literal(target_relation.include(database=False))
        ~ " and " ~ schema ~ ".has_its_columns(models) "
        ~ "returning definition_hash = '" ~ hash ~ "'"
    ).columns[0].values() -%}
    {%- set is_registered = known | length > 0 -%}
    {%- if not saas_analytics.refresh_has_same_columns(
        [target_relation, log] if is_registered else [target_relation], definition
    ) -%}
        {%- set method = "create" -%}
    {%- elif is_registered and known[0] -%}
        {%- set method = "refresh" -%}
    {%- else -%}
        {%- set method = "rebuild" -%}
    {%- endif -%}

    {%- if method != "refresh" -%}
        {%- if not saas_analytics.refresh_check_definition(
            definition, registration.inputs
        ) -%}
            {%- do registration.update({"clock": "none"}) -%}
        {%- endif -%}
        {%- for input in registration.inputs
            if input.mappings or input.through or input.around -%}
            {%- do input.update({
                "needs": saas_analytics.refresh_needs(input, registration.inputs)
            }) -%}
        {%- endfor -%}
        {%- if config.get("contract").enforced -%}
            {%- do get_assert_columns_equivalent(definition) -%}
        {%- endif -%}
        {%- do saas_analytics.refresh_register(
            registration, hash, target_relation, log,
            method == "create" or not is_registered
        ) -%}
    {%- endif -%}
    {%- do run_query("drop view pg_temp.refresh_columns") -%}
    {%- if method == "create" -%}
        {%- do saas_analytics.refresh_create(target_relation, definition) -%}
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
    {%- if method != "create" -%}
        {%- do saas_analytics.refresh_index(target_relation) -%}
    {%- endif -%}
    {%- if method != "refresh" -%}
        {%- do run_query(
            "select " ~ schema ~ ".refuse_other_rows('" ~ this.identifier ~ "')"
        ) -%}
    {%- endif -%}
    {%- if method == "rebuild" -%}
        {%- do saas_analytics.refresh_refuse_nulls(target_relation) -%}
    {%- endif -%}
    {%- if load_result("main").data[0][0] in ("created", "whole") -%}
        {%- do saas_analytics.refresh_log_advice() -%}
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
    {%- for unique_id in model.depends_on.nodes -%}
        {%- set node = graph.nodes.get(unique_id) -%}
        {%- if not saas_analytics.refresh_can_follow(node) -%}
            {%- do exceptions.raise_compiler_error(
                model.name ~ " reads " ~ unique_id ~ ", whose changes can't be "
                ~ "followed: an exact model reads other exact models, seeds, and views "
                ~ "of one source each."
            ) -%}
        {%- endif -%}
        {%- set relation = saas_analytics.refresh_name_of(node) -%}
        {%- do relations.update({node.name: relation}) -%}
        {%- set input = {
            "name": node.alias, "called": node.name, "relation": relation
        } -%}
        {%- if node.resource_type == "seed" -%}
            {%- do input.update({"kind": "seed"}) -%}
        {%- elif node.config.materialized == "exact" -%}
            {%- do input.update({
                "kind": "model",
                "log": saas_analytics.refresh_schema() ~ "."
                    ~ adapter.quote(node.alias ~ "__log"),
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
    {%- for name, change in changes.items()
        if change is mapping and "around" in change and changes | length > 1 -%}
        {%- do exceptions.raise_compiler_error(
            "The `around` of " ~ name ~ " must be the only entry in `changes` of "
            ~ model.name ~ ": a sum is one input's."
        ) -%}
    {%- endfor -%}
    {%- for input in inputs if input.called in changes -%}
        {%- set change = changes[input.called] -%}
        {%- if change is mapping and "around" in change and input.kind != "model" -%}
            {%- do saas_analytics.refresh_refuse_config(
                "has around for " ~ input.called ~ ", which is no exact model: only "
                ~ "their logs hold each change once"
            ) -%}
        {%- endif -%}
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
            {%- if change is mapping and change["moments"] -%}
                {%- do input.update({"moments": change["moments"]}) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set is_logged = namespace(value=false) -%}
    {%- for node in graph.nodes.values()
        if node.config.materialized == "exact"
        and model.unique_id in node.depends_on.nodes -%}
        {%- set is_logged.value = true -%}
    {%- endfor -%}
    {%- set columns = [] -%}
    {%- for column in model.columns.values() if config.get("contract").enforced -%}
        {%- do columns.append([column.name, column.data_type, column.constraints]) -%}
    {%- endfor -%}
    {{ return({
        "definition": definition,
        "columns": columns,
        "scope": config.get("scope", []),
        "rows_column": config.get("rows_column"),
        "checks": saas_analytics.refresh_checks(),
        "inputs": inputs,
        "clock": config.get("clock", "moment"),
        "today": saas_analytics.reporting_date("now()"),
        "zone": saas_analytics.reporting_timezone(),
        "as_of": saas_analytics.refresh_as_of()
            if saas_analytics.reporting_now_iso() in model["compiled_code"] else "",
        "is_logged": is_logged.value,
    }) }}
{%- endmacro %}


{#- Whether the engine can tell what changes in a graph node. -#}
{% macro refresh_can_follow(node) -%}
    {%- if not node -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set kind = node.config.materialized -%}
    {%- set reads = node.depends_on.nodes -%}
    {{ return(kind in ("exact", "seed") or (
        kind == "view" and reads | length == 1 and reads[0] in graph.sources
    )) }}
{%- endmacro %}


{#-
    Begins the transaction of a model. Runs of one model queue up before its snapshot is
    taken, and from then on nobody empties or replaces what it reads, which the snapshot
    would see as empty.
-#}
{% macro refresh_begin(registration, log) -%}
    {%- set reads = saas_analytics.refresh_reads(registration) -%}
    {%- do saas_analytics.wait_in_queue([log], "share update exclusive", [
        "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
        "ExclusiveLock", "AccessExclusiveLock",
    ]) -%}
    {%- if reads -%}
        {%- do saas_analytics.wait_in_queue(
            reads.split(", "), "access share", ["AccessExclusiveLock"]
        ) -%}
    {%- endif -%}
    {%- set begin -%}
        commit;
        begin isolation level repeatable read;
        -- A row that a policy would hide is an error from here on.
        set local row_security = off;
        {{ saas_analytics.refresh_set_settings() }}
        {{ saas_analytics.run_limits() }};
        lock table {{ log }} in share update exclusive mode
        {%- if reads -%}; lock table {{ reads }} in access share mode{%- endif -%}
    {%- endset -%}
    {%- set hold -%}
        select {{ saas_analytics.refresh_schema() }}.hold_sources(
            {{ saas_analytics.refresh_literal(registration.inputs | tojson) }}
        )
    {%- endset -%}
    {%- set held = namespace(is_known=false) -%}
    {%- for attempt in range(5) if not held.is_known -%}
        {%- do run_query(begin) -%}
        {%- set held.is_known = run_query(hold).columns[0].values()[0] -%}
    {%- endfor -%}
    {%- if not held.is_known -%}
        {%- do exceptions.raise_compiler_error(
            "What " ~ model.name ~ " reads was emptied or replaced again and again: "
            ~ "run it once more when that is over."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- The tables that a model reads, but for the source's, and the logs of their changes,
    as far as they are there, separated by commas. -#}
{% macro refresh_reads(registration) -%}
    {%- set names = registration.inputs | map(attribute="log") | select("defined")
        | list -%}
    {%- do names.extend(
        registration.inputs | rejectattr("kind", "equalto", "source")
        | map(attribute="relation")
    ) -%}
    {%- set present -%}
        select string_agg(name, ', ' order by position)
        from unnest(array[
            {%- for name in names %}'{{ name }}'{{ ", " if not loop.last }}{% endfor -%}
        ]::text[]) with ordinality as names (name, position)
        where to_regclass(name) is not null
    {%- endset -%}
    {{ return(run_query(present).columns[0].values()[0]) }}
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
                "fails": "least("
                    ~ (arguments.columns or [arguments.column_name]) | join(", ")
                    ~ ") < 0"
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
        "zone": saas_analytics.reporting_timezone(),
        "has_none": has_none,
    }) }}
{%- endmacro %}


{#-
    The select with the names and types of the contract, if there is one. A cast to a
    type with a length cuts longer values without an error, so two of them could become
    one.
-#}
{% macro refresh_typed(definition) -%}
    {%- if config.get("contract").enforced -%}
        {%- for column in model.columns.values()
            if modules.re.match("^(var)?(char|bit)[^(]*\\(", column.data_type | lower)
        -%}
            {%- do exceptions.raise_compiler_error(
                "The contract of " ~ model.name ~ " gives " ~ column.name ~ " the type "
                ~ column.data_type ~ ", which would cut longer values: write `text`."
            ) -%}
        {%- endfor -%}
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


{#-
    Whether tables are there with the columns and types that the select gives, in any
    order. A log has two more. The select gives other types without being changed where
    a column of the source gets another one.
-#}
{% macro refresh_has_same_columns(tables, definition) -%}
    {%- do run_query(
        "create temporary view refresh_columns as ("
        ~ saas_analytics.refresh_typed(definition) ~ "\n)"
    ) -%}
    {%- set is_same = run_query(
        "select bool_and(coalesce("
        ~ saas_analytics.refresh_columns_of("to_regclass(name)") ~ " = "
        ~ saas_analytics.refresh_columns_of("'pg_temp.refresh_columns'::regclass")
        ~ " and exists (select from pg_class where oid = to_regclass(name) "
        ~ "and relkind in ('r', 'p')), false)) from unnest(array['"
        ~ tables | join("', '") ~ "']) as name"
    ).columns[0].values()[0] -%}
    {{ return(is_same) }}
{%- endmacro %}


{#- An expression that lists a relation's columns and types, without those of a log. -#}
{% macro refresh_columns_of(relation) -%}
    (
        select string_agg(
            format('%I %s', attname, format_type(atttypid, atttypmod)), ', '
            order by attname
        )
        from pg_attribute
        where attnum > 0 and not attisdropped and attrelid = {{ relation }}
            and attname not in ('sign', 'change_xid')
    )
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
        {%- do run_query("alter table " ~ log ~ " replica identity full") -%}
    {%- endif -%}
    {%- set values = [
        this.identifier, relation.include(database=False) | string, log,
        registration.definition, hash,
        registration.inputs | tojson, registration.clock, registration.today,
        registration.zone, registration.checks | tojson, registration.as_of,
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
            zone, checks, as_of, rows_column, columns, scope, is_logged
        )
        values (
            {% for value in values -%}
                {{ saas_analytics.refresh_literal(value) }},
            {%- endfor %}
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
            zone = excluded.zone,
            checks = excluded.checks,
            as_of = excluded.as_of,
            rows_column = excluded.rows_column,
            columns = excluded.columns,
            scope = excluded.scope,
            is_logged = excluded.is_logged,
            generation = {{ "excluded.generation" if is_new else "models.generation" }};
        delete from {{ schema }}.inputs where model = '{{ this.identifier }}';
        delete from {{ schema }}.unbuilt where model = '{{ this.identifier }}'
    {%- endset -%}
    {%- do run_query(statement) -%}
{%- endmacro %}


{#- Makes the table from all rows, in parallel where the server can. -#}
{% macro refresh_create(relation, definition) -%}
    {%- set next_relation = make_intermediate_relation(relation) -%}
    {%- do saas_analytics.refuse_dependents(relation, "set of columns") -%}
    {%- do run_query("drop table if exists " ~ next_relation) -%}
    {%- do run_query(
        "set local work_mem = '" ~ saas_analytics.refresh_work_mem() ~ "'; "
        ~ "create table " ~ next_relation ~ " as "
        ~ saas_analytics.refresh_typed(definition)
    ) -%}
    {%- do saas_analytics.refresh_refuse_nulls(next_relation) -%}
    {%- do saas_analytics.refresh_index(next_relation) -%}
    {%- do run_query("alter table " ~ next_relation ~ " replica identity full") -%}
    {%- do run_query("analyze " ~ next_relation) -%}
    {%- do saas_analytics.replace_relation(relation, next_relation) -%}
{%- endmacro %}


{#- Makes the indexes that are missing: the config's, and one on the scope. -#}
{% macro refresh_index(relation) -%}
    {%- for index in saas_analytics.refresh_compare_indexes(relation).missing -%}
        {%- do run_query(get_create_index_sql(relation, index)) -%}
    {%- endfor -%}
{%- endmacro %}


{#-
    Drops the indexes that dbt made for a former config, if nobody is reading, else a
    later run does; in a transaction of its own, for readers wait until it ends. As long
    as others are missing only unique ones go, which might refuse rows of today.
-#}
{% macro refresh_drop_former_indexes(relation) -%}
    {%- set compared = saas_analytics.refresh_compare_indexes(relation) -%}
    {%- set former = compared.former_unique if compared.missing else compared.former -%}
    {%- if former -%}
        {%- do saas_analytics.run_between_readers(
            "drop index if exists " ~ former | join(", "), relation, is_needed=false
        ) -%}
        {%- do run_query("commit; begin") -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Compares a table's indexes with the config, as a dict: the wanted that are missing,
    and the names of those that dbt made and the config no longer wants. What dbt makes
    has a hash for a name.
-#}
{% macro refresh_compare_indexes(relation) -%}
    {%- set wanted = config.get("indexes", []) | list -%}
    {%- set scope = config.get("scope", []) -%}
    {%- if scope and scope not in wanted | map(attribute="columns") | list -%}
        {%- do wanted.append({"columns": scope}) -%}
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
    {%- for index in wanted -%}
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


{#- The contract's columns that are never null. -#}
{% macro refresh_columns_without_null() -%}
    {%- set names = [] -%}
    {%- for column in model.columns.values() if config.get("contract").enforced
        and "not_null" in column.constraints | map(attribute="type") -%}
        {%- do names.append(column.name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}


{#- Which of a table's columns refuse null as it stands. -#}
{% macro refresh_columns_refusing_null(relation) -%}
    {{ return(run_query(
        "select attname from pg_attribute where attnotnull and attnum > 0 "
        ~ "and not attisdropped and attrelid = to_regclass('" ~ relation ~ "')"
    ).columns[0].values()) }}
{%- endmacro %}


{#- Before new rows come: a column that may be null by now. -#}
{% macro refresh_allow_nulls(relation) -%}
    {%- set changes = [] -%}
    {%- for name in saas_analytics.refresh_columns_refusing_null(relation)
        if name not in saas_analytics.refresh_columns_without_null() -%}
        {%- do changes.append(
            "alter column " ~ adapter.quote(name) ~ " drop not null"
        ) -%}
    {%- endfor -%}
    {%- do saas_analytics.alter_between_readers(relation, changes) -%}
{%- endmacro %}


{#- When they are there: a column that is never null. -#}
{% macro refresh_refuse_nulls(relation) -%}
    {%- set refusing = saas_analytics.refresh_columns_refusing_null(relation) -%}
    {%- set changes = [] -%}
    {%- for name in saas_analytics.refresh_columns_without_null()
        if name not in refusing -%}
        {%- do changes.append(
            "alter column " ~ adapter.quote(name) ~ " set not null"
        ) -%}
    {%- endfor -%}
    {%- do saas_analytics.alter_between_readers(relation, changes) -%}
{%- endmacro %}
