-- 005: change capture, by which a run finds the rows that were written since the run
-- before: whatever was inserted late, updated, erased or committed out of order.
--
-- * Each source row carries the transaction that wrote it last, change_xid. A run reads
--   the rows whose transaction the snapshot of the run before could not see. A clock
--   plays no part in it, so no commit can come too late.
-- * A row that is deleted, or updated in a column that marts group by, leaves its
--   former self in change_tombstones: the groups that it has left.
--
-- Inserts call no function of ours: they pay for eight bytes and one index entry.
-- docs/incremental.md tells the whole, and what happens where capture can't see.

-- Nothing is built or dropped "concurrently": that is neither for partitioned tables
-- nor for a transaction, and a migration is wholly there or not at all.
-- squawk-ignore-file require-concurrent-index-creation
-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create table change_tombstones (
    table_name text not null,
    old_row jsonb not null,
    change_xid xid8 not null default pg_current_xact_id(),
    recorded_at timestamptz not null default now()
);

comment on table change_tombstones is
'One row per source row that was deleted or left a group: what marts knew it by.';

create index change_tombstones_table_name_idx
on change_tombstones (table_name, change_xid);

create table change_tombstones_cleared (
    is_only_row boolean primary key default true check (is_only_row),
    up_to_xid xid8 not null,
    cleared_at timestamptz not null default now()
);

comment on table change_tombstones_cleared is
'One row: tombstones up to this transaction are gone. A mart whose last run is older '
'is rebuilt.';

create function stamp_change() returns trigger
language plpgsql
set search_path from current
as $$
begin
    new.change_xid := pg_current_xact_id();
    return new;
end;
$$;

comment on function stamp_change() is
'Stamps an updated row with its transaction, whatever the update says.';

-- Whoever may write a table of ours leaves tombstones, with no right on those.
create function record_change() returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
    whole_row constant jsonb :=
        to_jsonb(case tg_op when 'INSERT' then new else old end);
begin
    insert into change_tombstones (table_name, old_row)
    select
        tg_argv[0],
        jsonb_object_agg(kept, whole_row -> kept)
    from unnest(tg_argv[1:]) as kept;
    return null;
end;
$$;

comment on function record_change() is
'Leaves a tombstone: the table''s name, and of the row the columns that the trigger '
'names after it.';

revoke execute on function record_change() from public;

create function clear_change_tombstones(keep interval default '14 days')
returns bigint
language plpgsql
set search_path from current
as $$
declare
    last_xid xid8;
    cleared bigint;
begin
    -- Only of transactions that are over: none of them adds another one.
    select tombstones.change_xid into last_xid
    from change_tombstones as tombstones
    where tombstones.recorded_at < now() - keep
        and tombstones.change_xid < pg_snapshot_xmin(pg_current_snapshot())
    order by tombstones.change_xid desc
    limit 1;
    if last_xid is null then
        return 0;
    end if;
    -- In one transaction, so that a run that misses a tombstone knows of it.
    insert into change_tombstones_cleared as noted (up_to_xid) values (last_xid)
    on conflict (is_only_row) do update set
        up_to_xid = greatest(noted.up_to_xid, excluded.up_to_xid),
        cleared_at = now();
    delete from change_tombstones where change_xid <= last_xid;
    get diagnostics cleared = row_count;
    return cleared;
end;
$$;

comment on function clear_change_tombstones(interval) is
'Deletes tombstones older than the interval and returns how many. Marts that no run '
'has seen for so long are rebuilt by their next one.';

-- The columns -------------------------------------------------------------------------
--
-- The default is the same for all rows of a transaction, so adding it rewrites nothing:
-- rows that are there already count as written by this migration.

alter table users
add column change_xid xid8 not null default pg_current_xact_id();
alter table licenses
add column change_xid xid8 not null default pg_current_xact_id();
alter table teams
add column change_xid xid8 not null default pg_current_xact_id();
alter table team_members
add column change_xid xid8 not null default pg_current_xact_id();
alter table affiliates
add column change_xid xid8 not null default pg_current_xact_id();
alter table subscriptions
add column change_xid xid8 not null default pg_current_xact_id();
alter table payment_transactions
add column change_xid xid8 not null default pg_current_xact_id();
alter table affiliate_referrals
add column change_xid xid8 not null default pg_current_xact_id();
alter table affiliate_commissions
add column change_xid xid8 not null default pg_current_xact_id();
alter table affiliate_payouts
add column change_xid xid8 not null default pg_current_xact_id();
alter table affiliate_clicks
add column change_xid xid8 not null default pg_current_xact_id();
alter table usage_events
add column change_xid xid8 not null default pg_current_xact_id();
alter table api_usage
add column change_xid xid8 not null default pg_current_xact_id();
alter table error_logs
add column change_xid xid8 not null default pg_current_xact_id();
alter table audit_logs
add column change_xid xid8 not null default pg_current_xact_id();

