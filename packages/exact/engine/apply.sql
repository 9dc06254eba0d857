{#-
    All four steps for one model.
-#}
{% macro _engine_apply(schema) %}

-- Applies what changed, with the settings of refresh(). source_identities holds what is
-- known of sources already, by _source_name().
create or replace function {{ schema }}._apply_changes(
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
    keys text[];
    found record;
    made text;
begin
    if current_setting('transaction_isolation') = 'read committed' then
        raise exception 'a refresh must be the work of one REPEATABLE READ transaction'
            using hint = 'begin isolation level repeatable read';
    end if;
    known := {{ schema }}._model_to_refresh(model_name);
    run.model := model_name;
    run.method := 'unchanged';
    run.rows_removed := 0;
    run.rows_added := 0;
    run.failed_checks := '{}';
    run.refreshed_at := now();
    drop table if exists pg_temp.refresh_keys, pg_temp.refresh_periods,
        pg_temp.refresh_old, pg_temp.refresh_new, pg_temp.refresh_difference;

    -- 1 and 2: the changes, and their keys.
    if rebuild or known.is_stale or {{ schema }}._is_out_of_date(known) then
        run.method := 'full';
    else
        found := {{ schema }}._find_changes(known, source_identities, run);
        run := found.run;
        identities := found.identities;
    end if;
    if run.method = 'partial' then
        found := {{ schema }}._choose_keys(known, run);
        run := found.run;
        keys := found.keys;
    end if;

    -- 3 and 4: the rows that the select gives, and the difference to the table.
    if run.method = 'full' then
        perform {{ schema }}._check_types(known);
        made := known.relation;
        run := {{ schema }}._write_difference(
            known, format('(%s)', known.definition), known.relation, 'ctid', run
        );
    elsif run.method != 'unchanged' then
        made := 'refresh_new';
        if run.method = 'partial' then
            execute format('create temporary table refresh_new on commit drop as %s',
                {{ schema }}._made_sql(known, keys));
            perform {{ schema }}._refuse_other_keys(known, keys);
        end if;
        run := {{ schema }}._write_difference(
            known, made, case run.method when 'delta' then 'refresh_old'
                else format('(%s)', {{ schema }}._present_sql(known, keys)) end,
            'row_id', run
        );
    end if;
    if run.rows_added > 0 and known.checks != '[]' then
        run.failed_checks := {{ schema }}._failed_checks(known, made);
    end if;
    if run.method != 'unchanged' and known.is_logged then
        perform {{ schema }}._log_difference(known, run);
    end if;
    perform {{ schema }}._remember(model_name, run.method, identities);
    run.milliseconds := round(
        extract(epoch from clock_timestamp() - started)::numeric * 1000, 1
    );
    if run.method = 'partial' or run.rows_removed + run.rows_added > 0 then
        insert into {{ schema }}.runs select run.*;
        -- Only rows of this model: two runs never delete the same row.
        delete from {{ schema }}.runs
        where model = run.model and refreshed_at < now() - interval '30 days';
    end if;
    return run;
end;
$$;
{% endmacro %}
