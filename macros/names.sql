{#-
    A name as the marts count it: at most its first 200 characters, or as many as given,
    as text. Where an application widens a column to text, one name of 3,000 bytes
    would otherwise be too large for the indexes that the marts are keyed by (2,704
    bytes), and stop every run. Three names of 200 characters fit, of four bytes each. A
    column that can't hold more is read as it is: the planner leaves the cast out, so
    indexes and statistics of the column serve.

    The indexes of migration 015 are on the same expressions.
-#}
{% macro name_of(column, characters=200) -%}
    {{ return(adapter.dispatch("name_of", "saas_analytics")(column, characters)) }}
{%- endmacro %}

{% macro default__name_of(column, characters) -%}
    cast(cast({{ column }} as varchar({{ characters }})) as text)
{%- endmacro %}


{#-
    A query of the rows whose name is longer than the marts count it (name_of), by their
    id and without the text. `names` gives, for each source table, its columns and how
    many characters of each count. A column whose type can't hold more is not read.
-#}
{% macro names_cut_off(names) -%}
    {%- set parts = [] -%}
    {%- for table, columns in names.items() -%}
        {%- set relation = source("saas", table) -%}
        {%- for found in adapter.get_columns_in_relation(relation) if execute -%}
            {%- set characters = columns.get(found.name) -%}
            {%- if characters and (found.char_size or characters + 1) > characters -%}
                {%- do parts.append(saas_analytics.names_cut_off_of(
                    relation, table, found.name, characters
                )) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if not parts -%}
        {%- do parts.append(saas_analytics.names_cut_off_of(
            source("saas", "users"), "users", "role", 200
        ) ~ " and false") -%}
    {%- endif -%}
    {{ return(parts | join("\nunion all\n")) }}
{%- endmacro %}


{#- The rows of one table and column. -#}
{% macro names_cut_off_of(relation, table, column, characters) -%}
    select
        id as row_id,
        '{{ table }}' as source_table,
        '{{ column }}' as column_name,
        'cut_off' as reason,
        length({{ column }}) as characters,
        {{ characters }} as characters_counted
    from {{ relation }}
    where length({{ column }}) > {{ characters }}
{%- endmacro %}