-- Accounts have no index on it: they are few, and are updated too often for one.
create index subscriptions_change_xid_idx on subscriptions (change_xid);
create index payment_transactions_change_xid_idx on payment_transactions (change_xid);
create index affiliate_referrals_change_xid_idx on affiliate_referrals (change_xid);
create index affiliate_commissions_change_xid_idx on affiliate_commissions (change_xid);
create index affiliate_payouts_change_xid_idx on affiliate_payouts (change_xid);
create index affiliate_clicks_change_xid_idx on affiliate_clicks (change_xid);
create index usage_events_change_xid_idx on usage_events (change_xid);
create index api_usage_change_xid_idx on api_usage (change_xid);
create index error_logs_change_xid_idx on error_logs (change_xid);
create index audit_logs_change_xid_idx on audit_logs (change_xid);

-- A run looks for the events of a user and a day, or of nobody and a day. Equal keys
-- are packed, so the day costs a byte a row more than the users alone do.
create index usage_events_user_id_day_idx
on usage_events (user_id, (cast(occurred_at at time zone 'UTC' as date)));

drop index usage_events_user_id_idx;

-- The triggers ------------------------------------------------------------------------
--
-- * An update is stamped before, and leaves a tombstone after it, when no other trigger
--   can change the row any more; so does a delete.
-- * A row that is inserted with the change_xid of another transaction, as from a backup
--   or by logical replication, would never be found by it: it leaves a tombstone too.
--
-- Row triggers reach every partition, those to come included, and fire for a statement
-- on a partition itself. "Always" makes them fire where replication writes.

do $$
declare
    source record;
    former text;
    present text;
    arguments text;
begin
    for source in
        -- What marts know a row by: the columns that they group or join by.
        select table_name, string_to_array(kept, ' ') as kept_columns
        from (values
            ('users', 'id created_at'),
            (
                'licenses',
                'id user_id plan_type status started_at expires_at cancelled_at'
            ),
            ('teams', 'id license_id'),
            ('team_members', 'id team_id user_id'),
            ('affiliates', 'id user_id status'),
            ('subscriptions', 'id license_id status plan_type currency'),
            (
                'payment_transactions',
                'id subscription_id currency status processed_at created_at'
            ),
            (
                'affiliate_referrals',
                'id affiliate_id status utm_campaign qualified_at converted_at '
                'created_at'
            ),
            (
                'affiliate_commissions',
                'id affiliate_id commission_type status currency created_at'
            ),
            (
                'affiliate_payouts',
                'id affiliate_id status currency created_at'
            ),
            ('affiliate_clicks', 'id affiliate_id utm_campaign clicked_at'),
            (
                'usage_events',
                'occurred_at user_id license_id team_id event_type event_category '
                'event_name'
            ),
            ('api_usage', 'occurred_at user_id license_id endpoint method'),
            (
                'error_logs',
                'occurred_at user_id license_id error_type severity source'
            ),
            (
                'audit_logs',
                'occurred_at user_id team_id action resource_type status'
            )
        ) as grouped (table_name, kept)
    loop
        select
            string_agg(format('old.%I', kept), ', '),
            string_agg(format('new.%I', kept), ', '),
            string_agg(format('%L', kept), ', ')
        into former, present, arguments
        from unnest(source.kept_columns) as kept;

        execute format(
            'create trigger %1$I before update on %2$I
            for each row execute function stamp_change()',
            source.table_name || '_stamped', source.table_name
        );
        execute format(
            'create trigger %1$I after update on %2$I
            for each row when ((%3$s) is distinct from (%4$s))
            execute function record_change(%2$L, %5$s)',
            source.table_name || '_moved', source.table_name,
            former, present, arguments
        );
        execute format(
            'create trigger %1$I after delete on %2$I
            for each row execute function record_change(%2$L, %3$s)',
            source.table_name || '_deleted', source.table_name, arguments
        );
        execute format(
            'create trigger %1$I after insert on %2$I
            for each row when (new.change_xid is distinct from pg_current_xact_id())
            execute function record_change(%2$L, %3$s)',
            source.table_name || '_copied', source.table_name, arguments
        );
        execute format(
            'alter table %1$I
            enable always trigger %2$I, enable always trigger %3$I,
            enable always trigger %4$I, enable always trigger %5$I',
            source.table_name,
            source.table_name || '_stamped', source.table_name || '_moved',
            source.table_name || '_deleted', source.table_name || '_copied'
        );
    end loop;
end;
$$;

commit;
