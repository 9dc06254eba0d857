{#-
    Step 3 for a select that is a sum over rows: the difference that changed rows make.
-#}
{% macro _engine_delta(schema) %}

-- A query of the rows of an input that changed and of their neighbors, as they are now.
-- Neighbors have the same values in some columns as a changed row, null being equal to
-- null; with `next_to` they are the rows just before and after it in the order of that
-- column. An index serves each combination of nulls: it is a query of its own.
create or replace function {{ schema }}._around_sql(input jsonb, names text)
returns text
language plpgsql
as $$
declare
    neighbors jsonb;
    same text[];
    pattern boolean[];
    near text;
    parts text[] := array[format('select %s from changes where sign > 0', names)];
begin
    select string_agg(format('near.%I', attname), ', ' order by attnum) into names
    from pg_attribute
    where attrelid = (input ->> 'relation')::regclass
        and attnum > 0 and not attisdropped;
    for neighbors in select * from jsonb_array_elements(input -> 'delta' -> 'neighbors')
    loop
        same := array(select jsonb_array_elements_text(neighbors -> 'same'));
        for pattern in execute format(
            'select distinct array[%s] from refresh_changed where %s',
            (select string_agg(format('%I is null', name), ', ' order by position)
                from unnest(same) with ordinality as columns (name, position)),
            coalesce(neighbors ->> 'where', 'true')
        ) loop
            near := format('(select * from %s where %s) as near where %s',
                input ->> 'relation', coalesce(neighbors ->> 'where', 'true'),
                (select string_agg(format(
                    case when pattern[position]
                        then '(changes.%1$I is null and near.%1$I is null)'
                        else 'changes.%1$I = near.%1$I' end, name
                ), ' and ')
                from unnest(same) with ordinality as columns (name, position))
            );
            parts := parts || case
                when neighbors ? 'next_to' then format(
                    'select %1$s from changes cross join lateral ('
                    '(select * from %2$s and near.%3$I < changes.%3$I '
                    'order by near.%3$I desc limit 1) union all '
                    '(select * from %2$s and near.%3$I > changes.%3$I '
                    'order by near.%3$I limit 1)) as near',
                    names, near, neighbors ->> 'next_to'
                )
                else format('select %s from changes cross join lateral ('
                    'select * from %s) as near', names, near)
            end;
        end loop;
    end loop;
    return array_to_string(parts, ' union ');
end;
$$;


-- For a select whose result over all rows is the sum of its results over parts: makes
-- refresh_old, the rows that a change of the input touches, and refresh_new, the same
-- with the difference added that the select makes of the changed rows and those around
-- them, as they are and as they were. Rows around that did not change cancel out.
create or replace function {{ schema }}._sum_up(
    known {{ schema }}.models, input jsonb, changes text
)
returns void
language plpgsql
as $$
declare
    input_names text;
    sums text;
    key_names text;
    other_names text;
begin
    select string_agg(format('%I', attname), ', ' order by attnum) into input_names
    from pg_attribute
    where attrelid = (input ->> 'relation')::regclass
        and attnum > 0 and not attisdropped;
    key_names := {{ schema }}._column_list(known.key_columns);
    select string_agg(format('%I', name), ', '), string_agg(
        format('sum(%1$I * way) as %1$I', name), ', '
    ) into other_names, sums
    from unnest(known.columns) as name where name != all (known.key_columns);

    drop table if exists pg_temp.refresh_changed, pg_temp.refresh_around,
        pg_temp.refresh_sums;
    execute format('create temporary table refresh_changed on commit drop as '
        'select %1$s, sum(sign)::integer as sign from (%2$s) as changes '
        'group by %1$s having sum(sign) != 0', input_names, changes);
    analyze refresh_changed;
    execute format('create temporary table refresh_around on commit drop as '
        'with changes as not materialized (select * from refresh_changed) %s',
        {{ schema }}._around_sql(input, input_names));
    execute format(
        'create temporary table refresh_sums on commit drop as with refresh_former as ('
        '(select %1$s from refresh_around except all '
        'select %1$s from refresh_changed where sign > 0) union all '
        'select %1$s from refresh_changed where sign < 0) select %2$s, %3$s from ('
        'select 1 as way, made.* from (%4$s) as made union all '
        'select -1, made.* from (%5$s) as made) as both_ways group by %2$s',
        input_names, key_names, sums,
        replace(known.definition, input ->> 'relation', 'pg_temp.refresh_around'),
        replace(known.definition, input ->> 'relation', 'refresh_former')
    );
    execute format(
        'create temporary table refresh_old on commit drop as '
        'select ctid as row_id, %1$s, %2$s from %3$s as present '
        'where (%1$s) in (select %1$s from refresh_sums)',
        key_names, other_names, known.relation
    );
    execute format(
        'create temporary table refresh_new on commit drop as select %1$s, %2$s from ('
        'select 1 as way, %1$s, %3$s from refresh_old union all '
        'select 1, %1$s, %3$s from refresh_sums) as parts '
        'group by %1$s having sum(%4$I) != 0',
        key_names, sums, other_names, input -> 'delta' ->> 'count'
    );
end;
$$;
{% endmacro %}
