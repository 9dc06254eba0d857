{#-
    Locks that other processes may hold for hours, such as an idle transaction that has
    read a view. A statement that waits for a lock makes all later sessions wait behind
    it, so none waits long, and each names the process in its way.
-#}


{#-
    An expression (text, null where there is none) that names the processes whose locks
    of these modes on a relation block another session. A process that waits itself is
    no cause: those that it waits for are. `since` is not shown of another role's
    process, unless pg_read_all_stats is granted.
-#}
{% macro _blocking_processes(relations, modes=none) -%}
    (
        with recursive blocking (pid) as (
            select coalesce(locks.pid, 0)
            from pg_locks as locks
            inner join pg_database on locks.database = pg_database.oid
            where pg_database.datname = current_database()
            and locks.pid is distinct from pg_backend_pid()
            and locks.relation in (
                {%- for relation in relations %}
                to_regclass('{{ relation }}'){{ "," if not loop.last }}
                {%- endfor %}
            )
            {%- if modes %} and locks.mode in (
                {%- for mode in modes %}'{{ mode }}'{{ ", " if not loop.last }}
                {%- endfor -%}
            ){%- endif %}
            union
            select unnest(pg_blocking_pids(blocking.pid))
            from blocking where blocking.pid > 0
        )
        select string_agg(
            case when blocking.pid = 0 then 'a prepared transaction (pg_prepared_xacts)'
            else format('process %s (%s)', blocking.pid, concat_ws(
                ', ', activity.usename, nullif(activity.application_name, ''),
                activity.state, to_char(
                    activity.xact_start at time zone 'UTC',
                    '"in a transaction since" YYYY-MM-DD HH24:MI:SS "UTC"'
                )
            )) end, ', ' order by blocking.pid
        )
        from blocking
        left join pg_stat_activity as activity on blocking.pid = activity.pid
        where not exists (
            select from pg_locks as waited
            where waited.pid = blocking.pid and not waited.granted
        )
    )
{%- endmacro %}


{#-
    Tries a statement once that waits no longer than `timeout` for its locks. Returns
    the processes that are in its way, as text; empty where it was done. With
    `is_patient` a lock_timeout of the session's own counts instead, and raises.
-#}
{% macro _try_statement(statement, timeout, relations, modes=none, is_patient=false) -%}
    {%- set attempt -%}
        declare
            patience constant text := current_setting('lock_timeout');
            blockers text := '';
        begin
            begin
                {%- if is_patient %}
                if patience = '0' then
                    set local lock_timeout = '{{ timeout }}';
                end if;
                {%- else %}
                set local lock_timeout = '{{ timeout }}';
                {%- endif %}
                execute {{ exact.literal(statement) }};
            exception when lock_not_available then
                {%- if is_patient %}
                if patience != '0' then
                    raise;
                end if;
                {%- endif %}
                perform pg_stat_clear_snapshot();
                blockers := coalesce(
                    {{ exact._blocking_processes(relations, modes) }},
                    'a process that has ended since'
                );
            end;
            perform set_config('lock_timeout', patience, true);
            perform set_config('exact.blockers', blockers, true);
        end;
    {%- endset -%}
    {%- do run_query("do " ~ exact.literal(attempt)) -%}
    {{ return(run_query(
        "select current_setting('exact.blockers')"
    ).columns[0].values()[0]) }}
{%- endmacro %}


{#-
    Runs a statement that needs a relation without readers for a moment. It gives up
    after 50 ms and tries again once a second, for DBT_LOCK_WAIT seconds. The first time
    it names the process in its way. With is_needed false it tries once.
-#}
{% macro run_between_readers(statement, relation, is_needed=true) -%}
    {%- set seconds = env_var("DBT_LOCK_WAIT", "60") | int -%}
    {%- set outcome = namespace(blockers="") -%}
    {%- for number in range(seconds if is_needed else 1)
        if number == 0 or outcome.blockers -%}
        {%- set outcome.blockers = exact._try_statement(
            statement, "50ms", [relation]
        ) -%}
        {%- if outcome.blockers and is_needed -%}
            {%- if number == 0 -%}
                {%- do log(
                    relation ~ " is in use by " ~ outcome.blockers
                    ~ ": waiting for up to " ~ seconds ~ " s", info=true
                ) -%}
            {%- endif -%}
            {%- do run_query("select pg_sleep(1)") -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if outcome.blockers and is_needed -%}
        {%- do exceptions.raise_compiler_error(
            relation ~ " was in use for " ~ seconds ~ " s by " ~ outcome.blockers
            ~ ": end that transaction, or the process with "
            ~ "`select pg_terminate_backend(pid)`, and run this again. Nothing was "
            ~ "changed."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- Changes a table, if there is something to change, in a moment without readers. -#}
{% macro alter_between_readers(relation, changes) -%}
    {%- if changes -%}
        {%- do exact.run_between_readers(
            "alter table " ~ relation ~ " " ~ changes | join(", "), relation
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#-
    Waits until tables can be locked in a mode that does not conflict with readers, so
    no reader waits behind it. After ten seconds it names the process in its way, and it
    gives up after an hour. A snapshot must not be older than such a lock, and a `do`
    block takes one, so the caller locks again in a transaction of its own.
-#}
{% macro _wait_in_queue(tables, mode, blocking_modes) -%}
    {%- set names = tables | join(", ") -%}
    {%- set outcome = namespace(blockers="") -%}
    {%- for number in range(360) if number == 0 or outcome.blockers -%}
        {%- set outcome.blockers = exact._try_statement(
            "lock table " ~ names ~ " in " ~ mode ~ " mode", "10s", tables,
            blocking_modes, is_patient=true
        ) -%}
        {%- do run_query("commit; begin") -%}
        {%- if outcome.blockers and number == 0 -%}
            {%- do log(
                names ~ " is in use by " ~ outcome.blockers
                ~ ": waiting for up to an hour", info=true
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if outcome.blockers -%}
        {%- do exceptions.raise_compiler_error(
            names ~ " was in use for an hour by " ~ outcome.blockers
            ~ ": end that process (`select pg_terminate_backend(pid)`), and run this "
            ~ "again. Nothing was changed."
        ) -%}
    {%- endif -%}
{%- endmacro %}
