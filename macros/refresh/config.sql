{#-
    What keeps a model from being wrong by its own config: a key that does nothing is a
    compile error, and so is a select that depends on more than its inputs.
-#}


{#- Stops at a config of an exact model that can't mean what it says. -#}
{% macro refresh_check_config() -%}
    {%- set changes = config.get("changes", {}) -%}
    {%- set scope = config.get("scope", []) -%}
    {%- set own = ["scope", "changes", "clock", "rows_column", "indexes"] -%}
    {%- set of_dbt = [
        "access", "alias", "batch_size", "begin", "column_types", "concurrent_batches",
        "contract", "database", "docs", "enabled", "event_time", "freshness",
        "full_refresh", "grants", "group", "incremental_strategy", "lookback",
        "materialized", "meta", "on_configuration_change", "on_error",
        "on_schema_change", "packages", "persist_docs", "post-hook", "pre-hook",
        "post_hook", "pre_hook", "quoting", "schema", "sql_header",
        "static_analysis", "tags", "unique_key",
    ] -%}
    {%- for key in model.config if key not in own + of_dbt
        and not key.startswith("_") -%}
        {%- do saas_analytics.refresh_refuse_config(
            "has the config key " ~ key ~ ", which means nothing: an exact model takes "
            ~ own | join(", ") ~ ", and what is yours goes under meta"
        ) -%}
    {%- endfor -%}
    {%- if config.get("clock", "moment") not in ("moment", "day", "none") -%}
        {%- do saas_analytics.refresh_refuse_config(
            "has clock " ~ config.get("clock") ~ ": it is moment, day or none"
        ) -%}
    {%- endif -%}
    {%- if (scope and not changes) or (changes and not scope) -%}
        {%- do saas_analytics.refresh_refuse_config(
            "has " ~ ("scope without changes" if scope else "changes without scope")
            ~ ": one does nothing without the other"
        ) -%}
    {%- endif -%}
    {#- A config keeps the time at which dbt read the file: reporting_now(), or
        run_started_at with its microseconds. -#}
    {%- set run_start = "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}\\.[0-9]{6}\\+00:00" -%}
    {%- set as_of = saas_analytics.reporting_now_iso() -%}
    {%- for name, change in changes.items()
        if as_of in change | string | replace("\\'", "'")
        or modules.re.search(run_start, change | string) -%}
        {%- do saas_analytics.refresh_refuse_clock(name) -%}
    {%- endfor -%}
    {%- set sums = [] -%}
    {%- for name, change in changes.items() -%}
        {%- set is_sum = change is mapping and "around" in change -%}
        {%- if is_sum -%}
            {%- do sums.append(name) -%}
        {%- endif -%}
        {%- set mappings = [] if change is string or is_sum
            else [change] if change is mapping else change -%}
        {%- set allowed = ["around"] if is_sum
            else scope + ["where", "moments"] if change is mapping else scope -%}
        {%- for each in (mappings or ([change] if is_sum else [])) -%}
            {%- for key in each if key not in allowed -%}
                {%- do saas_analytics.refresh_refuse_config(
                    "has " ~ key ~ " in changes of " ~ name ~ ", which means nothing "
                    ~ "there: the keys are " ~ allowed | join(", ")
                ) -%}
            {%- endfor -%}
            {%- for column in scope if not is_sum and column not in each -%}
                {%- do saas_analytics.refresh_refuse_config(
                    "lacks " ~ column ~ " in changes of " ~ name ~ ": each column of "
                    ~ "scope comes from one of the input"
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if change is mapping and change["moments"]
            and config.get("clock", "moment") == "moment" -%}
            {%- do saas_analytics.refresh_refuse_config(
                "has moments in changes of " ~ name ~ ", which do nothing while every "
                ~ "run computes it: add clock=\"none\" or clock=\"day\""
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if (sums | length > 0) != (config.get("rows_column") is not none) -%}
        {%- do saas_analytics.refresh_refuse_config(
            "has " ~ ("around without rows_column" if sums else
                "rows_column without around") ~ ": one does nothing without the other"
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- Stops at the clock in `changes`: time passes without a change of any row. -#}
{% macro refresh_refuse_clock(name) -%}
    {%- do saas_analytics.refresh_refuse_config(
        "reads the clock in changes of " ~ name ~ ", where time would pass without a "
        ~ "change: compare with reporting_now() in the select"
    ) -%}
{%- endmacro %}


{#- Stops with a sentence about the model. -#}
{% macro refresh_refuse_config(sentence) -%}
    {%- do exceptions.raise_compiler_error(model.name ~ " " ~ sentence ~ ".") -%}
{%- endmacro %}


{#-
    Stops at a select that may give other rows though none of its inputs was written.
    Returns whether it reads the clock. It is asked as a view, which PostgreSQL parses
    and does not run.
-#}
{% macro refresh_check_definition(definition, inputs) -%}
    {%- set schema = saas_analytics.refresh_schema() -%}
    {%- do run_query("create temporary view refresh_select as " ~ definition) -%}
    {%- do saas_analytics.refresh_check_select(
        "pg_temp.refresh_select", inputs | map(attribute="relation") | list, definition
    ) -%}
    {%- set reads_clock = run_query(
        "select " ~ schema ~ ".reads_clock('pg_temp.refresh_select')"
    ).columns[0].values()[0] -%}
    {%- do run_query("drop view pg_temp.refresh_select") -%}
    {{ return(reads_clock) }}
{%- endmacro %}


{#- Stops where a select, asked as a view, reads or calls what it must not. -#}
{% macro refresh_check_select(view, relations, text) -%}
    {%- set question -%}
        select {{ saas_analytics.refresh_schema() }}.select_problem(
            '{{ view }}',
            array[{% for relation in relations %}'{{ relation }}'
            {{- ", " if not loop.last }}{% endfor %}]::text[],
            {{ saas_analytics.refresh_literal(text) }}
        )
    {%- endset -%}
    {%- set problem = run_query(question).columns[0].values()[0] -%}
    {%- if problem -%}
        {%- do saas_analytics.refresh_refuse_config(problem) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    The columns of a staging view that must be known of a row that went or changed:
    those that give its scopes, or that the query of scopes reads, and its filter's.
-#}
{% macro refresh_needs(input, inputs) -%}
    {%- set schema = saas_analytics.refresh_schema() -%}
    {#- Tables of the session come first: the query finds its `changes` here. -#}
    {%- do run_query(
        "create temporary view changes as select *, 1::bigint as sign from "
        ~ input.relation
    ) -%}
    {%- set query = input.through or input.around -%}
    {%- if query -%}
        {%- set reads = query -%}
    {%- else -%}
        {%- set parts = [] -%}
        {%- for mapping in input.mappings -%}
            {%- for part in mapping.values() -%}
                {%- do parts.append(part.expression) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- set reads -%}
            select
            {%- for part in parts %}
                {{ part }} as part_{{ loop.index }}{{ "," if not loop.last }}
            {%- endfor %}
            from changes where {{ input.filter or "true" }}
        {%- endset -%}
    {%- endif -%}
    {%- do run_query("create temporary view refresh_needs as " ~ reads) -%}
    {%- do saas_analytics.refresh_check_select(
        "pg_temp.refresh_needs",
        inputs | map(attribute="relation") | list + ["pg_temp.changes"], reads
    ) -%}
    {%- if run_query(
        "select " ~ schema ~ ".reads_clock('pg_temp.refresh_needs')"
    ).columns[0].values()[0] -%}
        {%- do saas_analytics.refresh_refuse_clock(input.called) -%}
    {%- endif -%}
    {%- set needed = run_query(
        "select name from unnest(" ~ schema ~ ".columns_needed("
        ~ "'pg_temp.refresh_needs', 'pg_temp.changes')) as name where name != 'sign'"
    ).columns[0].values() | list -%}
    {%- do run_query("drop view pg_temp.refresh_needs, pg_temp.changes") -%}
    {{ return(needed) }}
{%- endmacro %}


{#- Says which of a model's inputs make it dear, and what makes them cheap. -#}
{% macro refresh_log_advice() -%}
    {%- for (sentence,) in run_query(
        "select " ~ saas_analytics.refresh_schema() ~ ".capture_advice('"
        ~ this.identifier ~ "')"
    ).rows -%}
        {%- do log(model.name ~ " is " ~ sentence, info=true) -%}
    {%- endfor -%}
{%- endmacro %}
