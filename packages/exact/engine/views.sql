{#-
    What a staging view computes from its table: for each column, the columns of the
    table that decide it. The parsed select of a view names columns by number. A form
    that the patterns below do not match counts as not captured.
-#}
{% macro _engine_views(schema) %}

-- The numbers of the columns that a part of a parsed select reads; 0 is the whole row.
create or replace function {{ schema }}._columns_read(parsed text) returns smallint[]
language sql immutable
as $$
    select array(
        select distinct variable[1]::smallint
        from regexp_matches(
            parsed, '\{VAR :varno \d+ :varattno (-?\d+) ', 'g'
        ) as variable
    )
$$;


-- For each column of a staging view the numbers of the source's columns that decide it,
-- those of the view's filter among them, and the one whose value it has if it is not
-- null. The view reads one table, row by row.
create or replace function {{ schema }}._view_columns(view_name text)
returns table (name text, reads smallint[], equals smallint)
language sql stable
as $$
    select
        attname::text,
        {{ schema }}._columns_read(entry || split_part(
            split_part(parsed, ' :jointree ', 2), ' :targetList ', 1
        )),
        case when value ~ '^\{(VAR|CASEEXPR) '
            and cardinality(results) = 1
            and value !~ (':(def)?result '
                '(?!\{CASEEXPR |\{VAR |\{CONST [^}]*:constisnull true)')
            then results[1]
        end
    from {{ schema }}._parsed_select(view_name) as parsed
    cross join regexp_split_to_table(
        split_part(split_part(parsed, ' :targetList ', 2), ' :override ', 1),
        '\{TARGETENTRY '
    ) as entry
    cross join substring(entry from '^:expr (.*) :resno \d+ ') as value
    cross join lateral (
        select array(
            select distinct variable[1]::smallint
            from regexp_matches(
                ':result ' || value,
                ':(?:def)?result \{VAR :varno \d+ :varattno (-?\d+) ', 'g'
            ) as variable
        ) as results
    ) as returned
    inner join pg_attribute
        on attrelid = view_name::regclass
        and attnum = substring(entry from ' :resno (\d+) ')::smallint
$$;


-- Why a view is no staging view, in which each row of the source gives at most one row
-- by its own values alone. Null where it is one.
create or replace function {{ schema }}._view_problem(view_name text, source regclass)
returns text
language sql stable
as $$
    select case
        -- A view of dbt's --empty has no rows.
        when pg_get_viewdef(view_name::regclass)
            ~ '\sWHERE false\s+LIMIT 0\) _dbt_limit_subq_' then null
        when array(
            select distinct relation[1]::oid
            from regexp_matches(parsed, ':relid (\d+) ', 'g') as relation
            where relation[1]::oid not in (0, view_name::regclass)
        ) != array[source::oid]
            or parsed ~ ' :rtekind [^0]' or parsed ~ '\{QUERY .*\{QUERY '
            or (
                select count(*) from regexp_matches(parsed, ' :inFromCl true ', 'g')
            ) > 1
            then format('reads more than %s', source)
        when parsed !~ ' :hasAggs false :hasWindowFuncs false :hasTargetSRFs false '
            or parsed !~ ' :groupClause <> ' or parsed !~ ' :havingQual <> '
            or parsed !~ ' :distinctClause <> ' or parsed !~ ' :limitOffset <> '
            or parsed !~ ' :limitCount <> ' or parsed !~ ' :tablesample <> '
            then 'gives rows that depend on several rows of its table'
        when {{ schema }}._reads_clock(view_name)
            then 'calls now(): put what depends on the time into a model'
        else {{ schema }}._select_problem(view_name)
    end
    from {{ schema }}._parsed_select(view_name) as parsed
$$;
{% endmacro %}
