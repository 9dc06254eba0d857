{#-
    The select with the names and types of the contract, if there is one. A type with a
    length is refused: a cast to it cuts longer values without an error, so two values
    could become one.
-#}
{% macro _typed_select(definition) -%}
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
    Whether tables exist with the columns and types of the select, in any order. A log
    has two more columns. An unchanged select gives other types where a column of the
    source gets another one.
-#}
{% macro _has_same_columns(tables, definition) -%}
    {%- do run_query(
        "create temporary view refresh_columns as ("
        ~ exact._typed_select(definition) ~ "\n)"
    ) -%}
    {%- set is_same = run_query(
        "select bool_and(coalesce("
        ~ exact._columns_of("to_regclass(name)") ~ " = "
        ~ exact._columns_of("'pg_temp.refresh_columns'::regclass")
        ~ " and exists (select from pg_class where oid = to_regclass(name) "
        ~ "and relkind in ('r', 'p')), false)) from unnest(array['"
        ~ tables | join("', '") ~ "']) as name"
    ).columns[0].values()[0] -%}
    {{ return(is_same) }}
{%- endmacro %}


{#- An expression that lists a relation's columns and types, without those of a log. -#}
{% macro _columns_of(relation) -%}
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
