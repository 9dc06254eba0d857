{#-
    What the engine knows of a source: how its staging view computes each column, which
    of these its before-images hold, and whether each change leaves one. Triggers name
    the columns that they keep, PostgreSQL follows columns by number; so the two are
    compared in each run. What is not certain is not captured: the models that read it
    are computed whole, which is always exact.

    The parsed select of a view, and the parsed condition of a trigger, name columns by
    number. An unknown form of either matches nothing below, and so is not captured.
-#}
{% macro refresh_sources(schema) %}

-- The arguments of a trigger: each ends with a zero byte.
create or replace function {{ schema }}.trigger_arguments(arguments bytea)
returns text[]
language sql stable
as $$
    select coalesce(array_agg(
        convert_from(decode(argument, 'escape'), getdatabaseencoding())
        order by position
    ), '{}')
    from string_to_table(encode(arguments, 'escape'), '\000')
        with ordinality as parts (argument, position)
    where argument != ''
$$;


-- The numbers of the columns that a part of a parsed select reads; 0 is the whole row.
create or replace function {{ schema }}.columns_read(parsed text) returns smallint[]
language sql immutable
as $$
    select array(
        select distinct variable[1]::smallint
        from regexp_matches(
            parsed, '\{VAR :varno \d+ :varattno (-?\d+) ', 'g'
        ) as variable
    )
$$;


-- For each column of a staging view the numbers of the source's columns that decide it,
-- those of the view's filter among them, and the one whose value it has if it is not
-- null. The view reads one table, row by row.
create or replace function {{ schema }}.view_columns(view_name text)
returns table (name text, reads smallint[], equals smallint)
language sql stable
as $$
    select
        attname::text,
        {{ schema }}.columns_read(entry || split_part(
            split_part(parsed, ' :jointree ', 2), ' :targetList ', 1
        )),
        case when value ~ '^\{(VAR|CASEEXPR) '
            and cardinality(results) = 1
            and value !~ (':(def)?result '
                '(?!\{CASEEXPR |\{VAR |\{CONST [^}]*:constisnull true)')
            then results[1]
        end
    from {{ schema }}.parsed_select(view_name) as parsed
    cross join regexp_split_to_table(
        split_part(split_part(parsed, ' :targetList ', 2), ' :override ', 1),
        '\{TARGETENTRY '
    ) as entry
    cross join substring(entry from '^:expr (.*) :resno \d+ ') as value
    cross join lateral (
        select array(
            select distinct variable[1]::smallint
            from regexp_matches(
                ':result ' || value,
                ':(?:def)?result \{VAR :varno \d+ :varattno (-?\d+) ', 'g'
            ) as variable
        ) as results
    ) as returned
    inner join pg_attribute
        on attrelid = view_name::regclass
        and attnum = substring(entry from ' :resno (\d+) ')::smallint
$$;


-- The numbers of the columns that the condition of a trigger for updates compares,
-- where it is `(old.a, old.b …) is distinct from (new.a, new.b …)` and nothing else.
-- Null for any other condition: a part of it might hide a change. PostgreSQL keeps the
-- row comparison as ORs of the columns' comparisons. It relabels columns of some types,
-- which a dump writes as casts; a cast to char would not see spaces at the end.
create or replace function {{ schema }}.compared_columns(condition text)
returns smallint[]
language plpgsql immutable
as $$
declare
    relabelled constant text := '[^{}]*(?: :relabelformat 2 '
        '|:resulttype (?!1042 )\d{1,4} [^{}]*:relabelformat 1 )[^{}]*\}';
    compared constant text := replace(replace(
        '\{DISTINCTEXPR [^{}]*:args \(OLD NEW\)[^{}]*\}',
        'OLD', format('(?:\{RELABELTYPE :arg )?'
            '\{VAR :varno 1 :varattno (\d+) [^{}]*\}(?:%s)?', relabelled)),
        'NEW', format('(?:\{RELABELTYPE :arg )?'
            '\{VAR :varno 2 :varattno \1 [^{}]*\}(?:%s)?', relabelled));
    either constant text := '\{BOOLEXPR :boolop or :args \(#(?: #)*\)[^{}]*\}';
    remaining text := regexp_replace(condition, compared, '#', 'g');
begin
    while remaining ~ either loop
        remaining := regexp_replace(remaining, either, '#', 'g');
    end loop;
    if remaining != '#' then
        return null;
    end if;
    return array(
        select distinct variable[1]::smallint
        from regexp_matches(condition, compared, 'g') as variable
        order by 1
    );
end;
$$;


-- Whether the condition of a trigger for inserts is what capture_changes() writes:
-- `new.change_xid is distinct from pg_current_xact_id()`.
create or replace function {{ schema }}.compares_transaction(
    source regclass, condition text
)
returns boolean
language sql stable
as $$
    select condition ~ format(
        '^\{DISTINCTEXPR [^{}]*:args \(\{VAR :varno 2 :varattno %s [^{}]*\} '
        '\{FUNCEXPR :funcid %s [^{}]*:args <> [^{}]*\}\)[^{}]*\}$',
        attnum, 'pg_catalog.pg_current_xact_id()'::regprocedure::oid
    )
    from pg_attribute
    where attrelid = source and attname = 'change_xid'
$$;


-- What the triggers of a table say by themselves: the numbers of the columns whose
-- change leaves a before-image, the arguments, of which the first is a table's name and
-- the others are the columns that it keeps, and what is wrong with them, if something
-- is. The schema is that of the table, where a run looks for before-images.
create or replace function {{ schema }}.read_triggers(source regclass, home text)
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
                    and {{ schema }}.compared_columns(tgqual::text) is not null
                    then 'moved'
                when proname = 'record_change' and tgtype = 9 and tgqual is null
                    then 'deleted'
                when proname = 'record_change' and tgtype = 5
                    and {{ schema }}.compares_transaction(source, tgqual::text)
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
    numbers := coalesce({{ schema }}.compared_columns(found.condition), '{}');
    return jsonb_build_object(
        'numbers', numbers,
        'arguments', {{ schema }}.trigger_arguments(found.given[1]),
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
create or replace function {{ schema }}.captured_columns(
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
        triggers := {{ schema }}.read_triggers(source, place.home)
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


-- What a staging view must not do: each row of the source gives at most one row of it,
-- by its own values alone. Null where all is well.
create or replace function {{ schema }}.view_problem(view_name text, source regclass)
returns text
language sql stable
as $$
    select case
        -- What dbt's --empty makes has no rows that could be wrong.
        when pg_get_viewdef(view_name::regclass)
            ~ '\sWHERE false\s+LIMIT 0\) _dbt_limit_subq_' then null
        when array(
            select distinct relation[1]::oid
            from regexp_matches(parsed, ':relid (\d+) ', 'g') as relation
            where relation[1]::oid not in (0, view_name::regclass)
        ) != array[source::oid]
            or parsed ~ ' :rtekind [^0]' or parsed ~ '\{QUERY .*\{QUERY '
            or (
                select count(*) from regexp_matches(parsed, ' :inFromCl true ', 'g')
            ) > 1
            then format('reads more than %s', source)
        when parsed !~ ' :hasAggs false :hasWindowFuncs false :hasTargetSRFs false '
            or parsed !~ ' :groupClause <> ' or parsed !~ ' :havingQual <> '
            or parsed !~ ' :distinctClause <> ' or parsed !~ ' :limitOffset <> '
            or parsed !~ ' :limitCount <> ' or parsed !~ ' :tablesample <> '
            then 'gives rows that depend on several rows of its table'
        when {{ schema }}.reads_clock(view_name)
            then 'calls now(): put what depends on the time into a model'
        else {{ schema }}.select_problem(view_name)
    end
    from {{ schema }}.parsed_select(view_name) as parsed
$$;


-- What a source is known by: its table, view, columns and triggers, and which columns
-- of the view its before-images hold. A view is parsed only when it is new: that takes
-- longer than all else.
create or replace function {{ schema }}.source_identity(input jsonb) returns jsonb
language plpgsql stable
as $$
declare
    source constant regclass := input ->> 'source';
    view_name constant text := input ->> 'relation';
    view_sql constant text := {{ schema }}.view_sql(view_name);
    present jsonb;
    parsed jsonb;
    triggers jsonb;
    problem text;
    captured record;
    partition_column smallint;
begin
    if cardinality(
        string_to_array(view_sql, {{ schema }}.from_source(input))
    ) != 2 then
        raise exception 'the view % must read % once', view_name, input ->> 'source'
            using hint = format(
                'run `dbt run --select %s`, which makes it again', input ->> 'called'
            );
    end if;
    select jsonb_build_object(
        'table', jsonb_build_array(
            source::oid::text, pg_relation_filenode(source::oid)
        ),
        'view', md5(view_sql),
        'view_columns', md5({{ schema }}.column_types(view_name)),
        'rule', concat(pg_rewrite.oid, ' ', pg_rewrite.xmin),
        -- A function can be replaced by another of its name, that of an operator too.
        'functions', string_agg(pg_proc.xmin::text, ' ' order by pg_proc.oid)
    ) into present
    from pg_rewrite
    left join pg_depend
        on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
        and refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
    left join pg_operator
        on refclassid = 'pg_operator'::regclass and refobjid = pg_operator.oid
    left join pg_proc on pg_proc.oid = coalesce(oprcode::oid, refobjid)
    where ev_class = view_name::regclass and rulename = '_RETURN'
    group by pg_rewrite.oid, pg_rewrite.xmin;

    select
        case when identity @> present then identity -> 'parsed' end,
        identity -> 'triggers'
    into parsed, triggers
    from {{ schema }}.inputs
    where name = input ->> 'name'
    limit 1;
    if parsed is null then
        problem := {{ schema }}.view_problem(view_name, source);
        if problem is not null then
            raise exception 'the view % %', view_name, problem
                using hint = 'a staging view renames and converts the columns of one '
                    'table; put the rest into an exact model that reads it';
        end if;
        select jsonb_object_agg(name, jsonb_build_array(reads, equals)) into parsed
        from {{ schema }}.view_columns(view_name);
    end if;

    captured := {{ schema }}.captured_columns(source, triggers);
    select partattrs[0] into partition_column
    from pg_partitioned_table
    where partrelid = source and partstrat = 'r' and partnatts = 1;
    return present || jsonb_build_object(
        'parsed', parsed,
        'complaint', captured.complaint,
        'is_captured', captured.complaint is null,
        'triggers', captured.triggers,
        'kept', (
            select jsonb_agg(attname order by attname) from pg_attribute
            where attrelid = source and attnum = any (captured.numbers)
        )
    ) || (
        select jsonb_build_object(
            'known', jsonb_agg(key order by key)
                filter (where value -> 0 <@ to_jsonb(captured.numbers)),
            'partition_columns', jsonb_agg(key order by key)
                filter (where value -> 1 = to_jsonb(partition_column))
        )
        from jsonb_each(parsed)
    ) || jsonb_build_object(
        'columns', (
            select jsonb_agg(jsonb_build_array(
                attnum, attname, atttypid::oid, atttypmod, attcollation::oid,
                -- An enum's labels can change without any row being written. None is
                -- among PostgreSQL's own types, which have the lower numbers.
                case when atttypid >= 16384 then (
                    select md5(string_agg(enumlabel, ' ' order by enumsortorder))
                    from pg_enum where enumtypid = atttypid
                ) end,
                -- Nor is one where a column is computed whenever it is read.
                case when attgenerated = 'v' then (
                    select pg_get_expr(adbin, adrelid) from pg_attrdef
                    where adrelid = attrelid and adnum = attnum
                ) end
            ) order by attnum)
            from pg_attribute
            where attrelid = source and attnum = any (array(
                select number::smallint
                from jsonb_each(parsed)
                cross join jsonb_array_elements_text(value -> 0) as number
            ))
        )
    );
end;
$$;


-- Fails if a table that a run reads is gone, or has another name.
create or replace function {{ schema }}.refuse_missing_relations(inputs jsonb)
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
                'give it its name back, or name it as it is now in '
                'models/staging/_sources.yml, and run `python -m bootstrap capture` '
                'and `dbt run` (%s reads it)', missing.called
            );
    end if;
end;
$$;


-- Whether an input's before-images hold all that the model needs to know of a row that
-- went or changed.
create or replace function {{ schema }}.is_known(input jsonb, identity jsonb)
returns boolean
language sql immutable
as $$
    select input ->> 'kind' != 'source'
        or coalesce(identity -> 'known' @> (input -> 'needs'), false)
$$;


-- For each input of a model that makes every run compute the model whole, or every run
-- in which it changes: the end of a sentence that says why, and what makes it cheap.
create or replace function {{ schema }}.capture_advice(model_name text)
returns setof text
language plpgsql stable
as $$
declare
    input record;
    lacking text[];
begin
    for input in
        select item, inputs.identity, item ->> 'called' as called,
            (item ->> 'source')::regclass as source
        from {{ schema }}.models
        cross join jsonb_array_elements(models.inputs) as each_input (item)
        inner join {{ schema }}.inputs
            on inputs.model = models.model and inputs.name = item ->> 'name'
        where models.model = model_name and item ->> 'kind' = 'source'
        order by item ->> 'name'
    loop
        if input.identity ->> 'complaint' is not null then
            return next format(
                'computed whole in every run, because changes of %s are not captured '
                '(%s): `%s` repairs that',
                input.source, input.identity ->> 'complaint',
                case
                    when input.identity ->> 'complaint' like '%unlogged%'
                        then 'alter table … set logged'
                    else format(
                        'python -m bootstrap capture %s', input.item ->> 'source_table'
                    )
                end
            );
        elsif input.item ? 'needs' and not {{ schema }}.is_known(
            input.item, input.identity
        ) then
            select array_agg(attname::text order by attnum) into lacking
            from pg_attribute
            where attrelid = input.source
                and not input.identity -> 'kept' ? attname::text
                and to_jsonb(attnum) in (
                    select number
                    from jsonb_each(input.identity -> 'parsed')
                    cross join jsonb_array_elements(value -> 0) as number
                    where input.item -> 'needs' ? key
                );
            return next format(
                'computed whole whenever %s changes, because before-images of %s lack '
                '%s: `python -m bootstrap capture %s %s` adds it',
                input.called, input.source, array_to_string(lacking, ', '),
                input.item ->> 'source_table', array_to_string(lacking, ' ')
            );
        end if;
    end loop;
end;
$$;
{% endmacro %}
