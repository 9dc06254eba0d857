{#-
    Puts a relation that was made beside in the place of the one that is there, if one
    is. Readers wait for the swap alone. What others built on it is never dropped along.
-#}
{% macro replace_relation(relation, next_relation) -%}
    {%- set existing = load_cached_relation(relation) -%}
    {%- if existing is not none -%}
        {%- do saas_analytics.run_between_readers(
            "drop " ~ (existing.type | string).replace("_", " ") ~ " " ~ relation,
            relation
        ) -%}
        {#- Nothing is left to drop: dbt takes note. -#}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- do adapter.rename_relation(next_relation, relation) -%}
{%- endmacro %}


{#- Stops where views are built on a relation that has to be made anew. -#}
{% macro refuse_dependents(relation, changed) -%}
    {%- set dependents = run_query(
        "select distinct pg_rewrite.ev_class::regclass::text from pg_depend "
        ~ "inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid "
        ~ "where pg_depend.classid = 'pg_rewrite'::regclass "
        ~ "and pg_depend.refobjid = to_regclass('" ~ relation ~ "') "
        ~ "and pg_rewrite.ev_class != pg_depend.refobjid order by 1"
    ).columns[0].values() -%}
    {%- if dependents -%}
        {%- do exceptions.raise_compiler_error(
            "The " ~ changed ~ " of " ~ relation ~ " changes, so it is made anew, and "
            ~ dependents | join(", ") ~ " is built on it: drop that first, and make it "
            ~ "again afterwards."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Runs a statement that needs a relation without readers for a moment. One that waits
    for a reader makes all later readers wait behind it; so it gives way after 50 ms and
    tries again, for a minute. One that isn't needed is tried once, and left.
-#}
{% macro run_between_readers(statement, relation, is_needed=true) -%}
    {%- set attempts -%}
        declare
            name constant text := '{{ relation }}';
            patience constant text := current_setting('lock_timeout');
            readers text;
        begin
            for attempt in 1..60 loop
                begin
                    set local lock_timeout = '50ms';
                    execute {{ saas_analytics.refresh_literal(statement) }};
                    perform set_config('lock_timeout', patience, true);
                    return;
                exception when lock_not_available then
                    {{ "perform pg_sleep(1)" if is_needed else "return" }};
                end;
            end loop;
            select string_agg(distinct locks.pid::text, ', ') into readers
            from pg_locks as locks
            inner join pg_database on locks.database = pg_database.oid
            where locks.relation = to_regclass(name) and locks.granted
            and datname = current_database() and locks.pid != pg_backend_pid();
            raise exception 'for a minute somebody has been reading %', name
                using hint = format('End the session of process %s '
                    '(pg_terminate_backend), and run this again.', readers);
        end;
    {%- endset -%}
    {%- do run_query("do " ~ saas_analytics.refresh_literal(attempts)) -%}
{%- endmacro %}
