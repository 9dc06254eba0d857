{#-
    The number of characters of a name that the marts use, by the kind of the name.

    In views and indexes PostgreSQL omits a cast to the length that a column already
    has, and does not restore it when the column is widened later. So these are lengths
    that no application declares, above the usual 200 and 256. Three names of 201
    characters of four bytes fit into a key of a b-tree (2,704 bytes).

    Migration 006 and bootstrap/name_indexes.py have the same numbers.
-#}
{% macro name_limits() -%}
    {{ return({"name": 201, "link": 257}) }}
{%- endmacro %}


{#-
    The first characters of a name as text; name_limits() gives their number. If an
    application widens a column to text, a name of 3,000 bytes would be too large for
    the keys of the marts' indexes, and stop every run. For a shorter column the planner
    omits the cast, so the column's indexes and statistics apply.

    The indexes of migration 006 are on the same expressions.
-#}
{% macro name_of(column, kind="name") -%}
    {{ return(adapter.dispatch("name_of", "saas_analytics")(column, kind)) }}
{%- endmacro %}

{% macro default__name_of(column, kind) -%}
    {%- set characters = saas_analytics.name_limits()[kind] -%}
    cast(cast({{ column }} as varchar({{ characters }})) as text)
{%- endmacro %}


{#-
    A query of the rows whose name is longer than name_of() keeps, by their id and
    without the text. `names` gives, for each source table, its columns with their
    numbers of characters. It skips shorter columns, and columns of another type, such
    as an enum.
-#}
{% macro names_cut_off(names) -%}
    {%- set parts = [] -%}
    {%- for table, columns in names.items() -%}
        {%- set relation = source("saas", table) -%}
        {%- for found in adapter.get_columns_in_relation(relation) if execute -%}
            {%- set characters = columns.get(found.name) -%}
            {%- if characters and found.is_string()
                and (found.char_size or characters + 1) > characters -%}
                {%- do parts.append(saas_analytics.names_cut_off_of(
                    relation, table, found.name, characters
                )) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if not parts -%}
        {%- do parts.append(saas_analytics.names_cut_off_of(
            source("saas", "users"), "users", "id", 0
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
        length(cast({{ column }} as text)) as characters,
        {{ characters }} as characters_counted
    from {{ relation }}
    where length(cast({{ column }} as text)) > {{ characters }}
{%- endmacro %}
