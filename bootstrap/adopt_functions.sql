-- Replaces the functions that 0.1.0 changed, in a database at 015_long_names: the event
-- tables are read from the catalog.
--
-- The schema to change is the first of the search_path. Its functions come from the one
-- that the setting saas_analytics.expected names. Where an owner has altered
-- create_event_partitions(), it stays, and the comparison names it.

do $$
declare
    home constant text := quote_ident(current_schema()) || '.';
    expected constant text :=
        quote_ident(current_setting('saas_analytics.expected')) || '.';
    callers_check constant text := current_setting('check_function_bodies');
    former constant text := (
        select md5(replace(prosrc, home, 'this_schema.')) from pg_proc
        where oid = to_regprocedure(home || 'create_event_partitions(date, date)')
    );
    made record;
begin
    perform set_config('check_function_bodies', 'off', true);
    for made in
        select
            format('%I(%s)', proname, oidvectortypes(proargtypes)) as signature,
            replace(
                replace(
                    pg_get_functiondef(oid), 'FUNCTION ' || expected, 'FUNCTION '
                ), expected, 'this_schema.'
            ) as definition,
            obj_description(oid, 'pg_proc') as description
        from pg_proc
        where pronamespace::regnamespace::text || '.' = expected
            and (
                proname in ('event_tables', 'enrol_event_table')
                or proname = 'create_event_partitions'
                and former = 'c092d88f7d6574a8079f1e97d66a66a7'
            )
    loop
        execute made.definition;
        execute format('select place_function(%L)', made.signature);
        execute format(
            'comment on function %s is %L', made.signature, made.description
        );
    end loop;
    perform set_config('check_function_bodies', callers_check, true);
end;
$$;
