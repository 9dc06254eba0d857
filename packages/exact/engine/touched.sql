{#-
    Step 3: the rows of an input that belong to the keys.
-#}
{% macro _engine_touched(schema) %}

-- Whether an index's key, as PostgreSQL shows it, is name_of() of a column.
create or replace function {{ schema }}._is_name_of(index_key text, column_name name)
returns boolean
language sql immutable
as $$
    select starts_with(index_key, cut)
        and substr(index_key, length(cut) + 1) ~ '^\d+\)\)$'
    from (select format('(%I::character varying(', column_name)) as shown (cut)
$$;


-- Whether an index finds the rows of an input's keys by more than their time.
create or replace function {{ schema }}._has_index(input jsonb, mapping jsonb)
returns boolean
language sql stable
as $$
    select exists (
        select from pg_index
        inner join pg_class on pg_index.indexrelid = pg_class.oid
        inner join pg_am on pg_class.relam = pg_am.oid
        inner join pg_attribute on pg_index.indrelid = pg_attribute.attrelid
            and case pg_index.indkey[0]
                -- The first key is name_of() of the column, which is equal where the
                -- column is. Other expressions of it find other rows.
                when 0 then {{ schema }}._is_name_of(
                    pg_get_indexdef(pg_index.indexrelid, 1, true), pg_attribute.attname
                )
                else pg_attribute.attnum = pg_index.indkey[0]
            end
        inner join jsonb_each(mapping) as part
            on part.value ->> 'expression'
            in (pg_attribute.attname, quote_ident(pg_attribute.attname))
        where pg_index.indrelid = (input ->> 'source')::regclass
            and pg_am.amname = 'btree' and pg_index.indpred is null
    )
$$;


-- A query of the rows of an input that belong to the keys.
create or replace function {{ schema }}._touched_sql(
    input jsonb, mapping jsonb, keys text[]
)
returns text
language plpgsql
as $$
declare
    expressions text;
    period_column text;
    period jsonb;
    pattern boolean[];
    names text;
    keys_sql text;
    conditions text;
    matches text;
    chunk record;
    bounds record;
    has_index boolean;
    parts text[] := '{}';
begin
    select string_agg(format('input.%I', attname), ', ' order by attnum) into names
    from pg_attribute
    where attrelid = (input ->> 'relation')::regclass
        and attnum > 0 and not attisdropped;
    select string_agg(format('%s as "key %s"', value ->> 'expression', key), ', '),
        jsonb_object_agg(key, value)
    into expressions, mapping
    from jsonb_each(mapping) where key = any (keys);
    -- A month at a time, so that the planner chooses for each between an index on the
    -- keys and the rows of that time. A few days that hold many keys, or that only
    -- their time finds, are read one by one.
    has_index := {{ schema }}._has_index(input, mapping);
    for pattern in execute format(
        'select distinct array[%s] from refresh_keys',
        (select string_agg(format('%I is null', name), ', ' order by position)
            from unnest(keys) with ordinality as columns (name, position))
    ) loop
        select key, value into period_column, period
        from jsonb_each(mapping)
        where value ? 'period' and not pattern[array_position(keys, key)]
        limit 1;
        select format('(select * from refresh_keys where %s) as keys', string_agg(
            format('%I is %s null', name,
                case when not pattern[position] then 'not' end),
            ' and ' order by position
        )) into keys_sql
        from unnest(keys) with ordinality as columns (name, position);
        -- A null that a key has is looked for as such: an index may serve.
        select coalesce(input ->> 'filter', 'true') || coalesce(string_agg(
            format(' and %s is null', mapping -> name ->> 'expression'), ''
        ), '') into conditions
        from unnest(keys) with ordinality as columns (name, position)
        where pattern[position];

        for chunk in execute case when period is null then
            'select null::date as first_date, null::date as next_date, '
            'null::date[] as days'
        when period ->> 'period' = 'day' then format(
            'with days as (select %1$I as day, count(*) >= 50 or not %2$L::boolean '
            'as is_full from %3$s group by %1$I), '
            'chunks as (select *, date_trunc(''month'', day)::date as month, is_full '
            'and count(*) filter (where is_full) over (partition by '
            'date_trunc(''month'', day), is_full) <= 4 as is_single from days) '
            'select day as first_date, day + 1 as next_date, null::date[] as days '
            'from chunks where is_single union all '
            'select min(day), max(day) + 1, array_agg(day) '
            'from chunks where not is_single group by month',
            period_column, has_index, keys_sql
        ) else format(
            'select %1$I as first_date, '
            '(%1$I + interval ''1 %3$s'')::date as next_date, '
            'null::date[] as days from %2$s group by %1$I',
            period_column, keys_sql, period ->> 'period'
        ) end loop
            select * into bounds from {{ schema }}._local_bounds(
                chunk.first_date, chunk.next_date, period ->> 'zone'
            );
            -- Where the bounds are exact, the period is no condition: the planner would
            -- expect few rows to meet it.
            select string_agg(
                format('input."key %s" = keys.%I', name, name), ' and '
            ) into matches
            from unnest(keys) with ordinality as columns (name, position)
            where not pattern[position]
                and (name != period_column or period is null or chunk.days is not null);
            -- An index on days is on days of UTC.
            if chunk.days is not null and period ->> 'zone' != 'UTC'
                and matches is not null
            then
                matches := matches || format(
                    ' and cast(%1$s at time zone ''UTC'' as date) '
                    'between keys.%2$I - 1 and keys.%2$I + 1',
                    period ->> 'column', period_column
                );
            end if;
            parts := parts || format(
                'select %s from (select *, %s from %s where %s) as input %s',
                names, expressions, input ->> 'relation',
                conditions || case when period is null then '' else format(
                    ' and %1$s >= %2$L::timestamptz and %1$s < %3$L::timestamptz',
                    period ->> 'column', bounds.starts, bounds.ends
                ) || case when bounds.is_exact then '' else format(
                    -- The planner expects few rows for a range, but not for a case.
                    ' and case when %1$s >= %2$L::date and %1$s < %3$L::date '
                    'then true else false end',
                    period ->> 'expression', chunk.first_date, chunk.next_date
                ) end end,
                case when matches is not null then format(
                    'inner join (select * from %s where %s) as keys on %s', keys_sql,
                    case when period is null then 'true'
                    when chunk.days is null then
                        format('%I = %L', period_column, chunk.first_date)
                    else format('%I = any (%L)', period_column, chunk.days) end,
                    matches
                ) end
            );
        end loop;
    end loop;
    return coalesce(
        nullif(array_to_string(parts, ' union all '), ''),
        format('select * from %s where false', input ->> 'relation')
    );
end;
$$;
{% endmacro %}
