{#-
    The refresh engine: the tables and functions by which a mart follows what changed.
    Rendered by install_refresh_engine() into the schema `<target schema>_refresh`.
    docs/incremental.md tells how it works; in short, refresh(model)

    1. compares each input with what the model has seen of it: the source rows and
        tombstones whose transaction the model's last snapshot couldn't see, the log of
        an input that is a model, the content of a seed (find_changes);
    2. collects the scopes (values of the model's scope columns) of these changes, or
        the days or months of many (collect_scopes, choose_scopes);
    3. runs the model's own select over the input rows of those scopes alone, or over
        everything where that is cheaper or the only safe way (made_sql, sum_up);
    4. writes the difference to what the table holds, and notes the snapshot
        (write_difference, remember).

    All in the caller's REPEATABLE READ transaction: exact in one snapshot, all or
    nothing, and readers wait for none of it.
-#}
{% macro refresh_engine(schema) %}

create table if not exists {{ schema }}.models (
    model text primary key,
    relation text not null,
    log text not null,
    definition text not null,
    definition_hash text not null,
    columns text[] not null,
    scope text[] not null,
    rows_column text,
    checks jsonb not null,
    inputs jsonb not null,
    clock text not null check (clock in ('none', 'day', 'moment')),
    today text not null,
    zone text not null,
    -- The present of its select: "now", an instant, or nothing where it has none.
    as_of text not null,
    is_logged boolean not null,
    is_stale boolean not null default false,
    generation text not null default pg_current_xact_id()::text,
    day date,
    method text,
    refreshed_at timestamptz
);

comment on table {{ schema }}.models is
'One row per model that is kept exact: its select, its scope and where it stands.';

create table if not exists {{ schema }}.inputs (
    model text not null references {{ schema }}.models on delete cascade,
    name text not null,
    seen pg_snapshot not null,
    seen_xid xid8 not null,
    identity jsonb not null,
    primary key (model, name)
);

comment on table {{ schema }}.inputs is
'One row per input of a model: the snapshot and the form in which it was last read.';

create table if not exists {{ schema }}.runs (
    model text not null,
    method text not null,
    scopes bigint,
    rows_removed bigint not null,
    rows_added bigint not null,
    failed_checks text[] not null default '{}',
    milliseconds numeric not null,
    refreshed_at timestamptz not null default now()
);

-- Where a publication includes all tables, rows of one without it can't be deleted.
alter table {{ schema }}.runs replica identity full;

comment on table {{ schema }}.runs is
'One row per refresh of the last 30 days that looked further than "nothing changed".';

create index if not exists runs_model_idx on {{ schema }}.runs (model, refreshed_at);


-- The select of a staging view with its source table written out in full.
create or replace function {{ schema }}.view_sql(view_name text) returns text
language sql stable
set search_path = pg_catalog
as $$ select rtrim(pg_get_viewdef(view_name::regclass), ';') $$;


-- What tells one source from another: which view reads which table.
create or replace function {{ schema }}.source_name(input jsonb) returns text
language sql immutable
as $$ select concat_ws(' ', input ->> 'relation', input ->> 'source') $$;


-- How a staging view names the source that it reads.
create or replace function {{ schema }}.from_source(input jsonb) returns text
language sql stable
as $$
    select format('FROM %I.%I', nspname, relname)
    from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid
    where pg_class.oid = (input ->> 'source')::regclass
$$;


-- What tells that an input is still the one that was seen: another cluster, database,
-- table, partition, file (TRUNCATE), view or definition.
create or replace function {{ schema }}.input_identity(input jsonb) returns jsonb
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
        -- This run would read these rows, but not take them for changes.
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
        identity := identity || {{ schema }}.source_identity(input);
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
            'columns', md5({{ schema }}.column_types(input ->> 'relation'))
        );
    end case;
    return identity;
end;
$$;


-- Keeps the staging views among these inputs, their tables and partitions as they are
-- until the transaction ends: nobody empties, rewrites, drops or replaces one. Returns
-- whether the snapshot knows them so; if not, another transaction has to be begun, for
-- it would see a table as empty that was filled again after it.
--
-- LOCK could come before the snapshot, but is for those who may read whole tables. A
-- view replaced in place between snapshot and hold is noticed by the next run.
create or replace function {{ schema }}.hold_sources(inputs jsonb) returns boolean
language plpgsql
as $$
declare
    source record;
    is_known boolean := true;
begin
    perform {{ schema }}.refuse_missing_relations(inputs);
    perform {{ schema }}.refuse_hidden_rows(inputs);
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
                hint = 'what is new in the source is opened by its owner, with '
                    '`python -m bootstrap roles`';
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


-- The condition that a row of an input was written since. What the noting transaction
-- wrote itself stood in a log before, as log_difference() makes sure; to a source it
-- came after, as input_identity() does. A snapshot may hold its own transaction
-- visible.
create or replace function {{ schema }}.unseen_sql(
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
create or replace function {{ schema }}.unseen_time_sql(
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
create or replace function {{ schema }}.changes_sql(
    input jsonb, seen {{ schema }}.inputs, present_condition text default 'true'
)
returns text
language plpgsql stable
as $$
declare
    source_name text;
    view_sql text;
    readable text;
    unseen constant text := {{ schema }}.unseen_sql(input, seen);
begin
    if input ->> 'kind' = 'model' then
        return format('select * from %s where %s', input ->> 'log', unseen);
    end if;
    view_sql := {{ schema }}.view_sql(input ->> 'relation');
    source_name := {{ schema }}.from_source(input);
    -- A `*` would need a right on every column. hold_sources() has made sure that the
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
create or replace function {{ schema }}.has_lacking_images(
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
create or replace function {{ schema }}.changes_of(
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
    setting constant text := 'saas_refresh.unchanged';
    unchanged constant text := coalesce(current_setting(setting, true), '');
    unseen constant text := {{ schema }}.unseen_sql(input, seen);
    table_name constant text := 'refresh_changes_'
        || md5(concat({{ schema }}.source_name(input), unseen));
    query text;
    present_condition text;
    is_many boolean;
    is_changed boolean;
    number integer;
begin
    is_lacking := false;
    -- A log grows within a run.
    if input ->> 'kind' = 'model' then
        query := {{ schema }}.changes_sql(input, seen);
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
    from {{ schema }}.unseen_time_sql(input, unseen, few);
    execute format('select %L or exists (select from %s where table_name = %L and %s)',
        present_condition is not null, input ->> 'tombstones',
        input ->> 'source_table', unseen
    ) into is_changed;
    if not is_changed then
        perform set_config(setting, trim(unchanged || ' ' || table_name), true);
        return;
    end if;
    is_lacking := {{ schema }}.has_lacking_images(input, unseen, identity);
    if is_lacking then
        return;
    end if;
    query := {{ schema }}.changes_sql(
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


-- The join of scopes with rows by their scope columns, null being equal to null. An
-- index serves it: each combination of nulls is a query of its own.
create or replace function {{ schema }}.scope_join(
    scope text[], is_null boolean[], other text
)
returns text
language sql immutable
as $$
    select string_agg(
        case when is_null[position]
            then format('(scopes.%1$I is null and %2$s is null)', name, other_name)
            else format('%2$s = scopes.%1$I', name, other_name)
        end, ' and ' order by position
    )
    from unnest(scope) with ordinality as columns (name, position)
    cross join lateral (select replace(other, '?', name) as other_name) as others
$$;


-- Whether an index's key, as PostgreSQL shows it, is name_of() of a column.
create or replace function {{ schema }}.is_name_of(index_key text, column_name name)
returns boolean
language sql immutable
as $$
    select starts_with(index_key, cut)
        and substr(index_key, length(cut) + 1) ~ '^\d+\)\)$'
    from (select format('(%I::character varying(', column_name)) as shown (cut)
$$;


-- Whether an index finds the rows of an input's scopes by more than their time.
create or replace function {{ schema }}.has_index(input jsonb, mapping jsonb)
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
                when 0 then {{ schema }}.is_name_of(
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


-- A query of the rows of an input that belong to the scopes.
create or replace function {{ schema }}.touched_sql(
    input jsonb, mapping jsonb, scope text[]
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
    scopes text;
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
    select string_agg(format('%s as "scope %s"', value ->> 'expression', key), ', '),
        jsonb_object_agg(key, value)
    into expressions, mapping
    from jsonb_each(mapping) where key = any (scope);
    -- A month at a time, so that the planner chooses for each between an index that
    -- finds the scopes and the rows of the time. A few days that hold many scopes, or
    -- have but their time to be found by, come one by one.
    has_index := {{ schema }}.has_index(input, mapping);
    for pattern in execute format(
        'select distinct array[%s] from refresh_scopes',
        (select string_agg(format('%I is null', name), ', ' order by position)
            from unnest(scope) with ordinality as columns (name, position))
    ) loop
        select key, value into period_column, period
        from jsonb_each(mapping)
        where value ? 'period' and not pattern[array_position(scope, key)]
        limit 1;
        select format('(select * from refresh_scopes where %s) as scopes', string_agg(
            format('%I is %s null', name,
                case when not pattern[position] then 'not' end),
            ' and ' order by position
        )) into scopes
        from unnest(scope) with ordinality as columns (name, position);
        -- A null that the scope has is looked for as such: an index may serve.
        select coalesce(input ->> 'filter', 'true') || coalesce(string_agg(
            format(' and %s is null', mapping -> name ->> 'expression'), ''
        ), '') into conditions
        from unnest(scope) with ordinality as columns (name, position)
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
            period_column, has_index, scopes
        ) else format(
            'select %1$I as first_date, '
            '(%1$I + interval ''1 month'')::date as next_date, '
            'null::date[] as days from %2$s group by %1$I',
            period_column, scopes
        ) end loop
            select * into bounds from {{ schema }}.local_bounds(
                chunk.first_date, chunk.next_date, period ->> 'zone'
            );
            -- Where the bounds say it all, the period is no condition: the planner
            -- would take it for a rare one.
            select string_agg(
                format('input."scope %s" = scopes.%I', name, name), ' and '
            ) into matches
            from unnest(scope) with ordinality as columns (name, position)
            where not pattern[position]
                and (name != period_column or period is null or chunk.days is not null);
            -- An index on days has UTC's.
            if chunk.days is not null and period ->> 'zone' != 'UTC'
                and matches is not null
            then
                matches := matches || format(
                    ' and cast(%1$s at time zone ''UTC'' as date) '
                    'between scopes.%2$I - 1 and scopes.%2$I + 1',
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
                    -- A range would be taken for a rare one, a case is not.
                    ' and case when %1$s >= %2$L::date and %1$s < %3$L::date '
                    'then true else false end',
                    period ->> 'expression', chunk.first_date, chunk.next_date
                ) end end,
                case when matches is not null then format(
                    'inner join (select * from %s where %s) as scopes on %s', scopes,
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


-- The scope column that every mapping of a model gives as a day or month, if it is not
-- the only one.
create or replace function {{ schema }}.common_period(known {{ schema }}.models)
returns text
language sql stable
as $$
    select name from unnest(known.scope) as name
    where cardinality(known.scope) > 1 and not exists (
        select from jsonb_array_elements(known.inputs) as each_input (item),
            jsonb_array_elements(each_input.item -> 'mappings') as each_mapping (item)
        where not each_mapping.item -> name ? 'period'
    ) and exists (
        select from jsonb_array_elements(known.inputs) as each_input (item)
        where each_input.item ? 'mappings'
    )
    limit 1
$$;


-- How many rows of a model differ from what its select gives now: 0, always.
create or replace function {{ schema }}.differences(model_name text) returns bigint
language plpgsql
as $$
declare
    known {{ schema }}.models;
    names text;
    found bigint;
begin
    select * into strict known from {{ schema }}.models where model = model_name;
    select string_agg(format('%I', name), ', ') into names
    from unnest(known.columns) as name;
    execute format(
        'select count(*) from (select from (select %1$s, 1 as sign from (%2$s) as made '
        'union all select %1$s, -1 from %3$s) as both_sides '
        'group by %1$s having sum(sign) != 0) as different',
        names, known.definition, known.relation
    ) into found;
    return found;
end;
$$;


-- Whether a model's table is there with all columns that its select gives.
create or replace function {{ schema }}.has_its_columns(known {{ schema }}.models)
returns boolean
language sql stable
as $$
    select known.columns <@ array(
        select attname::text from pg_attribute
        where attrelid = to_regclass(known.relation)
            and attnum > 0 and not attisdropped
    )
$$;


-- The model to refresh, its row held until the transaction ends. Fails, and loses
-- nothing, where another run has gone ahead of this snapshot.
create or replace function {{ schema }}.model_to_refresh(model_name text)
returns {{ schema }}.models
language plpgsql
as $$
declare
    known {{ schema }}.models;
begin
    select * into known from {{ schema }}.models where model = model_name for update;
    if not found then
        raise exception 'no model % is kept exact here: dbt run makes it', model_name;
    end if;
    if to_regclass(known.relation) is null then
        raise exception 'the table % is gone', known.relation
            using hint = format('dbt run --select %s makes it again', model_name);
    end if;
    if not {{ schema }}.has_its_columns(known) then
        raise exception 'the table % has lost a column', known.relation
            using hint = format('dbt run --select %s makes it anew', model_name);
    end if;
    return known;
end;
$$;


-- Whether the time alone makes a model's select give other rows than it did.
create or replace function {{ schema }}.is_out_of_date(known {{ schema }}.models)
returns boolean
language plpgsql stable
as $$
declare
    current_day date;
begin
    execute format('select %s', known.today) into current_day;
    return known.clock = 'moment'
        or (known.clock = 'day' and known.day != current_day);
end;
$$;


-- Whether an input can't tell what changed in it since it was seen.
create or replace function {{ schema }}.has_lost_track(
    input jsonb, seen {{ schema }}.inputs, identity jsonb
)
returns boolean
language plpgsql stable
as $$
declare
    last_cleared xid8;
begin
    if seen.identity is null
        or seen.identity - 'partitions' != identity - 'partitions'
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


-- A query of the scopes of a partition's time, in the input and in the model. Null
-- where its time isn't known, or is not that of the input's column.
create or replace function {{ schema }}.partition_scopes_sql(
    known {{ schema }}.models, input jsonb, mapping jsonb, partition_bound text,
    partition_columns jsonb
)
returns text
language plpgsql
as $$
declare
    bounds text[] := regexp_match(
        partition_bound, 'FOR VALUES FROM \(''(.+)''\) TO \(''(.+)''\)'
    );
    period_column text;
    period jsonb;
begin
    select key, value into period_column, period
    from jsonb_each(mapping) where value ? 'period' limit 1;
    if period is null or bounds is null
        or bounds[1]::timestamptz < '0001-01-01 00:00:00+00'
        or bounds[2]::timestamptz > '9999-12-31 00:00:00+00'
        or (partition_columns ? (period ->> 'column')) is not true
    then
        return null;
    end if;
    -- In the model a day or month more on each side: zones.
    return format(
        '(select distinct %1$s from %2$s '
        'where %3$s >= %4$L::timestamptz and %3$s < %5$L::timestamptz) '
        'union all (select distinct %6$s from %7$s '
        'where %8$I >= (%4$L::timestamptz at time zone ''UTC'')::date - 32 '
        'and %8$I <= (%5$L::timestamptz at time zone ''UTC'')::date + 1)',
        (select string_agg(mapping -> name ->> 'expression', ', ' order by position)
            from unnest(known.scope) with ordinality as columns (name, position)),
        input ->> 'relation', period ->> 'column', bounds[1], bounds[2],
        (select string_agg(format('%I', name), ', ' order by position)
            from unnest(known.scope) with ordinality as columns (name, position)),
        known.relation, period_column
    );
end;
$$;


-- Queries of the scopes that changes of an input and of its partitions belong to; one
-- that is null is of a partition whose time isn't known.
create or replace function {{ schema }}.scope_queries(
    known {{ schema }}.models,
    input jsonb,
    seen {{ schema }}.inputs,
    identity jsonb,
    changes text
)
returns text[]
language plpgsql
as $$
declare
    queries text[] := '{}';
    mapping jsonb;
    partition jsonb;
begin
    if changes is not null and input ? 'through' then
        queries := queries || format('(with changes as (%s) %s)',
            changes, input ->> 'through');
    end if;
    -- A look-up has no time of its own.
    if input ? 'through'
        and seen.identity -> 'partitions' is distinct from identity -> 'partitions'
    then
        queries := array_append(queries, null);
    end if;
    for mapping in select * from jsonb_array_elements(input -> 'mappings') loop
        if changes is not null then
            queries := queries || format(
                '(select distinct %s from (%s) as changes)',
                (select string_agg(mapping -> name ->> 'expression', ', '
                    order by position)
                    from unnest(known.scope)
                        with ordinality as columns (name, position)),
                changes
            );
        end if;
        -- Partitions that came, went or were emptied: their whole time.
        for partition in
            select value from jsonb_each(coalesce(identity -> 'partitions', '{}'))
            where seen.identity -> 'partitions' -> key is distinct from value
            union
            select value from jsonb_each(coalesce(seen.identity -> 'partitions', '{}'))
            where identity -> 'partitions' -> key is distinct from value
        loop
            queries := array_append(queries, {{ schema }}.partition_scopes_sql(
                known, input, mapping, partition ->> 2, identity -> 'partition_columns'
            ));
        end loop;
    end loop;
    return queries;
end;
$$;


-- A query of the scopes that time alone has changed since the model was refreshed: of
-- rows with a moment between then and now, whichever is later. Null where an input has
-- no moments.
create or replace function {{ schema }}.due_sql(
    known {{ schema }}.models, input jsonb
)
returns text
language sql stable
as $$
    select string_agg(format(
        '(select distinct %s from %s where %I between %L and %L)',
        (select string_agg(mapping -> name ->> 'expression', ', ' order by position)
            from unnest(known.scope) with ordinality as columns (name, position)),
        input ->> 'relation', moment,
        least(known.refreshed_at, now()), greatest(known.refreshed_at, now())
    ), ' union ')
    from jsonb_array_elements(input -> 'mappings') as mapping
    cross join jsonb_array_elements_text(input -> 'moments') as moment
$$;


-- Makes refresh_scopes, the distinct scopes that queries find. The columns' names and
-- types are the model's. The planner takes what changed for a few rows, and would sort
-- them where they are many: hashing takes half the time.
create or replace function {{ schema }}.collect_scopes(
    known {{ schema }}.models, queries text[]
)
returns void
language plpgsql
set enable_sort = off
as $$
begin
    execute format('create temporary table refresh_scopes on commit drop as '
        'select distinct * from (%s) as found %s',
        array_to_string(
            format('(select %s from %s limit 0)', (
                select string_agg(format('%I', name), ', ' order by position)
                from unnest(known.scope) with ordinality as columns (name, position)
            ), known.relation) || queries, ' union all '
        ),
        (select 'where ' || string_agg(format('%I is not null', part.key), ' and ')
            from jsonb_array_elements(known.inputs) as each_input (item),
                jsonb_array_elements(each_input.item -> 'mappings')
                    as each_mapping (item),
                jsonb_each(each_mapping.item) as part
            where part.value ? 'period'
                and not (part.value ->> 'has_none')::boolean));
end;
$$;


-- For a select whose result over all rows is the sum of its results over parts: makes
-- refresh_old, the rows that a change of the input touches, and refresh_new, the same
-- with the difference added that the select makes of the changed rows and those around
-- them, as they are and as they were. Rows around that did not change cancel out.
create or replace function {{ schema }}.sum_up(
    known {{ schema }}.models, input jsonb, changes text
)
returns void
language plpgsql
as $$
declare
    input_names text;
    sums text;
    scope_names text;
    other_names text;
begin
    select string_agg(format('%I', attname), ', ' order by attnum) into input_names
    from pg_attribute
    where attrelid = (input ->> 'relation')::regclass
        and attnum > 0 and not attisdropped;
    select string_agg(format('%I', name), ', ') into scope_names
    from unnest(known.scope) as name;
    select string_agg(format('%I', name), ', '), string_agg(
        format('sum(%1$I * way) as %1$I', name), ', '
    ) into other_names, sums
    from unnest(known.columns) as name where name != all (known.scope);

    drop table if exists pg_temp.refresh_changed, pg_temp.refresh_around,
        pg_temp.refresh_sums;
    execute format('create temporary table refresh_changed on commit drop as '
        'select %1$s, sum(sign)::integer as sign from (%2$s) as changes '
        'group by %1$s having sum(sign) != 0', input_names, changes);
    analyze refresh_changed;
    execute format('create temporary table refresh_around on commit drop as '
        'with changes as not materialized (select * from refresh_changed) %s',
        input ->> 'around');
    execute format(
        'create temporary table refresh_sums on commit drop as with refresh_former as ('
        '(select %1$s from refresh_around except all '
        'select %1$s from refresh_changed where sign > 0) union all '
        'select %1$s from refresh_changed where sign < 0) select %2$s, %3$s from ('
        'select 1 as way, made.* from (%4$s) as made union all '
        'select -1, made.* from (%5$s) as made) as both_ways group by %2$s',
        input_names, scope_names, sums,
        replace(known.definition, input ->> 'relation', 'pg_temp.refresh_around'),
        replace(known.definition, input ->> 'relation', 'refresh_former')
    );
    execute format(
        'create temporary table refresh_old on commit drop as '
        'select ctid as row_id, %1$s, %2$s from %3$s as present '
        'where (%1$s) in (select %1$s from refresh_sums)',
        scope_names, other_names, known.relation
    );
    execute format(
        'create temporary table refresh_new on commit drop as select %1$s, %2$s from ('
        'select 1 as way, %1$s, %3$s from refresh_old union all '
        'select 1, %1$s, %3$s from refresh_sums) as parts '
        'group by %1$s having sum(%4$I) != 0',
        scope_names, sums, other_names, known.rows_column
    );
end;
$$;


-- Finds what changed and how to take it in: the run's method, the identities by which
-- its inputs are remembered, and refresh_scopes or what sum_up() makes.
create or replace function {{ schema }}.find_changes(
    known {{ schema }}.models,
    source_identities jsonb,
    inout run {{ schema }}.runs,
    out identities jsonb
)
language plpgsql
as $$
declare
    input jsonb;
    seen {{ schema }}.inputs;
    identity jsonb;
    changes text;
    due text;
    is_lacking boolean;
    is_changed boolean;
    is_due boolean;
    queries text[] := '{}';
begin
    identities := '{}';
    for input in select * from jsonb_array_elements(known.inputs) loop
        identity := coalesce(
            source_identities -> {{ schema }}.source_name(input),
            {{ schema }}.input_identity(input)
        );
        identities := identities || jsonb_build_object(input ->> 'name', identity);
        select * into seen from {{ schema }}.inputs
        where inputs.model = known.model and inputs.name = input ->> 'name';
        if {{ schema }}.has_lost_track(input, seen, identity) then
            run.method := 'whole';
            return;
        end if;
        if input ? 'moments' then
            due := {{ schema }}.due_sql(known, input);
            execute format('select exists (%s)', due) into is_due;
            if is_due then
                run.method := 'scoped';
                queries := queries || due;
            end if;
        end if;
        continue when input ->> 'kind' = 'seed';
        select * into changes, is_lacking
        from {{ schema }}.changes_of(input, seen, identity);
        if is_lacking then
            run.method := 'whole';
            return;
        end if;
        is_changed := changes is not null;
        if is_changed then
            changes := format('select * from %s as changes where %s',
                changes, coalesce(input ->> 'filter', 'true'));
            if input ? 'filter' then
                execute format('select exists (%s)', changes) into is_changed;
            end if;
        end if;
        continue when not is_changed and seen.identity -> 'partitions'
            is not distinct from identity -> 'partitions';
        if known.scope = '{}' or not (input ?| array['mappings', 'through', 'around'])
            or not {{ schema }}.is_known(input, identity)
        then
            run.method := 'whole';
            return;
        end if;
        if input ? 'around' then
            -- Each change has its neighbours looked for: dearer than to read in order.
            execute format('select count(*) from (%s) as changes', changes)
                into run.scopes;
            if run.scopes > (
                select greatest(reltuples, 1000) / 20 from pg_class
                where oid = (input ->> 'relation')::regclass
            ) then
                run.method := 'whole';
                run.scopes := null;
                return;
            end if;
            run.method := 'summed';
            perform {{ schema }}.sum_up(known, input, changes);
        else
            run.method := 'scoped';
            queries := queries || {{ schema }}.scope_queries(
                known, input, seen, identity, case when is_changed then changes end
            );
        end if;
    end loop;
    -- The time of one of the partitions isn't known.
    if array_position(queries, null) is not null then
        run.method := 'whole';
    elsif run.method = 'scoped' then
        perform {{ schema }}.collect_scopes(known, queries);
    end if;
end;
$$;


-- Chooses by how many scopes there are: they themselves, the days or months that they
-- are in, which then stand in refresh_scopes, or everything. Returns their columns.
create or replace function {{ schema }}.choose_scopes(
    known {{ schema }}.models, inout run {{ schema }}.runs, out scope text[]
)
language plpgsql
as $$
declare
    total real;
    period_name text;
    beside bigint;
    rows_beside bigint;
    is_most boolean := false;
begin
    scope := known.scope;
    select count(*) into run.scopes from refresh_scopes;
    select greatest(reltuples, 1) into total
    from pg_class where oid = known.relation::regclass;
    -- Where they are most of their days or months, these are read as they stand.
    period_name := {{ schema }}.common_period(known);
    if run.scopes > greatest(100, total / 50) and period_name is not null then
        execute format('select count(*), sum(number) from ('
            'select sum(number) as number from ('
            'select %1$s, 1 as number from %2$s where %3$I in '
            '(select %3$I from refresh_scopes) '
            'union all select %1$s, 0 from refresh_scopes) as scopes '
            'group by %1$s) as present',
            (select string_agg(format('%I', name), ', ')
                from unnest(known.scope) as name),
            known.relation, period_name) into beside, rows_beside;
        is_most := run.scopes > beside / 2;
    end if;
    if is_most and rows_beside < total / 2 then
        scope := array[period_name];
        execute format('create temporary table refresh_periods on commit drop as '
            'select distinct %I from refresh_scopes', period_name);
        drop table refresh_scopes;
        alter table refresh_periods rename to refresh_scopes;
        select count(*) into run.scopes from refresh_scopes;
    elsif is_most or run.scopes > 100 and run.scopes > total / 5 then
        run.method := 'whole';
        return;
    end if;
    execute format('create index on refresh_scopes (%s)',
        (select string_agg(format('%I', name), ', ' order by position)
            from unnest(scope) with ordinality as columns (name, position)));
    analyze refresh_scopes;
end;
$$;


-- A query of the rows that a model's select gives for the scopes.
create or replace function {{ schema }}.made_sql(
    known {{ schema }}.models, scope text[]
)
returns text
language plpgsql
as $$
declare
    definition text := known.definition;
    input jsonb;
    touched text;
    mappings integer := 0;
    parts text[] := '{}';
begin
    for input in select * from jsonb_array_elements(known.inputs) loop
        continue when not input ? 'mappings';
        touched := format('touched_%s', input ->> 'name');
        mappings := mappings + jsonb_array_length(input -> 'mappings');
        parts := parts || format('%I as (%s)', touched, (
            -- A row of several scopes is one row.
            select string_agg(format('(%s)', {{ schema }}.touched_sql(
                input, each_mapping.item, scope
            )), ' union ')
            from jsonb_array_elements(input -> 'mappings') as each_mapping (item)
        ));
        definition := replace(
            definition, input ->> 'relation', format('%I', touched)
        );
    end loop;
    definition := format('%s select made.* from (%s) as made',
        'with ' || nullif(array_to_string(parts, ', '), ''), definition);
    -- Rows of several mappings, or of an input without any, may bring scopes along that
    -- are not meant.
    if mappings != 1 or jsonb_array_length(known.inputs) > 1 then
        definition := definition || format(
            ' where jsonb_build_array(%1$s) in '
            '(select jsonb_build_array(%1$s) from refresh_scopes)',
            (select string_agg(format('%I', name), ', ') from unnest(scope) as name)
        );
    end if;
    return definition;
end;
$$;


-- A query of a model's present rows of the scopes, with their row_id.
create or replace function {{ schema }}.present_sql(
    known {{ schema }}.models, scope text[]
)
returns text
language plpgsql
as $$
declare
    pattern boolean[];
    parts text[];
begin
    parts := array[format('(select ctid as row_id, %s from %s limit 0)',
        (select string_agg(format('%I', name), ', ')
            from unnest(known.columns) as name),
        known.relation)];
    for pattern in execute format(
        'select distinct array[%s] from refresh_scopes',
        (select string_agg(format('%I is null', name), ', ' order by position)
            from unnest(scope) with ordinality as columns (name, position))
    ) loop
        parts := parts || format(
            'select present.ctid as row_id, %s from refresh_scopes '
            'as scopes inner join %s as present on %s where %s',
            (select string_agg(format('present.%I', name), ', ')
                from unnest(known.columns) as name),
            known.relation,
            {{ schema }}.scope_join(scope, pattern, 'present."?"'),
            (select string_agg(format('scopes.%I is %s null', name,
                case when pattern[position] then '' else 'not' end), ' and ')
                from unnest(scope) with ordinality as columns (name, position))
        );
    end loop;
    return array_to_string(parts, ' union all ');
end;
$$;


-- Writes the difference between the rows that should be and those that are, and leaves
-- it in refresh_difference. Both are tables or queries in brackets; `row_id` is what
-- the present rows have their place in the table by.
create or replace function {{ schema }}.write_difference(
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
    select string_agg(format('%I', name), ', ') into names
    from unnest(known.columns) as name;
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
    -- In order, so that rows that are read together stand together.
    execute format('insert into %1$s (%2$s) select %2$s from refresh_difference '
        'where sign > 0 %3$s', known.relation, names,
        (select 'order by ' || string_agg(format('%I', name), ', '
            order by position)
            from unnest(known.scope) with ordinality as columns (name, position)));
    get diagnostics run.rows_added = row_count;
end;
$$;


-- Names of the data tests that look at one row or one group, and fail for rows that
-- were written. Made holds all rows of their groups.
create or replace function {{ schema }}.failed_checks(
    known {{ schema }}.models, made text
)
returns text[]
language plpgsql
as $$
declare
    names text[];
begin
    execute format(
        'select array_remove(array[%s], null) from refresh_difference '
        'where sign > 0 group by ()',
        (select string_agg(format('case when %s then %L end',
            case when test ? 'grain' then format(
                'exists (select from %s group by %s having count(*) > 1)',
                made, test ->> 'grain'
            ) else format('bool_or(%s)', test ->> 'fails') end,
            test ->> 'name'), ', ' order by position)
            from jsonb_array_elements(known.checks)
                with ordinality as checks (test, position))
    ) into names;
    return names;
end;
$$;


-- Adds what was written to a model's log, for the models that read it, and clears what
-- they all have seen.
create or replace function {{ schema }}.log_difference(
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
    select string_agg(format('%I', name), ', ') into names
    from unnest(known.columns) as name;
    execute format('insert into %1$s (%2$s, sign) select %2$s, sign '
        'from refresh_difference', known.log, names);
end;
$$;


-- Notes that a model has now seen its inputs as this transaction sees them.
create or replace function {{ schema }}.remember(
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
            identities -> (input ->> 'name'), {{ schema }}.input_identity(input)
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


-- Applies what changed, with the settings that refresh() gives. The identities of
-- sources may come along, by source_name().
create or replace function {{ schema }}.apply_changes(
    model_name text, rebuild boolean, source_identities jsonb
)
returns {{ schema }}.runs
language plpgsql
as $$
declare
    started constant timestamptz := clock_timestamp();
    known {{ schema }}.models;
    run {{ schema }}.runs;
    identities jsonb := '{}';
    scope text[];
    found record;
    made text;
begin
    if current_setting('transaction_isolation') = 'read committed' then
        raise exception 'a refresh must be the work of one REPEATABLE READ transaction'
            using hint = 'begin isolation level repeatable read';
    end if;
    known := {{ schema }}.model_to_refresh(model_name);
    run.model := model_name;
    run.method := 'quiet';
    run.rows_removed := 0;
    run.rows_added := 0;
    run.failed_checks := '{}';
    run.refreshed_at := now();
    drop table if exists pg_temp.refresh_scopes, pg_temp.refresh_periods,
        pg_temp.refresh_old, pg_temp.refresh_new, pg_temp.refresh_difference;

    -- 1 and 2: what changed, and the scopes of it.
    if rebuild or known.is_stale or {{ schema }}.is_out_of_date(known) then
        run.method := 'whole';
    else
        found := {{ schema }}.find_changes(known, source_identities, run);
        run := found.run;
        identities := found.identities;
    end if;
    if run.method = 'scoped' then
        found := {{ schema }}.choose_scopes(known, run);
        run := found.run;
        scope := found.scope;
    end if;

    -- 3 and 4: the rows as they should be, and what of them is to be written.
    if run.method = 'whole' then
        perform {{ schema }}.check_types(known);
        made := known.relation;
        run := {{ schema }}.write_difference(
            known, format('(%s)', known.definition), known.relation, 'ctid', run
        );
    elsif run.method != 'quiet' then
        made := 'refresh_new';
        if run.method = 'scoped' then
            execute format('create temporary table refresh_new on commit drop as %s',
                {{ schema }}.made_sql(known, scope));
            perform {{ schema }}.refuse_other_scopes(known, scope);
        end if;
        run := {{ schema }}.write_difference(
            known, made, case run.method when 'summed' then 'refresh_old'
                else format('(%s)', {{ schema }}.present_sql(known, scope)) end,
            'row_id', run
        );
    end if;
    if run.rows_added > 0 and known.checks != '[]' then
        run.failed_checks := {{ schema }}.failed_checks(known, made);
    end if;
    if run.method != 'quiet' and known.is_logged then
        perform {{ schema }}.log_difference(known, run);
    end if;
    perform {{ schema }}.remember(model_name, run.method, identities);
    run.milliseconds := round(
        extract(epoch from clock_timestamp() - started)::numeric * 1000, 1
    );
    if run.method = 'scoped' or run.rows_removed + run.rows_added > 0 then
        insert into {{ schema }}.runs select run.*;
        -- Those of this model alone: two runs never delete the same row.
        delete from {{ schema }}.runs
        where model = run.model and refreshed_at < now() - interval '30 days';
    end if;
    return run;
end;
$$;


-- Applies what changed, to one model.
create or replace function {{ schema }}.refresh(
    model_name text, rebuild boolean default false
)
returns {{ schema }}.runs
language plpgsql
set client_min_messages = warning
set jit = off
set work_mem = '{{ saas_analytics.refresh_work_mem() }}'
as $$
begin
    return {{ schema }}.apply_changes(model_name, rebuild, '{}');
end;
$$;


-- Refreshes models, all by default, each after those that it reads: one snapshot. The
-- settings are given once: to give them to each model takes longer than to find that
-- nothing has changed.
create or replace function {{ schema }}.refresh_all(only_models text[] default null)
returns setof {{ schema }}.runs
language plpgsql
set client_min_messages = warning
set jit = off
set work_mem = '{{ saas_analytics.refresh_work_mem() }}'
as $$
declare
    source_identities jsonb;
    name text;
begin
    perform {{ schema }}.refuse_unbuilt(only_models);
    perform {{ schema }}.refuse_mixed_builds();
    select jsonb_object_agg(source_name, {{ schema }}.input_identity(input))
    into source_identities
    from (
        select distinct on (source_name) source_name, input
        from {{ schema }}.models,
            jsonb_array_elements(inputs) as input,
            {{ schema }}.source_name(input) as source_name
        where input ->> 'kind' = 'source'
            and (only_models is null or model = any (only_models))
        order by source_name
    ) as each_source;
    for name in
        with recursive edges as (
            select model, input ->> 'name' as upstream
            from {{ schema }}.models, jsonb_array_elements(inputs) as input
            where input ->> 'kind' = 'model'
        ),
        depths as (
            select model, 0 as depth from {{ schema }}.models
            union
            select edges.model, depths.depth + 1
            from depths inner join edges on depths.model = edges.upstream
        )
        select depths.model from depths
        where only_models is null or depths.model = any (only_models)
        group by depths.model order by max(depths.depth), depths.model
    loop
        return next {{ schema }}.apply_changes(name, false, source_identities);
    end loop;
end;
$$;
{% endmacro %}
