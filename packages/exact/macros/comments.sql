{#-
    Writes the descriptions of a model and of its columns as comments, as far as its
    config `persist_docs` asks for them. Only comments that differ are written: a run
    that changes none costs one query.
-#}
{% macro write_comments(relation, node) -%}
    {%- set comments = {} -%}
    {%- if config.persist_relation_docs() -%}
        {%- do comments.update({"": node.description}) -%}
    {%- endif -%}
    {%- if config.persist_column_docs() -%}
        {%- for column in node.columns.values() -%}
            {%- do comments.update({column.name: column.description}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set write -%}
        declare
            statement text;
        begin
            for statement in
                select format(
                    'comment on %s is %L',
                    case
                        when column_name != ''
                            then format('column %s.%I', pg_class.oid::regclass, attname)
                        when relkind = 'v'
                            then format('view %s', pg_class.oid::regclass)
                        when relkind = 'm'
                            then format('materialized view %s', pg_class.oid::regclass)
                        else format('table %s', pg_class.oid::regclass)
                    end,
                    nullif(comment, '')
                )
                from jsonb_each_text({{ exact.literal(tojson(comments)) }}::jsonb)
                    as wanted (column_name, comment)
                inner join pg_class
                    on pg_class.oid = '{{ relation.include(database=False) }}'::regclass
                left join pg_attribute
                    on attrelid = pg_class.oid and attname = column_name
                    and attnum > 0 and not attisdropped
                left join pg_description
                    on classoid = 'pg_class'::regclass and objoid = pg_class.oid
                    and objsubid = coalesce(attnum, 0)
                where (column_name = '' or attnum is not null)
                    and pg_description.description is distinct from nullif(comment, '')
            loop
                execute statement;
            end loop;
        end;
    {%- endset -%}
    {%- if comments -%}
        {%- do run_query("do " ~ exact.literal(write)) -%}
    {%- endif -%}
{%- endmacro %}
