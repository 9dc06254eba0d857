{#- The contract's columns that are never null. -#}
{% macro _columns_without_null() -%}
    {%- set names = [] -%}
    {%- for column in model.columns.values() if config.get("contract").enforced
        and "not_null" in column.constraints | map(attribute="type") -%}
        {%- do names.append(column.name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}


{#- The columns of a table that refuse null at present. -#}
{% macro _columns_refusing_null(relation) -%}
    {{ return(run_query(
        "select attname from pg_attribute where attnotnull and attnum > 0 "
        ~ "and not attisdropped and attrelid = to_regclass('" ~ relation ~ "')"
    ).columns[0].values()) }}
{%- endmacro %}


{#- Before rows are written: allows null where the contract does. -#}
{% macro _allow_nulls(relation) -%}
    {%- set changes = [] -%}
    {%- for name in exact._columns_refusing_null(relation)
        if name not in exact._columns_without_null() -%}
        {%- do changes.append(
            "alter column " ~ adapter.quote(name) ~ " drop not null"
        ) -%}
    {%- endfor -%}
    {%- do exact.alter_between_readers(relation, changes) -%}
{%- endmacro %}


{#- After rows are written: refuses null where the contract does. -#}
{% macro _refuse_nulls(relation) -%}
    {%- set refusing = exact._columns_refusing_null(relation) -%}
    {%- set changes = [] -%}
    {%- for name in exact._columns_without_null()
        if name not in refusing -%}
        {%- do changes.append(
            "alter column " ~ adapter.quote(name) ~ " set not null"
        ) -%}
    {%- endfor -%}
    {%- do exact.alter_between_readers(relation, changes) -%}
{%- endmacro %}
