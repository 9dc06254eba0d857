{#-
    Step 1, continued: whether an input changed since a model read it, and its changes
    as something to select from.
-#}
{% macro _engine_detect(schema) %}

-- Whether an unseen before-image of a source lacks a column, which had another name
-- when the before-image was stored.
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


-- The changes of an input, as something to select from. Null where there are none, or
-- where a before-image lacks a column.
--
-- The changes of a source are searched once for all models of a run that have seen the
-- same of it, and kept in a temporary table if they are few: to plan the search through
-- all partitions takes longer than to search. Most runs find most sources unchanged, so
-- a setting of the transaction records that, and leaves no table to drop.
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
    -- So many are before-images, or rows of a table without partitions.
    execute format('drop table pg_temp.%s', table_name);
    changes := case when number > 0 then format('(%s)', query) end;
end;
$$;


-- Whether the changes of an input since it was seen are not known.
create or replace function {{ schema }}._has_lost_track(
    input jsonb, seen {{ schema }}.inputs, identity jsonb
)
returns boolean
language plpgsql stable
as $$
declare
    -- Partitions are compared by their time. A view that dbt created again with the
    -- same select is the same view.
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
