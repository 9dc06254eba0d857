{#-
    A snapshot keeps former rows, so its table is never recreated. If a column of the
    source gets a wider type, the table's column gets it, too: `varchar(100)` becomes
    `text`, `integer` becomes `bigint`.

    dbt only widens one `varchar(n)` to another. It adds a column and drops the former
    one with all dependent objects.
-#}


{#- dbt's merge, after the table has the types of the new rows. -#}
{% macro postgres__snapshot_merge_sql(target, source, insert_cols) -%}
    {%- do saas_analytics.follow_column_types(target, source) -%}
    {{ dbt.postgres__snapshot_merge_sql(target, source, insert_cols) }}
{%- endmacro %}


{#- An ALTER in place. dbt reads `text` as 256 characters, and would narrow it. -#}
{% macro postgres__alter_column_type(relation, column_name, new_column_type) -%}
    {%- set columns = adapter.get_columns_in_relation(relation)
        | selectattr("name", "equalto", column_name) | list -%}
    {%- set present = columns[0].dtype if columns else "" -%}
    {%- if not (present == "text" and new_column_type.startswith("character")) -%}
        {%- do exact.run_between_readers(
            "alter table " ~ relation ~ " alter column " ~ adapter.quote(column_name)
            ~ " type " ~ new_column_type,
            relation
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- Gives each column of a table the type that holds both its own values and those of
    the column of that name in another one. -#}
{% macro follow_column_types(relation, other) -%}
    {%- set changed -%}
        select
            format(
                'alter column %I type %s using %I::%s',
                name, wider_type, name, wider_type
            ) as change
        from (
            select
                former.attname as name,
                format_type(former.atttypid, former.atttypmod) as present_type,
                case
                    when former_type.typcategory = 'S' and made_type.typcategory = 'S'
                        then case
                            when 'text'::regtype in (former.atttypid, made.atttypid)
                                or -1 in (former.atttypmod, made.atttypmod) then 'text'
                            else format_type(
                                'varchar'::regtype,
                                greatest(former.atttypmod, made.atttypmod)
                            )
                        end
                    when former.atttypid = made.atttypid
                        then format_type(former.atttypid, case
                            when former.atttypmod = made.atttypmod
                                then former.atttypmod
                            else -1
                        end)
                    when array[former.atttypid, made.atttypid] <@ array[
                        'int2'::regtype, 'int4'::regtype, 'int8'::regtype,
                        'numeric'::regtype
                    ]::oid[]
                        then case
                            when 'numeric'::regtype in (former.atttypid, made.atttypid)
                                then 'numeric'
                            when 'int8'::regtype in (former.atttypid, made.atttypid)
                                then 'bigint'
                            else 'integer'
                        end
                    else format_type(made.atttypid, made.atttypmod)
                end as wider_type
            from pg_attribute as former
            inner join pg_attribute as made on former.attname = made.attname
            inner join pg_type as former_type on former.atttypid = former_type.oid
            inner join pg_type as made_type on made.atttypid = made_type.oid
            where former.attrelid = '{{ relation }}'::regclass
                and made.attrelid = '{{ other }}'::regclass
                and former.attnum > 0 and made.attnum > 0
                and not former.attisdropped and not made.attisdropped
        ) as columns
        where wider_type != present_type
    {%- endset -%}
    {%- set changes = run_query(changed).columns[0].values() -%}
    {%- do exact.alter_between_readers(relation, changes) -%}
{%- endmacro %}
