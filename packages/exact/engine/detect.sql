{#-
    Step 1: the changes of an input since a model read it. A snapshot decides what is
    new: there is no watermark and no timestamp comparison.
-#}
{% macro _engine_detect(schema) %}

-- The condition that a row of an input was written since. What the noting transaction
-- wrote itself stood in a log before, as _log_difference() makes sure; to a source it
-- came after, as _input_identity() does. A snapshot may hold its own transaction
-- visible.
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


-- A condition on the time of a source's unseen rows, by which the planner reads them
-- from few partitions: to plan for all columns of each takes the longest. True where
-- they are many or at odd times, null where there is none. Whether they are many is
-- only known, and not null, of a partitioned table.
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


-- A query of an input's rows that were written since (sign 1), and of those that went
-- or came unseen, as they were (sign -1).
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
    -- A `*` would need a right on every column. _hold_sources() has made sure that the
    -- view's own are among these.
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


-- Whether an unseen before-image of a source lacks a column: it had another name when
-- this was left.
create or replace function {{ schema }}._has_lacking_images(
    input jsonb, unseen text, identity jsonb
)
returns boolean
language plpgsql stable
as $$
declare
    found boolean;
begin
    execute format(
        'select exists (select from %s where table_name = %L and %s '
        'and not old_row ?& %L)',
        input ->> 'tombstones', input ->> 'source_table', unseen,
        array(select jsonb_array_elements_text(identity -> 'kept'))
    ) into found;
    return found;
end;
$$;


-- The changes of an input, as something to select from; null where there are none, or
-- where a before-image lacks a column.
-- Those of a source are looked for once for all models of a run that have seen the same
-- of it, and kept if they are few: to plan the search through all partitions takes
-- longer than to search. That there are none is kept in a setting of the transaction,
-- for most runs find most sources unchanged, and shall leave nothing to clear away.
create or replace function {{ schema }}._changes_of(
    input jsonb,
    seen {{ schema }}.inputs,
    identity jsonb,
    out changes text,
    out is_lacking boolean
)
language plpgsql
as $$
declare
    few constant integer := 20000;
    setting constant text := 'exact.unchanged';
    unchanged constant text := coalesce(current_setting(setting, true), '');
    unseen constant text := {{ schema }}._unseen_sql(input, seen);
    table_name constant text := 'refresh_changes_'
        || md5(concat({{ schema }}._source_name(input), unseen));
    query text;
    present_condition text;
    is_many boolean;
    is_changed boolean;
    number integer;
begin
    is_lacking := false;
    -- A log grows within a run.
    if input ->> 'kind' = 'model' then
        query := {{ schema }}._changes_sql(input, seen);
        execute format('select exists (%s)', query) into is_changed;
        changes := case when is_changed then format('(%s)', query) end;
        return;
    end if;
    if to_regclass('pg_temp.' || table_name) is not null then
        changes := 'pg_temp.' || table_name;
        return;
    elsif position(table_name in unchanged) > 0 then
        return;
    end if;
    select * into present_condition, is_many
    from {{ schema }}._unseen_time_sql(input, unseen, few);
    execute format('select %L or exists (select from %s where table_name = %L and %s)',
        present_condition is not null, input ->> 'tombstones',
        input ->> 'source_table', unseen
    ) into is_changed;
    if not is_changed then
        perform set_config(setting, trim(unchanged || ' ' || table_name), true);
        return;
    end if;
    is_lacking := {{ schema }}._has_lacking_images(input, unseen, identity);
    if is_lacking then
        return;
    end if;
    query := {{ schema }}._changes_sql(
        input, seen, coalesce(present_condition, 'false')
    );
    -- The view may leave out all that changed.
    if is_many then
        execute format('select exists (%s)', query) into is_changed;
        changes := case when is_changed then format('(%s)', query) end;
        return;
    end if;
    execute format('create temporary table %s on commit drop as '
        'select * from (%s) as changes limit %s', table_name, query, few + 1);
    get diagnostics number = row_count;
    if number between 1 and few then
        changes := 'pg_temp.' || table_name;
        return;
    end if;
    -- So many are tombstones, or rows of a table without partitions.
    execute format('drop table pg_temp.%s', table_name);
    changes := case when number > 0 then format('(%s)', query) end;
end;
$$;


-- Whether an input can't tell what changed in it since it was seen.
create or replace function {{ schema }}._has_lost_track(
    input jsonb, seen {{ schema }}.inputs, identity jsonb
)
returns boolean
language plpgsql stable
as $$
declare
    -- Partitions have a time of their own. A view that dbt made again with the same
    -- select is the same view.
    apart constant text[] := '{partitions, rule}';
    last_cleared xid8;
begin
    if seen.identity is null
        or seen.identity - apart != identity - apart
        or identity -> 'is_logged' = 'false'
        or identity -> 'is_captured' = 'false'
    then
        return true;
    end if;
    if input ->> 'kind' = 'source' then
        execute format('select up_to_xid from %s limit 1', input ->> 'cleared')
            into last_cleared;
        return coalesce(last_cleared >= pg_snapshot_xmin(seen.seen), false);
    end if;
    return false;
end;
$$;
{% endmacro %}
