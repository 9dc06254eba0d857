{#-
    Types of columns. A model without a contract has the types of its source. Where a
    column of the source gets another type, the table may be too narrow for what the
    select gives. PostgreSQL refuses too long a text, but a narrower numeric or
    timestamp loses digits without an error. So a refresh stops, and dbt creates the
    table again.
-#}
{% macro _engine_types(schema) %}
{%- set build = exact.how_to("build") -%}

-- The columns of a relation with their types.
create or replace function {{ schema }}._column_types(relation text) returns text
language sql stable
as $$
    select string_agg(
        format('%I %s', attname, format_type(atttypid, atttypmod)), ', '
        order by attnum
    )
    from pg_attribute
    where attrelid = to_regclass(relation) and attnum > 0 and not attisdropped
$$;


-- Stops where a column of a model's table can't hold what its select gives. A table may
-- be wider, as a contract has it.
create or replace function {{ schema }}._check_types(known {{ schema }}.models)
returns void
language plpgsql
as $$
declare
    narrow text;
begin
    execute format('create temporary view refresh_types as (%s)', known.definition);
    select string_agg(format('%I is %s, and not %s', present.attname,
        format_type(present.atttypid, present.atttypmod),
        format_type(made.atttypid, made.atttypmod)), ', ' order by present.attnum)
    into narrow
    from pg_attribute as made
    inner join pg_attribute as present
        on present.attrelid = known.relation::regclass
        and made.attname = present.attname and present.attnum > 0
    inner join pg_type as made_type on made.atttypid = made_type.oid
    inner join pg_type as present_type on present.atttypid = present_type.oid
    where made.attrelid = 'pg_temp.refresh_types'::regclass
        and (made.atttypid, made.atttypmod) != (present.atttypid, present.atttypmod)
        and not (present.atttypmod = -1 and (
            made.atttypid = present.atttypid
            or (
                made_type.typcategory = 'S'
                and present.atttypid in ('text'::regtype, 'varchar'::regtype)
            )
            or exists (
                select from pg_cast
                where castsource = made.atttypid and casttarget = present.atttypid
                    and castcontext = 'i'
                    -- These lose digits.
                    and not (
                        present.atttypid in ('real'::regtype, 'float8'::regtype)
                        and made.atttypid != 'real'::regtype
                    )
            )
        ));
    drop view pg_temp.refresh_types;
    if narrow is not null then
        raise exception 'the source has other types than %: %', known.model, narrow
            using hint = 'run `{{ build }}`, which makes the tables again that took '
                'their types from the source; where a contract gives the type, change '
                'the contract first';
    end if;
end;
$$;
{% endmacro %}
