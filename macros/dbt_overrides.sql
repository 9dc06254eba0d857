{#-
    Overrides of macros of dbt, which prefers a project's macros to its own.
-#}


{#-
    dbt's time of a snapshot is a timestamp without zone in the session's TimeZone; a
    snapshot's validity must not depend on the session that took it.
-#}
{% macro postgres__snapshot_get_time() -%}
    cast({{ current_timestamp() }} as timestamptz)
{%- endmacro %}


{#-
    The empty query that states a contract's column types. dbt warns at each bare
    `numeric`. This project uses it deliberately: numeric without a scale is exact.
-#}
{% macro postgres__get_empty_schema_sql(columns) %}
    {%- set missing = [] -%}
    select
    {%- for name in columns %}
        {%- set column = columns[name] -%}
        {%- if column["data_type"] is not defined -%}
            {%- do missing.append(column["name"]) -%}
        {%- endif %}
        {%- set is_quoted = column.get("quote") %}
        {{ cast("null", column["data_type"]) }} as
        {{ adapter.quote(column["name"]) if is_quoted else column["name"] }}
        {{- "," if not loop.last }}
    {%- endfor %}
    {%- if missing -%}
        {%- do exceptions.column_type_missing(column_names=missing) -%}
    {%- endif -%}
{% endmacro %}


{#-
    Writes the comments of a view, seed or snapshot. dbt's own writes all of them in
    each run.
-#}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- do exact.write_comments(relation, model) -%}
{%- endmacro %}
