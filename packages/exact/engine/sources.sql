{#-
    The relations that a model reads: what identifies each, so that a refresh notices
    another table, file, view or definition, and how they are held still.
-#}
{% macro _engine_sources(schema) %}

-- The select of a staging view with its source table written out in full.
create or replace function {{ schema }}._view_sql(view_name text) returns text
language sql stable
set search_path = pg_catalog
as $$ select rtrim(pg_get_viewdef(view_name::regclass), ';') $$;


-- The name of a source: which view reads which table.
create or replace function {{ schema }}._source_name(input jsonb) returns text
language sql immutable
as $$ select concat_ws(' ', input ->> 'relation', input ->> 'source') $$;


-- How a staging view names the source that it reads.
create or replace function {{ schema }}._from_source(input jsonb) returns text
language sql stable
as $$
    select format('FROM %I.%I', nspname, relname)
    from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid
    where pg_class.oid = (input ->> 'source')::regclass
$$;


-- What identifies an input. It differs after another cluster, database, table,
-- partition, file (TRUNCATE), view or definition took the place of the former one.
create or replace function {{ schema }}._input_identity(input jsonb) returns jsonb
language plpgsql stable
set plan_cache_mode = force_generic_plan
as $$
declare
    identity jsonb := jsonb_build_object(
        'cluster', (select system_identifier::text from pg_control_system()),
        'database', (
            select oid::text from pg_database where datname = current_database()
        )
    );
    found jsonb;
begin
    case input ->> 'kind'
    when 'source' then
        -- This run would read these rows, but not count them as changes.
        if pg_current_xact_id_if_assigned() is not null and exists (
            select from pg_locks
            where pid = pg_backend_pid() and locktype = 'relation'
                and mode = 'RowExclusiveLock'
                and relation in (
                    select (input ->> 'source')::regclass
                    union
                    select relid from pg_partition_tree((input ->> 'source')::regclass)
                )
        ) then
            raise exception 'this transaction has written to %',
                (input ->> 'source')::regclass
                using hint = 'commit first: a refresh is a transaction of its own';
        end if;
        identity := identity || {{ schema }}._source_identity(input);
        identity := identity || jsonb_build_object('tombstones', pg_relation_filenode(
            (input ->> 'tombstones')::regclass
        ), 'partitions', (
            select coalesce(jsonb_object_agg(
                tree.relid::oid::text,
                jsonb_build_array(
                    pg_relation_filenode(tree.relid),
                    links.xmin::text,
                    -- That of a partition of a partition is no time of the table.
                    case when tree.level = 1
                        then pg_get_expr(partitions.relpartbound, tree.relid)
                    end,
                    (
                        select string_agg(xmin::text, ' ' order by oid) from pg_trigger
                        where tgrelid = tree.relid and not tgisinternal
                    )
                )
            ), '{}')
            from pg_partition_tree((input ->> 'source')::regclass) as tree
            inner join pg_class as partitions on tree.relid = partitions.oid
            inner join pg_inherits as links on tree.relid = links.inhrelid
            where tree.isleaf and tree.level > 0
        ));
    when 'model' then
        select jsonb_build_object('generation', generation, 'is_logged', is_logged)
        into found
        from {{ schema }}.models where model = input ->> 'name';
        identity := identity || coalesce(found, '{"is_logged": false}');
    else
        execute format(
            'select jsonb_build_object(''content'', md5(coalesce(string_agg('
            'content::text, chr(10) order by content::text), ''''))) '
            'from %s as content',
            input ->> 'relation'
        ) into found;
        identity := identity || found || jsonb_build_object(
            'columns', md5({{ schema }}._column_types(input ->> 'relation'))
        );
    end case;
    return identity;
end;
$$;


-- Fails if a table that a run reads is gone, or has another name.
create or replace function {{ schema }}._refuse_missing_relations(inputs jsonb)
returns void
language plpgsql stable
as $$
declare
    missing record;
begin
    select input ->> 'source' as name, input ->> 'called' as called into missing
    from jsonb_array_elements(inputs) as input
    where input ->> 'kind' = 'source' and to_regclass(input ->> 'source') is null
    order by 1 limit 1;
    if found then
        raise exception 'the source table % is not there', missing.name
            using hint = format(
                '{{ exact.how_to("name a source") }} (%s reads it)', missing.called
            );
    end if;
end;
$$;


-- Locks the staging views among these inputs, their tables and partitions until the
-- transaction ends: no process empties, rewrites, drops or replaces one. Returns
-- whether the snapshot shows them as they are now. If not, the caller begins another
-- transaction: this one would see a table as empty that was filled after its snapshot.
--
-- LOCK before the snapshot would need a right on all columns. The next run notices a
-- view that was replaced in place between the snapshot and the lock.
create or replace function {{ schema }}._hold_sources(inputs jsonb) returns boolean
language plpgsql
as $$
declare
    source record;
    is_known boolean := true;
begin
    perform {{ schema }}._refuse_missing_relations(inputs);
    perform {{ schema }}._refuse_hidden_rows(inputs);
    for source in
        select distinct input ->> 'relation' as view_name, input ->> 'source' as name
        from jsonb_array_elements(inputs) as input
        where input ->> 'kind' = 'source'
        order by 1
    loop
        begin
            execute format('select from %s limit 0', source.view_name);
        exception when insufficient_privilege then
            raise insufficient_privilege using
                message = format('%s, which %s reads', sqlerrm, source.view_name),
                hint = '{{ exact.how_to("open the sources") }}';
        end;
        -- pg_class is as the snapshot sees it, the file's number as it is now.
        is_known := is_known and not exists (
            select from (
                values (source.view_name::regclass), (source.name::regclass)
                union select relid from pg_partition_tree(source.name::regclass)
            ) as held (relid)
            -- Not a join: that would look at the file of every table there is.
            where (
                select nullif(relfilenode, 0)
                    is not distinct from pg_relation_filenode(oid)
                from pg_class where oid = held.relid
            ) is not true
        );
    end loop;
    return is_known;
end;
$$;
{% endmacro %}
