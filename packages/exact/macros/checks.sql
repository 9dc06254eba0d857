{#-
    The data tests that a refresh applies to the rows that it writes. Each check is the
    SQL of the test itself, so a build and a refresh have one definition.

    A test declares what it needs, under meta.exact.check of its config: "rows" where
    each row fails by itself, "groups" where a group of rows with the same keys does.
-#}


{#- The checks of the model by name: each a name and a query. -#}
{% macro _checks() -%}
    {%- set checks = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == "test" and node.attached_node == model.unique_id -%}
        {%- set needed = exact._check_of(node) -%}
        {%- if needed and exact._is_checkable(node) -%}
            {%- do checks.append({
                "name": node.name, "query": exact._check_query(node, needed)
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(checks | sort(attribute="name")) }}
{%- endmacro %}


{#- What a test needs: rows, groups, or none where it says nothing. -#}
{% macro _check_of(node) -%}
    {%- set of_dbt = {
        "not_null": "rows", "accepted_values": "rows", "unique": "groups",
    } -%}
    {%- set needed = ((node.config.meta or {}).get("exact") or {}).get("check")
        or of_dbt.get(node.test_metadata.name) -%}
    {%- if needed not in (none, "rows", "groups") -%}
        {%- do exceptions.raise_compiler_error(
            node.name ~ " has meta.exact.check " ~ needed ~ ": it is rows or groups."
        ) -%}
    {%- endif -%}
    {{ return(needed) }}
{%- endmacro %}


{#-
    Whether a refresh can decide a test as a build does: the test reads the model alone,
    one failing row is an error, and no argument has Jinja of its own.
-#}
{% macro _is_checkable(node) -%}
    {%- set arguments = dict(node.test_metadata.kwargs, model="") | tojson -%}
    {{ return(
        node.depends_on.nodes == [model.unique_id]
        and node.config.severity | lower == "error"
        and node.config.error_if == "!= 0"
        and node.config.fail_calc == "count(*)"
        and not modules.re.search(
            "\\{\\{|\"\\s*(env_var|ref|var|source|doc)\\s*\\(", arguments
        )
    ) }}
{%- endmacro %}


{#-
    The SQL of a test, over refresh_written or refresh_groups in place of the model. As
    in dbt, `where` of its config leaves rows out.
-#}
{% macro _check_query(node, needed) -%}
    {%- set test = node.test_metadata -%}
    {%- set macros = context[test.namespace] if test.namespace else context -%}
    {%- set relation = api.Relation.create(
        identifier="refresh_written" if needed == "rows" else "refresh_groups"
    ) -%}
    {%- if node.config.where -%}
        {%- set relation = "(select * from " ~ relation ~ " where "
            ~ node.config.where ~ ") as dbt_subquery" -%}
    {%- endif -%}
    {%- set arguments = dict(test.kwargs, model=relation) -%}
    {{ return(macros["test_" ~ test.name](**arguments) | trim) }}
{%- endmacro %}


{#- Logs the tests that the rows that were written fail; an empty text is none. -#}
{% macro _log_failed_checks(names) -%}
    {%- if names -%}
        {%- do log(model.name ~ " wrote rows that fail " ~ names, info=true) -%}
    {%- endif -%}
{%- endmacro %}
