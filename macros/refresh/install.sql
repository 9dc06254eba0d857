{#- The schema in which the engine keeps its functions and its state, quoted. -#}
{% macro refresh_schema() -%}
    {{ return(adapter.quote(target.schema ~ "_refresh")) }}
{%- endmacro %}


{#-
    Memory for each sort or hash table of a refresh. With PostgreSQL's 4 MB a full
    rebuild of fct_usage_daily takes about twice as long.
-#}
{% macro refresh_work_mem() -%}
    {{ return("64MB") }}
{%- endmacro %}


{#-
    Puts the refresh engine in place at the start of a run, where it is missing or
    another version, and forgets models that the project no longer has.
-#}
{% macro install_refresh_engine() -%}
    {{ return(adapter.dispatch("install_refresh_engine", "saas_analytics")()) }}
{%- endmacro %}

{% macro default__install_refresh_engine() -%}{%- endmacro %}

{% macro postgres__install_refresh_engine() -%}
    {%- if execute -%}
        {%- do saas_analytics.refuse_to_act_for_the_owner() -%}
    {%- endif -%}
    {%- if execute and flags.EMPTY -%}
        {%- do saas_analytics.refuse_to_empty_marts() -%}
    {%- endif -%}
    {%- if execute and flags.WHICH in (
        "run", "build", "retry", "snapshot", "test", "freshness"
    ) -%}
        {%- do saas_analytics.refuse_hidden_rows() -%}
    {%- endif -%}
    {%- set names = [] -%}
    {%- for node in (graph.nodes.values() if execute else [])
        if node.config.materialized == "exact" -%}
        {%- do names.append("'" ~ node.alias ~ "'") -%}
    {%- endfor -%}
    {%- if execute and flags.WHICH == "test" -%}
        {%- do saas_analytics.refuse_other_builds(names) -%}
    {%- endif -%}
    {%- if execute and flags.WHICH in ("run", "build", "retry") -%}
        {%- if flags.FULL_REFRESH and env_var("DBT_PRODUCTION", "") != ""
            and not var("allow_full_refresh", false) -%}
            {%- do exceptions.raise_compiler_error(
                "DBT_PRODUCTION is set, where --full-refresh rebuilds every mart from "
                ~ "all history; a mart that differs from its source rows does so by "
                ~ "itself. If you mean it, add --vars 'allow_full_refresh: true'."
            ) -%}
        {%- endif -%}
        {%- do saas_analytics.refuse_missing_sources() -%}
        {%- set schema = saas_analytics.refresh_schema() -%}
        {%- set engine = saas_analytics.refresh_engine(schema)
            ~ saas_analytics.refresh_periods(schema)
            ~ saas_analytics.refresh_forget(schema)
            ~ saas_analytics.refresh_selects(schema)
            ~ saas_analytics.refresh_sources(schema)
            ~ saas_analytics.refresh_visibility(schema)
            ~ saas_analytics.refresh_sample(schema)
            ~ saas_analytics.refresh_unbuilt(schema)
            ~ saas_analytics.refresh_engine_types(schema)
            ~ saas_analytics.refresh_pin_functions(schema)
            ~ saas_analytics.refresh_pin_settings(schema) -%}
        {%- set version = "Refresh engine " ~ local_md5(engine) -%}
        {%- set installed -%}
            select obj_description(to_regnamespace('{{ schema }}')) as version
        {%- endset -%}
        {%- if run_query(installed).columns[0].values()[0] != version -%}
            {%- set statements -%}
                {{ saas_analytics.refresh_install_lock() }}
                -- "if not exists" would ask for the right to make schemas all the same.
                do $install$
                begin
                    if to_regnamespace('{{ schema }}') is null then
                        create schema {{ schema }};
                    end if;
                end;
                $install$;
                {{ saas_analytics.refresh_note_unbuilt(schema) }}
                -- Another version knows nothing of this one's state: all is rebuilt, in
                -- place.
                do $install$
                declare
                    present text;
                begin
                    -- Listed first: a table takes functions of its type along.
                    foreach present in array coalesce((
                        select array_agg(format('%s if exists %s', kind, name))
                        from (
                            select 'table' as kind, oid::regclass::text as name
                            from pg_class
                            where relkind = 'r'
                            and relnamespace = '{{ schema }}'::regnamespace
                            union all
                            select 'function', oid::regprocedure::text
                            from pg_proc
                            where pronamespace = '{{ schema }}'::regnamespace
                        ) as things
                    ), '{}')
                    loop
                        execute format('drop %s cascade', present);
                    end loop;
                end;
                $install$;
                {{ engine }}
                insert into {{ schema }}.unbuilt
                select distinct model from pg_temp.refresh_unbuilt;
                comment on schema {{ schema }} is '{{ version }}';
                commit
            {%- endset -%}
            {%- do run_query(statements) -%}
        {%- endif -%}
        {%- do saas_analytics.refuse_other_builds(names) -%}
        do $forget$
        declare
            present constant text[] := array[{{ names | join(", ") }}]::text[];
            log regclass;
        begin
            delete from {{ schema }}.models where model != all (present);
            delete from {{ schema }}.unbuilt where model != all (present);
            for log in
                select oid from pg_class
                where relnamespace = '{{ schema }}'::regnamespace and relkind = 'r'
                and relname like '%\_\_log'
                and left(relname, -length('__log')) != all (present)
            loop
                execute format('drop table %s', log);
            end loop;
        end;
        $forget$;
        commit
    {%- endif -%}
{%- endmacro %}


{#- Stops, before any table is made, where a source table to be read is not there. -#}
{% macro refuse_missing_sources() -%}
    {%- set names = [] -%}
    {%- for node in graph.nodes.values() if node.unique_id in selected_resources -%}
        {%- for unique_id in node.depends_on.nodes if unique_id in graph.sources -%}
            {%- set source = graph.sources[unique_id] -%}
            {%- do names.append(
                "(" ~ saas_analytics.refresh_literal(source.schema) ~ ", "
                ~ saas_analytics.refresh_literal(source.identifier) ~ ")"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set missing -%}
        select case
            when count(*) > 3 then min(schema_name || '.' || name) || ' and '
                || count(*) - 1 || ' more'
            else string_agg(schema_name || '.' || name, ', ')
        end
        from (
            select distinct *
            from (values {{ names | join(", ") }}) as named (schema_name, name)
        ) as sources
        where not exists (
            select from pg_class
            inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
            where nspname = schema_name and relname = name
        )
    {%- endset -%}
    {%- set found = run_query(missing).columns[0].values()[0] if names -%}
    {%- if found -%}
        {%- do exceptions.raise_compiler_error(
            "The source tables are not there (" ~ found ~ "): run `python -m "
            ~ "bootstrap migrate` first, or name their schema with DB_SCHEMA."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    What `--empty` builds selects nothing from then on: staging views, and by them every
    mart that is there. So it is refused where a mart was built without it.
-#}
{% macro refuse_to_empty_marts() -%}
    {%- set schema = saas_analytics.refresh_schema() -%}
    {%- if run_query(
        "select to_regclass('" ~ schema ~ ".models') is not null"
    ).columns[0].values()[0] and run_query(
        "select exists (select from " ~ schema ~ ".models "
        ~ "where definition not like '%where false limit 0%')"
    ).columns[0].values()[0] -%}
        {%- do exceptions.raise_compiler_error(
            "--empty would empty the marts in " ~ target.schema ~ ": name another "
            ~ "schema for it, such as DBT_SCHEMA=dry_run."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Gives every function of the engine its search_path: nobody can slip an object of
    their own in front of what is meant.
-#}
{% macro refresh_pin_functions(schema) %}
do $pin$
declare
    present regprocedure;
begin
    for present in
        select oid from pg_proc where pronamespace = '{{ schema }}'::regnamespace
    loop
        execute format(
            'alter function %s set search_path = pg_catalog, pg_temp', present
        );
    end loop;
end;
$pin$;
{% endmacro %}


{#-
    Takes the lock of an installation. Any role may hold an advisory lock, so it is not
    waited for without an end, and its holder is named.
-#}
{% macro refresh_install_lock() %}
do $lock$
declare
    former constant text := current_setting('lock_timeout');
    holder text;
begin
    perform set_config('lock_timeout', '60s', true);
    perform pg_advisory_xact_lock(7226002);
    perform set_config('lock_timeout', former, true);
exception when lock_not_available then
    select format('%I (process %s)', usename, activity.pid) into holder
    from pg_locks
    inner join pg_stat_activity as activity on pg_locks.pid = activity.pid
    where locktype = 'advisory' and granted
        and classid = 0 and objid = 7226002 and objsubid = 1
        and pg_locks.database = (
            select oid from pg_database where datname = current_database()
        )
    limit 1;
    raise exception 'the refresh engine has been locked for 60 s, by %', holder
        using hint = 'wait until it has ended, or end it with pg_terminate_backend';
end;
$lock$;
{% endmacro %}
