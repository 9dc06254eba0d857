-- 005: the before-images of an erasure are deleted once every mart has read them. A
-- before-image names the person and the time of an anonymous row, so it would identify
-- the person until it is deleted.
--
-- An erasure records the transactions whose before-images name the person. After a
-- refresh, the marts' owner deletes them. A mart that has not read them by then, such
-- as one of another target, finds them in change_tombstones_cleared and is rebuilt.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

create table erasures_to_forget (
    change_xid xid8 primary key
);

comment on table erasures_to_forget is
'One row per transaction whose before-images name an erased person.';

create function note_erasure(erased uuid[]) returns void
language plpgsql security definer as $$
begin
    insert into this_schema.erasures_to_forget (change_xid)
    select pg_current_xact_id()
    union
    select change_xid from this_schema.change_tombstones
    where old_row ->> 'user_id' = any (erased::text[])
        or old_row ->> 'license_id' = any (erased::text[])
        or old_row ->> 'team_id' = any (erased::text[])
        or old_row ->> 'affiliate_id' = any (erased::text[])
        or (
            table_name = any (array['users', 'licenses', 'teams', 'affiliates'])
            and old_row ->> 'id' = any (erased::text[])
        )
    on conflict do nothing;
end;
$$;

select place_function('note_erasure(uuid[])');

comment on function note_erasure(uuid[]) is
'Notes this transaction, and those whose before-images name one of these rows: a user, '
'and the licences, teams and affiliates of that user.';

create function forget_erasures(seen xid8) returns bigint
language plpgsql security definer as $$
declare
    last_xid xid8;
    forgotten bigint;
begin
    with
    noted as (
        delete from this_schema.erasures_to_forget
        where change_xid < least(seen, pg_snapshot_xmin(pg_current_snapshot()))
        returning change_xid
    ),

    deleted as (
        delete from this_schema.change_tombstones
        where change_xid in (select change_xid from noted)
        returning change_xid
    )

    select count(*), max(change_xid::text::numeric)::text::xid8
    into forgotten, last_xid
    from deleted;
    if last_xid is not null then
        -- In one transaction, so that a run that misses one knows of it.
        insert into this_schema.change_tombstones_cleared as noted (up_to_xid)
        values (last_xid)
        on conflict (is_only_row) do update set
            up_to_xid = greatest(noted.up_to_xid, excluded.up_to_xid),
            cleared_at = now();
    end if;
    return forgotten;
end;
$$;

select place_function('forget_erasures(xid8)');

comment on function forget_erasures(xid8) is
'Deletes the before-images of erasures whose transactions are older than what every '
'mart has seen, and returns how many. A mart that has not seen them is rebuilt.';

revoke execute on function note_erasure(uuid[]) from public;
revoke execute on function forget_erasures(xid8) from public;

-- Roles may exist already. A role that may update users may erase, and a role that
-- reads before-images builds marts. Default privileges may let a role write every new
-- table. It loses that right on the tables that only these functions write.
do $$
declare
    given record;
begin
    for given in
        select
            relname,
            privilege_type,
            case grantee
                when 0 then 'public'
                else grantee::pg_catalog.regrole::text
            end as role,
            pg_catalog.bool_or(privilege_type = 'INSERT')
                over (partition by relname, grantee) as may_write
        from pg_catalog.pg_class, pg_catalog.aclexplode(relacl)
        where relnamespace = (
            select pg_namespace.oid from pg_catalog.pg_namespace
            where nspname = pg_catalog.current_schema()
        ) and grantee <> relowner
    loop
        if given.relname = 'users' and given.privilege_type = 'UPDATE' then
            execute 'grant execute on function note_erasure(uuid[]) to ' || given.role;
        elsif given.relname = 'change_tombstones' and given.privilege_type = 'SELECT'
            and not given.may_write
        then
            execute 'grant execute on function forget_erasures(xid8) to ' || given.role;
        elsif given.relname = any (array[
            'change_tombstones', 'change_tombstones_cleared', 'erasures_to_forget'
        ]) and given.may_write then
            execute pg_catalog.format(
                'revoke all on %I from %s', given.relname, given.role
            );
        end if;
    end loop;
end;
$$;

commit;
