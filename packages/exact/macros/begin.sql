{#-
    Begins the transaction of a model, in the order of engine/protocol.sql. While other
    processes hold a lock that it needs, it names them.
-#}
{% macro _begin(registration, log) -%}
    {%- set schema = exact.engine_schema() -%}
    {%- set inputs = exact.literal(registration.inputs | tojson) ~ "::jsonb" -%}
    {%- set reads = run_query(
        "select unnest(" ~ schema ~ "._tables_read(" ~ inputs ~ "))"
    ).columns[0].values() | list -%}
    {%- do exact._wait_in_queue([log], "share update exclusive", [
        "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
        "ExclusiveLock", "AccessExclusiveLock",
    ]) -%}
    {%- if reads -%}
        {%- do exact._wait_in_queue(
            reads, "access share", ["AccessExclusiveLock"]
        ) -%}
    {%- endif -%}
    {%- set statements = run_query(
        "select " ~ schema ~ "._statements_before(array["
        ~ exact.literal(log) ~ "], " ~ inputs ~ ")"
    ).columns[0].values() -%}
    {%- set begin -%}
        commit;
        begin isolation level repeatable read;
        {{ exact._set_settings() }}
        {{ exact.run_limits() }};
        {{ statements | join("; ") }}
    {%- endset -%}
    {%- set hold = "select " ~ schema ~ "._hold_sources(" ~ inputs ~ ")" -%}
    {%- set held = namespace(is_known=false) -%}
    {%- for attempt in range(5) if not held.is_known -%}
        {%- do run_query(begin) -%}
        {%- set held.is_known = run_query(hold).columns[0].values()[0] -%}
    {%- endfor -%}
    {%- if not held.is_known -%}
        {%- do exceptions.raise_compiler_error(
            "Tables that " ~ model.name ~ " reads were emptied or replaced five times: "
            ~ "run it again when that has ended."
        ) -%}
    {%- endif -%}
{%- endmacro %}
