{#-
    What the capture triggers of a table keep. Triggers name the columns that they keep,
    and PostgreSQL tracks columns by number, so each run compares the two. A column
    whose capture is uncertain counts as not captured. The models that read it are then
    computed in full, which is always exact.
-#}
{% macro _engine_triggers(schema) %}

-- What the triggers of a table say by themselves: the numbers of the columns whose
-- change leaves a before-image, the arguments, of which the first is a table's name and
-- the others are the columns that it keeps, and what is wrong with them, if something
-- is. The schema is that of the table, where a run looks for before-images.
create or replace function {{ schema }}._read_triggers(source regclass, home text)
returns jsonb
language plpgsql stable
as $$
declare
    found record;
    numbers smallint[];
begin
    select
        count(*) as number,
        array_agg(distinct kind) as kinds,
        array_agg(distinct tgargs) filter (where kind != 'stamped') as given,
        max(tgqual::text) filter (where kind = 'moved') as condition,
        bool_and(is_here) as are_here
    into found
    from (
        select
            tgargs,
            tgqual,
            case
                when tgattr::text != '' then null
                when proname = 'stamp_change' and tgtype = 19 and tgqual is null
                    then 'stamped'
                when proname = 'record_change' and tgtype = 17
                    and {{ schema }}._compared_columns(tgqual::text) is not null
                    then 'moved'
                when proname = 'record_change' and tgtype = 9 and tgqual is null
                    then 'deleted'
                when proname = 'record_change' and tgtype = 5
                    and {{ schema }}._compares_transaction(source, tgqual::text)
                    then 'copied'
            end as kind,
            pronamespace::regnamespace::text = quote_ident(home)
                and (proname = 'stamp_change' or case
                    when prosrc ~ '\.change_tombstones\M' then position(
                        format('%I.change_tombstones', home) in prosrc
                    ) > 0
                    else exists (
                        select from unnest(proconfig) as setting
                        where setting || ',' like format('search_path=%I,%%', home)
                    )
                end) as is_here
        from pg_trigger
        inner join pg_proc on tgfoid = pg_proc.oid
        where proname in ('stamp_change', 'record_change') and tgrelid = source
    ) as triggers;
    numbers := coalesce({{ schema }}._compared_columns(found.condition), '{}');
    return jsonb_build_object(
        'numbers', numbers,
        'arguments', {{ schema }}._trigger_arguments(found.given[1]),
        'complaint', case
            when found.number != 4 or cardinality(found.kinds) is distinct from 4
                or array_position(found.kinds, null) is not null or numbers && '{0}'
                then 'one of its four triggers is missing, changed or disabled'
            when not found.are_here
                then 'its triggers write to a schema that had this name before'
            when cardinality(found.given) != 1
                then 'its triggers do not keep the same columns'
        end
    );
end;
$$;


-- Which columns of a table its before-images hold, by number, and why none, if so. What
-- is known of its triggers is read again when they, or their functions, are others.
create or replace function {{ schema }}._captured_columns(
    source regclass,
    former jsonb,
    out numbers smallint[],
    out complaint text,
    out triggers jsonb
)
language plpgsql stable
as $$
declare
    tables constant oid[] := source::oid || array(
        select relid::oid from pg_partition_tree(source)
    );
    place record;
    present record;
    version text;
    names text[];
    arguments text[];
begin
    select relname::text as name, nspname::text as home into place
    from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid
    where pg_class.oid = source;
    select string_agg(
        concat(pg_trigger.oid, ' ', pg_trigger.xmin, ' ', pg_proc.xmin), ', '
        order by pg_trigger.oid
    ) into version
    from pg_trigger inner join pg_proc on tgfoid = pg_proc.oid
    where tgrelid = source and proname in ('stamp_change', 'record_change');
    version := concat(place.home, ': ', version);
    triggers := former;
    if version is distinct from triggers ->> 'version' then
        triggers := {{ schema }}._read_triggers(source, place.home)
            || jsonb_build_object('version', version);
    end if;

    select
        bool_or(tgenabled in ('D', 'R')) as are_off,
        bool_and(tgenabled = 'A') as are_always
    into present
    from pg_trigger inner join pg_proc on tgfoid = pg_proc.oid
    where tgrelid = any (tables) and proname in ('stamp_change', 'record_change');
    arguments := array(select jsonb_array_elements_text(triggers -> 'arguments'));
    select array_agg(attnum order by attnum), array_agg(attname::text)
    into numbers, names
    from pg_attribute
    where attrelid = source and not attisdropped and attgenerated != 'v'
        and attnum = any (array(
            select jsonb_array_elements_text(triggers -> 'numbers')::smallint
        ));
    complaint := case
        when triggers ->> 'complaint' is not null then triggers ->> 'complaint'
        when numbers is null or present.are_off
            then 'one of its four triggers is missing, changed or disabled'
        when not present.are_always and exists (
            select from pg_subscription_rel where srrelid = any (tables)
        ) then 'a subscription writes to it, and a trigger is not enabled always'
        when exists (
            select from pg_inherits inner join pg_class on pg_class.oid = inhrelid
            where inhparent = source and not relispartition
            union all
            select from pg_class where oid = any (tables) and relkind = 'f'
        ) then 'a table that inherits from it, or a foreign one, is a part of it'
        when exists (
            select from pg_class where oid = any (tables) and relpersistence = 'u'
        ) then 'it is unlogged, or a part of it, so a crash empties it unnoticed'
        when arguments[1] != place.name
            or not (arguments[2:] @> names and arguments[2:] <@ names)
            then 'it, or a column of it, has got another name'
    end;
    if complaint is not null then
        numbers := '{}';
    end if;
end;
$$;
{% endmacro %}
