{#-
    Step 1: the rows of an input that a snapshot could not see. The snapshot of the last
    refresh decides what is new. There is no watermark and no timestamp comparison.
-#}
{% macro _engine_unseen(schema) %}

-- The condition that a row of an input was written since. `seen_xid` is the transaction
-- that recorded the snapshot. Its rows in a log are already applied: _log_difference()
-- ensures that. Its rows in a source are not: _input_identity() ensures that. A
-- snapshot may show its own transaction as visible.
create or replace function {{ schema }}._unseen_sql(
    input jsonb, seen {{ schema }}.inputs
)
returns text
language sql stable
as $$
    select format(
        case input ->> 'kind'
            when 'source' then 'change_xid < pg_snapshot_xmax(pg_current_snapshot()) '
                'and change_xid >= %1$L::xid8 and (change_xid = %2$L::xid8 '
                'or not pg_visible_in_snapshot(change_xid, %3$L::pg_snapshot))'
            else 'change_xid >= %1$L::xid8 and change_xid != %2$L::xid8 '
                'and not pg_visible_in_snapshot(change_xid, %3$L::pg_snapshot)'
        end,
        pg_snapshot_xmin(seen.seen), seen.seen_xid, seen.seen
    )
$$;


-- A condition on the time of a source's unseen rows, so that the planner reads few
-- partitions: planning for all columns of each takes longest. True where the rows are
-- many or have odd times, null where there is none. is_many is null where the table is
-- not partitioned.
create or replace function {{ schema }}._unseen_time_sql(
    input jsonb, unseen text, few integer, out condition text, out is_many boolean
)
language plpgsql stable
as $$
declare
    time_column text;
begin
    select format('%I', attname) into time_column
    from pg_partitioned_table
    inner join pg_attribute on partrelid = attrelid and partattrs[0] = attnum
    where partrelid = (input ->> 'source')::regclass
        and atttypid = 'timestamptz'::regtype;
    if time_column is null then
        execute format('select ''true'' from %s where %s limit 1',
            input ->> 'source', unseen) into condition;
        return;
    end if;
    execute format(
        'select case when sum(number) > %1$s or bool_or(month is null) then ''true'' '
        'else string_agg(format(''(%2$s >= %%L and %2$s < %%L)'', month, '
        'month + interval ''1 month''), '' or '') end, sum(number) > %1$s '
        'from (select case when %2$s between ''0001-01-01'' and ''9999-12-31'' '
        'then date_trunc(''month'', %2$s) end as month, count(*) as number '
        'from (select %2$s from %3$s where %4$s limit %1$s + 1) as found '
        'group by month) as months',
        few, time_column, input ->> 'source', unseen
    ) into condition, is_many;
end;
$$;


-- A query of an input's rows that were written since (sign 1), and of the before-images
-- that were stored since (sign -1).
create or replace function {{ schema }}._changes_sql(
    input jsonb, seen {{ schema }}.inputs, present_condition text default 'true'
)
returns text
language plpgsql stable
as $$
declare
    source_name text;
    view_sql text;
    readable text;
    unseen constant text := {{ schema }}._unseen_sql(input, seen);
begin
    if input ->> 'kind' = 'model' then
        return format('select * from %s where %s', input ->> 'log', unseen);
    end if;
    view_sql := {{ schema }}._view_sql(input ->> 'relation');
    source_name := {{ schema }}._from_source(input);
    -- A `*` would need a right on every column. _hold_sources() checks the right on the
    -- columns of the view.
    select string_agg(format('%I', attname), ', ' order by attnum) into readable
    from pg_attribute
    where attrelid = (input ->> 'source')::regclass
        and attnum > 0 and not attisdropped
        and has_column_privilege(attrelid, attnum, 'select');
    return format(
        'select *, 1 as sign from (%s) as present '
        'union all select *, -1 from (%s) as former',
        replace(view_sql, source_name, format(
            'FROM (select %s from %s where %s and (%s)) %I', readable,
            input ->> 'source', unseen, present_condition, input ->> 'source_table'
        )),
        replace(view_sql, source_name, format(
            'FROM (select former.* from (select old_row from %s '
            'where table_name = %L and %s) as tombstones, '
            'jsonb_populate_record(null::%s, tombstones.old_row) as former) %I',
            input ->> 'tombstones', input ->> 'source_table', unseen,
            input ->> 'source', input ->> 'source_table'
        ))
    );
end;
$$;
{% endmacro %}
