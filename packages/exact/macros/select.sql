{#- What a model's select may read and call, and which columns its inputs need. -#}


{#-
    Stops at a select that may give other rows although none of its inputs was written.
    Returns whether it reads the clock. The select becomes a view, which PostgreSQL
    parses and does not run.
-#}
{% macro _check_definition(definition, inputs) -%}
    {%- set schema = exact.engine_schema() -%}
    {%- do run_query("create temporary view refresh_select as " ~ definition) -%}
    {%- do exact._check_select(
        "pg_temp.refresh_select", inputs | map(attribute="relation") | list, definition
    ) -%}
    {%- set reads_clock = run_query(
        "select " ~ schema ~ "._reads_clock('pg_temp.refresh_select')"
    ).columns[0].values()[0] -%}
    {%- do run_query("drop view pg_temp.refresh_select") -%}
    {{ return(reads_clock) }}
{%- endmacro %}


{#- Stops where a select, asked as a view, reads or calls what it must not. -#}
{% macro _check_select(view, relations, text) -%}
    {%- set question -%}
        select {{ exact.engine_schema() }}._select_problem(
            '{{ view }}',
            array[{% for relation in relations %}'{{ relation }}'
            {{- ", " if not loop.last }}{% endfor %}]::text[],
            {{ exact.literal(text) }}
        )
    {%- endset -%}
    {%- set problem = run_query(question).columns[0].values()[0] -%}
    {%- if problem -%}
        {%- do exact._refuse_config(problem) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    The columns of a staging view that must be known of a row that was deleted or
    changed: those that give its keys, that it is looked up by, and its filter's.
-#}
{% macro _columns_needed(input, inputs) -%}
    {%- set schema = exact.engine_schema() -%}
    {%- set lookup = input.lookup or {} -%}
    {%- set parts = (lookup.by or []) + (lookup.changed or []) -%}
    {%- for mapping in (input.mappings or []) + (lookup.mappings or []) -%}
        {%- for part in mapping.values() -%}
            {%- do parts.append(part.expression) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do run_query(
        "create temporary view changes as select *, 1::bigint as sign from "
        ~ input.relation
    ) -%}
    {%- set reads -%}
        select
        {%- for part in parts %}
            {{ part }} as part_{{ loop.index }}{{ "," if not loop.last }}
        {%- endfor %}
        from pg_temp.changes where {{ input.filter or "true" }}
    {%- endset -%}
    {%- do run_query("create temporary view refresh_needs as " ~ reads) -%}
    {%- do exact._check_select(
        "pg_temp.refresh_needs",
        inputs | map(attribute="relation") | list + ["pg_temp.changes"], reads
    ) -%}
    {%- if run_query(
        "select " ~ schema ~ "._reads_clock('pg_temp.refresh_needs')"
    ).columns[0].values()[0] -%}
        {%- do exact._refuse_clock(input.called) -%}
    {%- endif -%}
    {%- set needed = run_query(
        "select name from unnest(" ~ schema ~ "._columns_needed("
        ~ "'pg_temp.refresh_needs', 'pg_temp.changes')) as name where name != 'sign'"
    ).columns[0].values() | list -%}
    {%- do run_query("drop view pg_temp.refresh_needs, pg_temp.changes") -%}
    {{ return(needed) }}
{%- endmacro %}


{#- Logs why a model is computed in full, and what makes it cheap. -#}
{% macro _log_advice() -%}
    {%- for (sentence,) in run_query(
        "select " ~ exact.engine_schema() ~ ".advice('"
        ~ this.identifier ~ "')"
    ).rows -%}
        {%- do log(model.name ~ " is " ~ sentence, info=true) -%}
    {%- endfor -%}
{%- endmacro %}
