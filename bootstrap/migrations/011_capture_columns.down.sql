-- Takes 011_capture_columns.sql back. Triggers keep the columns that it gave them.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path',
    pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()),
    true
);

drop function capture_changes(regclass, text[]);

create or replace function record_change() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    whole_row constant jsonb :=
        to_jsonb(case tg_op when 'INSERT' then new else old end);
begin
    insert into this_schema.change_tombstones (table_name, old_row)
    select
        tg_argv[0],
        jsonb_object_agg(kept, whole_row -> kept)
    from unnest(tg_argv[1:]) as kept;
    return null;
end;
$$;

select place_function('record_change()');

alter table change_tombstones replica identity default;

commit;
