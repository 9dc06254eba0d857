{#-
    Records a model and its select. A new table gets an empty log. What a kept table has
    seen of its inputs is kept too.
-#}
{% macro _register(registration, hash, relation, log, is_new, is_kept) -%}
    {%- set schema = exact.engine_schema() -%}
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
            zone, checks, as_of, columns, key_columns, is_logged
        )
        values (
            {% for value in values -%}
                {{ exact.literal(value) }},
            {%- endfor %}
            {{ columns }},
            array[{% for column in registration.key_columns -%}
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
            columns = excluded.columns,
            key_columns = excluded.key_columns,
            is_logged = excluded.is_logged,
            generation = {{ "excluded.generation" if is_new else "models.generation" }};
        delete from {{ schema }}.inputs where model = '{{ this.identifier }}'
        {%- if is_kept %} and name != all (array[
            {%- for input in registration.inputs -%}
                {{ exact.literal(input.name) }}{{ ", " if not loop.last }}
            {%- endfor -%}
        ]::text[]){%- endif -%};
        delete from {{ schema }}.unbuilt where model = '{{ this.identifier }}'
    {%- endset -%}
    {%- do run_query(statement) -%}
{%- endmacro %}


{#- Makes the table from all rows, in parallel where the server can. -#}
{% macro _create_table(relation, definition) -%}
    {%- set next_relation = make_intermediate_relation(relation) -%}
    {%- do exact.refuse_dependents(relation, "set of columns") -%}
    {%- do run_query("drop table if exists " ~ next_relation) -%}
    {%- do run_query(
        "set local jit = off; set local work_mem = '" ~ exact._work_mem() ~ "'; "
        ~ "create table " ~ next_relation ~ " as "
        ~ exact._typed_select(definition)
    ) -%}
    {%- do exact._refuse_nulls(next_relation) -%}
    {%- do exact._create_missing_indexes(next_relation) -%}
    {%- do run_query("alter table " ~ next_relation ~ " replica identity full") -%}
    {%- do run_query("analyze " ~ next_relation) -%}
    {%- do exact.replace_relation(relation, next_relation) -%}
{%- endmacro %}
