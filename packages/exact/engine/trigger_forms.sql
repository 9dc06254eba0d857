{#-
    The forms of trigger that the engine recognizes. PostgreSQL keeps the condition of a
    trigger as a parsed expression, which the functions below compare with the expected
    one.
-#}
{% macro _engine_trigger_forms(schema) %}

-- The arguments of a trigger: each ends with a zero byte.
create or replace function {{ schema }}._trigger_arguments(arguments bytea)
returns text[]
language sql stable
as $$
    select coalesce(array_agg(
        convert_from(decode(argument, 'escape'), getdatabaseencoding())
        order by position
    ), '{}')
    from string_to_table(encode(arguments, 'escape'), '\000')
        with ordinality as parts (argument, position)
    where argument != ''
$$;


-- The numbers of the columns that the condition of a trigger for updates compares,
-- where it is `(old.a, old.b …) is distinct from (new.a, new.b …)` and nothing else.
-- Null for any other condition: a part of it might hide a change. PostgreSQL keeps the
-- row comparison as ORs of the columns' comparisons. It relabels columns of some types,
-- which a dump writes as casts; a cast to char would not see spaces at the end.
create or replace function {{ schema }}._compared_columns(condition text)
returns smallint[]
language plpgsql immutable
as $$
declare
    relabelled constant text := '[^{}]*(?: :relabelformat 2 '
        '|:resulttype (?!1042 )\d{1,4} [^{}]*:relabelformat 1 )[^{}]*\}';
    compared constant text := replace(replace(
        '\{DISTINCTEXPR [^{}]*:args \(OLD NEW\)[^{}]*\}',
        'OLD', format('(?:\{RELABELTYPE :arg )?'
            '\{VAR :varno 1 :varattno (\d+) [^{}]*\}(?:%s)?', relabelled)),
        'NEW', format('(?:\{RELABELTYPE :arg )?'
            '\{VAR :varno 2 :varattno \1 [^{}]*\}(?:%s)?', relabelled));
    either constant text := '\{BOOLEXPR :boolop or :args \(#(?: #)*\)[^{}]*\}';
    remaining text := regexp_replace(condition, compared, '#', 'g');
begin
    while remaining ~ either loop
        remaining := regexp_replace(remaining, either, '#', 'g');
    end loop;
    if remaining != '#' then
        return null;
    end if;
    return array(
        select distinct variable[1]::smallint
        from regexp_matches(condition, compared, 'g') as variable
        order by 1
    );
end;
$$;


-- Whether the condition of a trigger for inserts is what capture_changes() writes:
-- `new.change_xid is distinct from pg_current_xact_id()`.
create or replace function {{ schema }}._compares_transaction(
    source regclass, condition text
)
returns boolean
language sql stable
as $$
    select condition ~ format(
        '^\{DISTINCTEXPR [^{}]*:args \(\{VAR :varno 2 :varattno %s [^{}]*\} '
        '\{FUNCEXPR :funcid %s [^{}]*:args <> [^{}]*\}\)[^{}]*\}$',
        attnum, 'pg_catalog.pg_current_xact_id()'::regprocedure::oid
    )
    from pg_attribute
    where attrelid = source and attname = 'change_xid'
$$;
{% endmacro %}
