{#-
    The config of an exact model, under meta.exact: README.md describes it. A part that
    would have no effect is a compile error.
-#}


{#- The model's own config, as a dict. -#}
{% macro _config() -%}
    {{ return((config.get("meta") or {}).get("exact") or {}) }}
{%- endmacro %}


{#- Stops at a config with an unknown name, or with a part that has no effect. -#}
{% macro _check_config() -%}
    {%- set meta = exact._config() -%}
    {%- set of_dbt = [
        "access", "alias", "batch_size", "begin", "column_types", "concurrent_batches",
        "contract", "database", "docs", "enabled", "event_time", "freshness",
        "full_refresh", "grants", "group", "incremental_strategy", "indexes",
        "lookback", "materialized", "meta", "on_configuration_change", "on_error",
        "on_schema_change", "packages", "persist_docs", "post-hook", "pre-hook",
        "post_hook", "pre_hook", "quoting", "schema", "sql_header", "static_analysis",
        "tags", "unique_key",
    ] -%}
    {%- for key in model.config if key not in of_dbt and not key.startswith("_") -%}
        {%- do exact._refuse_config(
            "has the config key " ~ key ~ ", which dbt does not know: keys, inputs and "
            ~ "clock belong under meta, as in config(meta={\"exact\": {\"keys\": []}})"
        ) -%}
    {%- endfor -%}
    {%- do exact._check_names(
        meta, ["keys", "inputs", "clock", "renamed_from"], "meta.exact"
    ) -%}
    {%- if (meta.clock or "moment") not in ("moment", "day", "none") -%}
        {%- do exact._refuse_config(
            "has clock " ~ meta.clock ~ ": it is moment, day or none"
        ) -%}
    {%- endif -%}
    {%- set keys = meta.get("keys") or [] -%}
    {%- set inputs = meta.inputs or {} -%}
    {%- if (keys | length > 0) != (inputs | length > 0) -%}
        {%- do exact._refuse_config(
            "has " ~ ("keys without inputs" if keys else "inputs without keys")
            ~ ": one does nothing without the other"
        ) -%}
    {%- endif -%}
    {%- for name, form in inputs.items() -%}
        {%- do exact._check_input(name, form, inputs, keys) -%}
    {%- endfor -%}
{%- endmacro %}


{#- Stops at such an entry of `inputs`. -#}
{% macro _check_input(name, form, inputs, keys) -%}
    {%- set place = "inputs of " ~ name -%}
    {%- if form is not mapping -%}
        {%- do exact._refuse_config(
            "has " ~ place ~ " that are not a dict: write {} where each key is the "
            ~ "column of that name"
        ) -%}
    {%- endif -%}
    {%- do exact._check_names(
        form, ["keys", "where", "moments", "lookup", "delta"], place
    ) -%}
    {%- set given = form.get("keys") or [] -%}
    {%- for each in ([given] if given is mapping else given) -%}
        {%- do exact._check_names(each, keys, "keys in " ~ place) -%}
    {%- endfor -%}
    {%- if form.delta is defined -%}
        {%- do exact._check_delta(name, form, inputs) -%}
    {%- elif form.lookup is defined -%}
        {%- do exact._check_lookup(name, form, inputs) -%}
    {%- endif -%}
    {%- if form.moments and (exact._config().clock or "moment") == "moment" -%}
        {%- do exact._refuse_config(
            "has moments in " ~ place ~ ", which do nothing while every run computes "
            ~ "it: add clock \"none\" or \"day\""
        ) -%}
    {%- endif -%}
    {#- A config keeps the time at which dbt read the file: exact.now(), or
        run_started_at with its microseconds. -#}
    {%- set run_start = "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}\\.[0-9]{6}\\+00:00" -%}
    {%- if exact.now_iso() in form | string | replace("\\'", "'")
        or modules.re.search(run_start, form | string) -%}
        {%- do exact._refuse_clock(name) -%}
    {%- endif -%}
{%- endmacro %}


{#- Stops at a delta of several inputs, or without a column that counts. -#}
{% macro _check_delta(name, form, inputs) -%}
    {%- set place = "delta of " ~ name -%}
    {%- do exact._check_names(form, ["delta"], "inputs of " ~ name) -%}
    {%- do exact._check_names(form.delta, ["count", "neighbors"], place) -%}
    {%- if inputs | length > 1 -%}
        {%- do exact._refuse_config(
            "has " ~ place ~ " with other inputs: a delta is of one input"
        ) -%}
    {%- endif -%}
    {%- if not form.delta.count -%}
        {%- do exact._refuse_config(
            "has " ~ place ~ " without count: it names the column that counts the rows "
            ~ "of a group"
        ) -%}
    {%- endif -%}
    {%- for each in form.delta.neighbors or [] -%}
        {%- do exact._check_names(
            each, ["same", "next_to", "where"], "neighbors in " ~ place
        ) -%}
    {%- endfor -%}
{%- endmacro %}


{#- Stops at a look-up without `in` or `by`. -#}
{% macro _check_lookup(name, form, inputs) -%}
    {%- set place = "lookup of " ~ name -%}
    {%- set lookup = form.lookup or {} -%}
    {%- do exact._check_names(
        form, ["lookup"] if lookup["in"] else ["lookup", "keys"], "inputs of " ~ name
    ) -%}
    {%- do exact._check_names(lookup, ["in", "by", "changed"], place) -%}
    {%- if (lookup["in"] is defined) != (lookup.by is defined)
        or (lookup.changed and not lookup["in"]) -%}
        {%- do exact._refuse_config(
            "has " ~ place ~ " that lacks in or by: `in` names the input whose rows "
            ~ "look it up, and `by` the columns that both have"
        ) -%}
    {%- endif -%}
    {%- set driving = inputs.get(lookup["in"], none) -%}
    {%- if lookup["in"] and (
        driving is none or driving.lookup is defined or driving.delta is defined
    ) -%}
        {%- do exact._refuse_config(
            "has " ~ place ~ " in " ~ lookup["in"] ~ ": name an input whose own keys "
            ~ "`inputs` gives"
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- Stops at an unknown name in a dict of the config. -#}
{% macro _check_names(given, allowed, place) -%}
    {%- for key in given if key not in allowed -%}
        {%- do exact._refuse_config(
            "has " ~ key ~ " in " ~ place ~ ", which means nothing there: the names "
            ~ "are " ~ allowed | join(", ")
        ) -%}
    {%- endfor -%}
{%- endmacro %}


{#- Stops at the clock in an input's keys: time passes without a change of any row. -#}
{% macro _refuse_clock(name) -%}
    {%- do exact._refuse_config(
        "reads the clock in inputs of " ~ name ~ ", where time would pass without a "
        ~ "change: compare with exact.now() in the select"
    ) -%}
{%- endmacro %}


{#- Stops with a sentence about the model. -#}
{% macro _refuse_config(sentence) -%}
    {%- do exceptions.raise_compiler_error(model.name ~ " " ~ sentence ~ ".") -%}
{%- endmacro %}
