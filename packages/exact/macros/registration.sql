{#-
    What the engine has to know of a model, from its config and dbt's graph.
-#}


{#- The name of a graph node's relation, without the database. -#}
{% macro _relation_of(node) -%}
    {{ return(adapter.quote(node.schema) ~ "." ~ adapter.quote(node.alias)) }}
{%- endmacro %}


{#- What the engine has to know of a model, as a dict: its select and its inputs. -#}
{% macro _registration(definition) -%}
    {%- set meta = exact._config() -%}
    {%- set inputs = [] -%}
    {%- set relations = {} -%}
    {%- for unique_id in model.depends_on.nodes -%}
        {%- set node = graph.nodes.get(unique_id) -%}
        {%- if not exact._can_follow(node) -%}
            {%- do exceptions.raise_compiler_error(
                model.name ~ " reads " ~ unique_id ~ ", whose changes can't be "
                ~ "followed: an exact model reads other exact models, seeds, and views "
                ~ "of one source each."
            ) -%}
        {%- endif -%}
        {%- set input = exact._input_of(node) -%}
        {%- do relations.update({node.name: input}) -%}
        {%- do inputs.append(input) -%}
    {%- endfor -%}
    {%- for name, form in (meta.inputs or {}).items() -%}
        {%- if name not in relations -%}
            {%- do exact._refuse_config(
                "does not read " ~ name ~ ", which `inputs` names"
            ) -%}
        {%- endif -%}
        {%- do exact._follow_input(relations[name], form, relations) -%}
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
        "key_columns": meta.get("keys") or [],
        "checks": exact._checks(),
        "inputs": inputs,
        "clock": meta.clock or "moment",
        "today": exact.day_of("now()"),
        "zone": exact.timezone(),
        "as_of": exact._as_of()
            if exact.now_iso() in model["compiled_code"] else "",
        "is_logged": is_logged.value,
    }) }}
{%- endmacro %}


{#- An input: what the engine has to know of a graph node that a model reads. -#}
{% macro _input_of(node) -%}
    {%- set input = {
        "name": node.alias, "called": node.name, "relation": exact._relation_of(node)
    } -%}
    {%- if node.resource_type == "seed" -%}
        {%- do input.update({"kind": "seed"}) -%}
    {%- elif node.config.materialized == "exact" -%}
        {%- do input.update({
            "kind": "model",
            "log": exact.engine_schema() ~ "." ~ adapter.quote(node.alias ~ "__log"),
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
    {{ return(input) }}
{%- endmacro %}


{#-
    Adds to an input how its changes are followed. `form` is its entry in the config,
    `relations` are the inputs of the model by name.
-#}
{% macro _follow_input(input, form, relations) -%}
    {%- set lookup = form.lookup -%}
    {%- if input.kind != "model" and (
        form.delta is defined or lookup is defined and lookup.changed
    ) -%}
        {%- do exact._refuse_config(
            "has " ~ ("delta" if form.delta is defined else "changed") ~ " in inputs "
            ~ "of " ~ input.called ~ ", which is no exact model: only their logs hold "
            ~ "each change once"
        ) -%}
    {%- endif -%}
    {%- if form.delta is defined -%}
        {%- do input.update({"delta": form.delta}) -%}
    {%- elif lookup is defined and lookup["in"] -%}
        {%- do input.update({"lookup": {
            "in": relations[lookup["in"]].name,
            "by": exact._as_list(lookup.by),
            "changed": exact._as_list(lookup.changed),
        }}) -%}
    {%- elif lookup is defined -%}
        {%- do input.update({"lookup": {"mappings": exact._mappings(form)}}) -%}
    {%- else -%}
        {%- do input.update({"mappings": exact._mappings(form)}) -%}
        {%- if form.where -%}
            {%- do input.update({"filter": form.where}) -%}
        {%- endif -%}
        {%- if form.moments -%}
            {%- do input.update({"moments": exact._as_list(form.moments)}) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#-
    How an input gives the keys: a list of dicts of key column to key part. A key column
    that is not mentioned is the input's column of that name.
-#}
{% macro _mappings(form) -%}
    {%- set given = form.get("keys") or {} -%}
    {%- set mappings = [] -%}
    {%- for each in ([given] if given is mapping else given) -%}
        {%- set parts = {} -%}
        {%- for column in exact._config().get("keys") -%}
            {%- do parts.update({
                column: exact._key_part(each.get(column, column))
            }) -%}
        {%- endfor -%}
        {%- do mappings.append(parts) -%}
    {%- endfor -%}
    {{ return(mappings) }}
{%- endmacro %}


{#- A list, of one where a text is given; empty for nothing. -#}
{% macro _as_list(value) -%}
    {{ return([value] if value is string else (value or [])) }}
{%- endmacro %}


{#- Whether the engine can follow the changes of a graph node. -#}
{% macro _can_follow(node) -%}
    {%- if not node -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set kind = node.config.materialized -%}
    {%- set reads = node.depends_on.nodes -%}
    {{ return(kind in ("exact", "seed") or (
        kind == "view" and reads | length == 1 and reads[0] in graph.sources
    )) }}
{%- endmacro %}


{#- A key part as the engine takes it: an expression, with its period if it has one. -#}
{% macro _key_part(text) -%}
    {%- set has_none = text.endswith(" or none") -%}
    {%- set words = (text[:-8] if has_none else text).split(" of ") -%}
    {%- if words | length == 1 -%}
        {{ return({"expression": text}) }}
    {%- endif -%}
    {%- set expression = {
        "day": exact.day_of, "week": exact.week_of, "month": exact.month_of
    }[words[0]](words[1]) -%}
    {%- if has_none -%}
        {%- set expression = "case when " ~ exact.is_finite(words[1])
            ~ " then " ~ expression ~ " end" -%}
    {%- endif -%}
    {{ return({
        "expression": expression,
        "period": words[0],
        "column": words[1],
        "zone": exact.timezone(),
        "has_none": has_none,
    }) }}
{%- endmacro %}
