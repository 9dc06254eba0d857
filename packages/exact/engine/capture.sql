{#-
    Change capture: the tables and trigger functions that store what was written to
    source tables. They live in the schema of these tables, and the owner of the tables
    creates them.

    * Each row carries the transaction that wrote it last, change_xid. A refresh reads
        the rows whose transaction the snapshot of the refresh before could not see.
    * A row that is deleted, or updated in a captured column, stores a before-image of
        these columns in change_tombstones: the row belonged to their keys.

    An insert calls no function: it costs eight bytes and one index entry.
-#}
{% macro _engine_capture(schema) %}

-- Creates the tables and functions that the triggers of a schema need. The functions
-- name this schema (`this_schema`), because their search_path has no schema in which
-- other roles may create.
create or replace function {{ schema }}._install_capture(home name) returns void
language plpgsql
as $$
declare
    tables constant text := $ddl$
        create table this_schema.change_tombstones (
            table_name text not null,
            old_row jsonb not null,
            change_xid xid8 not null default pg_current_xact_id(),
            recorded_at timestamptz not null default now()
        );
        comment on table this_schema.change_tombstones is
        'One row per source row that was deleted or changed a captured column.';
        create index change_tombstones_table_name_idx
        on this_schema.change_tombstones (table_name, change_xid);
        alter table this_schema.change_tombstones replica identity full;

        create table this_schema.change_tombstones_cleared (
            is_only_row boolean primary key default true check (is_only_row),
            up_to_xid xid8 not null,
            cleared_at timestamptz not null default now()
        );
        comment on table this_schema.change_tombstones_cleared is
        'One row: before-images up to this transaction are deleted. A model whose last '
        'run is older is computed in full.';
    $ddl$;
    functions constant text := $ddl$
        create function this_schema.stamp_change() returns trigger
        language plpgsql
        set search_path = pg_catalog, pg_temp
        as $body$
        begin
            new.change_xid := pg_current_xact_id();
            return new;
        end;
        $body$;
        comment on function this_schema.stamp_change() is
        'Stamps an updated row with its transaction, whatever the update says.';

        -- A role that may write the table stores before-images without a right on them.
        create function this_schema.record_change() returns trigger
        language plpgsql security definer
        set search_path = pg_catalog, pg_temp
        as $body$
        declare
            whole_row constant jsonb :=
                to_jsonb(case tg_op when 'INSERT' then new else old end);
        begin
            insert into this_schema.change_tombstones (table_name, old_row)
            select
                tg_argv[0],
                coalesce(
                    jsonb_object_agg(kept, whole_row -> kept)
                        filter (where whole_row ? kept),
                    '{}'
                )
            from unnest(tg_argv[1:]) as kept;
            return null;
        end;
        $body$;
        revoke execute on function this_schema.record_change() from public;
        comment on function this_schema.record_change() is
        'Stores a before-image: the table''s name, and the columns that the trigger '
        'names.';

        create function this_schema.clear_change_tombstones(
            keep interval default '14 days'
        )
        returns bigint
        language plpgsql
        set search_path = pg_catalog, pg_temp
        as $body$
        declare
            last_xid xid8;
            cleared bigint;
        begin
            -- Only of transactions that ended: none of them adds another before-image.
            select tombstones.change_xid into last_xid
            from this_schema.change_tombstones as tombstones
            where tombstones.recorded_at < now() - keep
                and tombstones.change_xid < pg_snapshot_xmin(pg_current_snapshot())
            order by tombstones.change_xid desc
            limit 1;
            if last_xid is null then
                return 0;
            end if;
            -- In one transaction, so that a refresh notices a before-image it missed.
            insert into this_schema.change_tombstones_cleared as noted (up_to_xid)
            values (last_xid)
            on conflict (is_only_row) do update set
                up_to_xid = greatest(noted.up_to_xid, excluded.up_to_xid),
                cleared_at = now();
            delete from this_schema.change_tombstones where change_xid <= last_xid;
            get diagnostics cleared = row_count;
            return cleared;
        end;
        $body$;
        comment on function this_schema.clear_change_tombstones(interval) is
        'Deletes before-images older than the interval, and returns how many.';
    $ddl$;
    quoted constant text := quote_ident(home);
begin
    if to_regclass(format('%I.change_tombstones', home)) is null then
        execute replace(tables, 'this_schema', quoted);
    end if;
    if to_regproc(format('%I.record_change', home)) is null then
        execute replace(functions, 'this_schema', quoted);
    end if;
end;
$$;
{% endmacro %}
