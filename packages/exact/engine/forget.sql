{#-
    What a run stores for later runs may hold personal data: the log of a model has the
    rows that an erasure deleted, and change_tombstones has the rows of the source.
    forget() deletes what every reader has seen. Call it in READ COMMITTED after a run.
    It skips a log that another run has locked.
-#}
{% macro _engine_forget(schema) %}

create or replace function {{ schema }}.forget() returns void
language plpgsql
as $$
declare
    known {{ schema }}.models;
    call text;
    seen xid8;
begin
    for known in select * from {{ schema }}.models loop
        begin
            execute format(
                'lock table %s in share update exclusive mode nowait', known.log
            );
            execute format(
                'delete from %s as entries where not exists ('
                'select from {{ schema }}.inputs where name = %L '
                'and change_xid >= pg_snapshot_xmin(seen) and change_xid != seen_xid '
                'and not pg_visible_in_snapshot(change_xid, seen))',
                known.log, known.model
            );
        exception when lock_not_available or undefined_table then
            continue;
        end;
    end loop;
    select min(pg_snapshot_xmin(inputs.seen)::text::numeric)::text::xid8 into seen
    from {{ schema }}.inputs;
    for call in
        select distinct format('select %I.%I(%L)', nspname, proname, seen)
        from {{ schema }}.models, jsonb_array_elements(inputs) as input
        inner join pg_class on pg_class.oid = to_regclass(input ->> 'tombstones')
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        inner join pg_proc on pronamespace = pg_namespace.oid
        where proname = 'forget_erasures'
            and has_function_privilege(pg_proc.oid, 'execute')
    loop
        execute call;
    end loop;
end;
$$;
{% endmacro %}
