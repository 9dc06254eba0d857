{#- The schema in which the engine keeps its functions and its state, quoted. -#}
{% macro engine_schema() -%}
    {{ return(adapter.quote(target.schema ~ "_refresh")) }}
{%- endmacro %}


{#-
    Memory for each sort or hash table of a refresh. With PostgreSQL's 4 MB a full
    rebuild of a large model takes about twice as long.
-#}
{% macro _work_mem() -%}
    {{ return("64MB") }}
{%- endmacro %}


{#-
    Installs the engine at the start of a run, where it is missing or another version,
    and forgets models that the project no longer has. `removed` names the models whose
    tables it drops.
-#}
{% macro install(removed=[]) -%}
    {{ return(adapter.dispatch("install", "exact")(removed)) }}
{%- endmacro %}

{% macro default__install(removed) -%}{%- endmacro %}

{% macro postgres__install(removed) -%}
    {%- if execute and flags.EMPTY -%}
        {%- do exact._refuse_to_empty() -%}
    {%- endif -%}
    {%- if execute and flags.WHICH in (
        "run", "build", "retry", "snapshot", "test", "freshness"
    ) -%}
        {%- do exact._refuse_hidden_rows() -%}
    {%- endif -%}
    {%- set names = [] -%}
    {%- for node in (graph.nodes.values() if execute else [])
        if node.config.materialized == "exact" -%}
        {%- do names.append("'" ~ node.alias ~ "'") -%}
    {%- endfor -%}
    {%- if execute and flags.WHICH == "test" -%}
        {%- do exact._refuse_other_builds(names) -%}
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
        {%- do exact._refuse_missing_sources() -%}
        {%- do exact._install_engine() -%}
        {%- do exact._rename_models() -%}
        {%- do exact._refuse_other_builds(names) -%}
        {%- do exact._forget_former_models(names, removed) -%}
    {%- endif -%}
{%- endmacro %}


{#- Installs this engine where it is missing or another version. -#}
{% macro _install_engine() -%}
    {%- set schema = exact.engine_schema() -%}
    {%- set engine = exact._engine(schema) -%}
    {%- set version = "exact " ~ exact._state_version() ~ " " ~ local_md5(engine) -%}
    {%- set installed = run_query(
        "select obj_description(to_regnamespace('" ~ schema ~ "'))"
    ).columns[0].values()[0] -%}
    {%- if installed != version -%}
        {%- set statements -%}
            {{ exact._install_lock() }}
            {{ exact._upgrade(schema) }}
            {{ engine }}
            {{ exact._remember_unbuilt(schema) }}
            comment on schema {{ schema }} is '{{ version }}';
            commit
        {%- endset -%}
        {%- do run_query(statements) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Gives every function of the engine its search_path, so that no role can put an
    object of its own before the intended one.
-#}
{% macro _pin_functions(schema) %}
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
    Takes the lock of an installation. Any role may hold an advisory lock, so the wait
    ends after 60 s, with the name of the holder.
-#}
{% macro _install_lock() %}
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
