{#-
    What a select may depend on: the rows of the relations that it names, and "now".
    Anything else changes without a trace, so the engine refuses it. The parsed select
    of a view lists what a select reads and calls, without its comments and texts.
-#}
{% macro _engine_selects(schema) %}

-- The parsed select of a view.
create or replace function {{ schema }}._parsed_select(view_name text) returns text
language sql stable
as $$
    select ev_action::text from pg_rewrite
    where ev_class = view_name::regclass and rulename = '_RETURN'
$$;


-- Whether a select reads the clock.
create or replace function {{ schema }}._reads_clock(view_name text) returns boolean
language sql stable
as $$
    select parsed ~ format(
        ' :funcid %s ', 'pg_catalog.now()'::regprocedure::oid
    )
    from {{ schema }}._parsed_select(view_name) as parsed
$$;


-- Why a select may give other rows although no row that it reads was written, as the
-- end of a sentence. Null where it may not. relations are those that a model may read,
-- and definition is the text of its select.
create or replace function {{ schema }}._select_problem(
    view_name text, relations text[] default null, definition text default ''
)
returns text
language plpgsql stable
as $$
declare
    parsed constant text := {{ schema }}._parsed_select(view_name);
    special constant text := '''\s*(now|today|tomorrow|yesterday)\M[^'']*''';
    problem text;
begin
    problem := (
        select format(
            'reads %s, which is not a ref() of it', relation[1]::oid::regclass
        )
        from regexp_matches(parsed, ' :relid (\d+) ', 'g') as relation
        where relation[1]::oid not in (0, view_name::regclass)
            and relation[1]::oid != all (relations::regclass[])
        limit 1
    );
    problem := coalesce(problem, (
        select format(
            'calls %s, whose result a later run would not repeat: use exact.now()',
            (array['current_date', 'current_time', 'current_time', 'current_timestamp',
                'current_timestamp', 'localtime', 'localtime', 'localtimestamp',
                'localtimestamp', 'current_role', 'current_user', 'user',
                'session_user', 'current_catalog', 'current_schema']
            )[value[1]::integer + 1]
        )
        from regexp_matches(parsed, '\{SQLVALUEFUNCTION :op (\d+) ') as value
    ));
    problem := coalesce(problem, (
        select format(
            case
                when pronamespace != 'pg_catalog'::regnamespace
                    then 'calls %s, which is not immutable: it may read what changes'
                else 'calls %s, which gives another result in another run'
            end, pg_proc.oid::regprocedure
        )
        from pg_proc
        where pg_proc.oid in (
            select called[1]::oid
            from regexp_matches(
                parsed, ' :(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+) ', 'g'
            ) as called
            union
            select oprcode from pg_operator
            where oid in (
                select operator[1]::oid
                from regexp_matches(parsed, ' :opno (\d+) ', 'g') as operator
            )
        ) and provolatile != 'i' and pg_proc.oid != 'pg_catalog.now()'::regprocedure
            and (
                provolatile = 'v' or pronamespace != 'pg_catalog'::regnamespace
                or (proname = 'age' and pronargs = 1)
                or proname ~ ('^(transaction_timestamp|statement_timestamp|current_.*'
                    '|pg_(?!typeof).*|has_.*_privilege|to_reg.*|txid_.*|version'
                    '|inet_(client|server)_.*|(obj|col|shobj)_description'
                    '|row_security_active|(query|table|schema|database)_to_xml.*)$')
            )
        order by pg_proc.oid limit 1
    ));
    if problem is null and parsed ~ '\{TABLESAMPLECLAUSE ' then
        problem := 'reads a sample, which is another one in another run';
    end if;
    -- The parsed select holds such a word as the time that it means at present.
    if problem is null and (
        select count(*) from regexp_matches(
            regexp_replace(
                definition, '(''(?:[^'']|'''')*'')|--[^\n]*|/\*.*?\*/', '\1', 'g'
            ), special, 'gi'
        )
    ) > (
        select count(*)
        from regexp_matches(pg_get_viewdef(view_name::regclass), special, 'gi')
    ) then
        problem := 'has a time such as ''today'', which a later run reads as another '
            'day: use exact.now()';
    end if;
    return problem;
end;
$$;


-- The columns of a view that another one reads; all where it reads whole rows.
create or replace function {{ schema }}._columns_needed(reader text, view_name text)
returns text[]
language sql stable
as $$
    select array(
        select attname::text
        from pg_attribute
        where attrelid = view_name::regclass and attnum > 0 and (
            {{ schema }}._parsed_select(reader) ~ ' :varattno 0 '
            or attnum in (
                select refobjsubid
                from pg_rewrite
                inner join pg_depend
                    on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
                where ev_class = reader::regclass
                    and refclassid = 'pg_class'::regclass
                    and refobjid = view_name::regclass
            )
        )
        order by attname
    )
$$;
{% endmacro %}
