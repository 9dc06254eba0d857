{#-
    Step 4: the difference is written, tested and logged, and the snapshot is recorded.
-#}
{% macro _engine_write(schema) %}

-- Writes the difference between the rows of the select (made) and those of the table
-- (present), and keeps it in refresh_difference. Both are tables, or queries in
-- brackets. row_id names the column of the present rows that holds their ctid.
create or replace function {{ schema }}._write_difference(
    known {{ schema }}.models,
    made text,
    present text,
    row_id text,
    inout run {{ schema }}.runs
)
language plpgsql
as $$
declare
    names text;
begin
    names := {{ schema }}._column_list(known.columns);
    execute format(
        'create temporary table refresh_difference on commit drop as '
        'select %1$s, sum(sign) as sign, min(row_id) as row_id from ('
        'select %1$s, 1 as sign, null::tid as row_id from %2$s as made '
        'union all select %1$s, -1, %3$s from %4$s as present) as both_sides '
        'group by %1$s having sum(sign) != 0', names, made, row_id, present
    );
    execute format('delete from %s where ctid = any (array(select row_id '
        'from refresh_difference where sign < 0))', known.relation);
    get diagnostics run.rows_removed = row_count;
    -- In order, so that rows that are read together are stored together.
    execute format('insert into %1$s (%2$s) select %2$s from refresh_difference '
        'where sign > 0 %3$s', known.relation, names,
        'order by ' || {{ schema }}._column_list(nullif(known.key_columns, '{}')));
    get diagnostics run.rows_added = row_count;
end;
$$;


-- Names the data tests that fail for the rows that were written. Made holds all rows of
-- the keys that were computed.
create or replace function {{ schema }}._failed_checks(
    known {{ schema }}.models, made text
)
returns text[]
language plpgsql
as $$
declare
    names text[];
    columns constant text := {{ schema }}._column_list(known.columns);
begin
    execute format(
        'with refresh_written as not materialized ('
        'select %1$s from refresh_difference where sign > 0), '
        'refresh_groups as not materialized (select %1$s from %2$s) '
        'select array_remove(array[%3$s], null)',
        columns, made,
        (select string_agg(format(
            'case when exists (%s) then %L end', test ->> 'query', test ->> 'name'
        ), ', ' order by position)
        from jsonb_array_elements(known.checks)
            with ordinality as checks (test, position))
    ) into names;
    return names;
end;
$$;


-- Adds what was written to a model's log, for the models that read it, and deletes what
-- all of them have seen.
create or replace function {{ schema }}._log_difference(
    known {{ schema }}.models, run {{ schema }}.runs
)
returns void
language plpgsql
as $$
declare
    names text;
begin
    if run.rows_removed + run.rows_added > 0 and exists (
        select from {{ schema }}.inputs
        where name = known.model and seen_xid = pg_current_xact_id()
    ) then
        raise exception 'a model that reads % was refreshed before it', known.model
            using hint = 'one refresh in a transaction, or both in their order';
    end if;
    execute format('delete from %s where change_xid < (select '
        'min(pg_snapshot_xmin(seen)::text::numeric)::text::xid8 '
        'from {{ schema }}.inputs where name = %L)', known.log, known.model);
    names := {{ schema }}._column_list(known.columns);
    execute format('insert into %1$s (%2$s, sign) select %2$s, sign '
        'from refresh_difference', known.log, names);
end;
$$;


-- Records that a model has seen its inputs as this transaction sees them.
create or replace function {{ schema }}._remember(
    model_name text, how text, identities jsonb default '{}'
)
returns void
language plpgsql
as $$
declare
    known {{ schema }}.models;
    current_day date;
begin
    select * into strict known from {{ schema }}.models where model = model_name;
    insert into {{ schema }}.inputs (model, name, seen, seen_xid, identity)
    select model_name, input ->> 'name', pg_current_snapshot(), pg_current_xact_id(),
        coalesce(
            identities -> (input ->> 'name'), {{ schema }}._input_identity(input)
        )
    from jsonb_array_elements(known.inputs) as input
    on conflict (model, name) do update set
        seen = excluded.seen, seen_xid = excluded.seen_xid,
        identity = excluded.identity;
    execute format('select %s', known.today) into current_day;
    update {{ schema }}.models set
        is_stale = false, day = current_day, refreshed_at = now(), method = how
    where model = model_name;
end;
$$;
{% endmacro %}
