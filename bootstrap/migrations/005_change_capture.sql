-- 005: change capture, by which a run finds the rows that were written since the run
-- before: whatever was inserted late, updated, erased or committed out of order.
--
-- * Each source row carries the transaction that wrote it last, change_xid. A run reads
--   the rows whose transaction the snapshot of the run before could not see. A clock
--   plays no part in it, so no commit can come too late.
-- * A row that is deleted, or updated in a column that marts group by, leaves its
--   former self in change_tombstones: the groups that it has left.
--
-- Inserts run no trigger: they pay for eight bytes and one index entry.
-- docs/incremental.md tells the whole, and what happens where capture can't see.

-- Nothing is built "concurrently": that is neither for partitioned tables nor for a
-- transaction, and a migration is wholly there or not at all.
-- squawk-ignore-file require-concurrent-index-creation

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
    up_to_xid xid8 not null,
    cleared_at timestamptz not null default now()
);

comment on table change_tombstones_cleared is
'One row: tombstones up to this transaction are gone. A mart whose last run is older '
'is rebuilt.';

create function record_change() returns trigger
language plpgsql
set search_path from current
as $$
declare
    table_name constant text := tg_argv[0];
    kept_columns constant text[] := tg_argv[1:];
    former jsonb;
begin
    select jsonb_object_agg(kept, to_jsonb(old) -> kept) into former
    from unnest(kept_columns) as kept;
    if tg_op = 'UPDATE' then
        new.change_xid := pg_current_xact_id();
        if to_jsonb(new) @> former then
            return new;
        end if;
    end if;
    insert into change_tombstones (table_name, old_row) values (table_name, former);
    return case tg_op when 'UPDATE' then new else old end;
end;
$$;

comment on function record_change() is
'Stamps an updated row with its transaction, and leaves a tombstone where a row is '
'deleted or one of the columns in the trigger''s arguments changes.';

create function clear_change_tombstones(keep interval default '14 days')
returns bigint
language plpgsql
set search_path from current
as $$
declare
    last_xid xid8;
    cleared bigint;
begin
    -- Nobody can see a tombstone otherwise than its transaction's other work.
    select tombstones.change_xid into last_xid
    from change_tombstones as tombstones
    where tombstones.recorded_at < now() - keep
        and tombstones.change_xid < pg_snapshot_xmin(pg_current_snapshot())
    order by tombstones.change_xid desc
    limit 1;
    if last_xid is null then
        return 0;
    end if;
    -- Runs read this first, and so know of any tombstone that they no longer find.
    delete from change_tombstones_cleared;
    insert into change_tombstones_cleared (up_to_xid) values (last_xid);
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

-- A run looks for the events of a user and a period; those without a user are few.
create index usage_events_anonymous_idx on usage_events (occurred_at)
where user_id is null;

-- The triggers ------------------------------------------------------------------------
--
-- Row triggers fire for a statement on a partition too. "Always" makes them fire where
-- logical replication writes. The columns after the name are what marts group by.

create trigger users_change before update or delete
on users
for each row execute function record_change('users', 'id', 'created_at');
alter table users enable always trigger users_change;

create trigger licenses_change before update or delete
on licenses
for each row execute function record_change(
    'licenses', 'id', 'user_id', 'plan_type', 'status', 'started_at', 'expires_at',
    'cancelled_at'
);
alter table licenses enable always trigger licenses_change;

create trigger teams_change before update or delete
on teams
for each row execute function record_change('teams', 'id', 'license_id');
alter table teams enable always trigger teams_change;

create trigger team_members_change before update or delete
on team_members
for each row execute function record_change('team_members', 'id', 'team_id', 'user_id');
alter table team_members enable always trigger team_members_change;

create trigger affiliates_change before update or delete
on affiliates
for each row execute function record_change('affiliates', 'id', 'user_id', 'status');
alter table affiliates enable always trigger affiliates_change;

create trigger subscriptions_change before update or delete
on subscriptions
for each row execute function record_change(
    'subscriptions', 'id', 'license_id', 'status', 'plan_type', 'currency'
);
alter table subscriptions enable always trigger subscriptions_change;

create trigger payment_transactions_change before update or delete
on payment_transactions
for each row execute function record_change(
    'payment_transactions', 'id', 'subscription_id', 'currency', 'status',
    'processed_at', 'created_at'
);
alter table payment_transactions enable always trigger payment_transactions_change;

create trigger affiliate_referrals_change before update or delete
on affiliate_referrals
for each row execute function record_change(
    'affiliate_referrals', 'id', 'affiliate_id', 'status', 'utm_campaign',
    'qualified_at', 'converted_at', 'created_at'
);
alter table affiliate_referrals enable always trigger affiliate_referrals_change;

create trigger affiliate_commissions_change before update or delete
on affiliate_commissions
for each row execute function record_change(
    'affiliate_commissions', 'id', 'affiliate_id', 'commission_type', 'status',
    'currency', 'created_at'
);
alter table affiliate_commissions enable always trigger affiliate_commissions_change;

create trigger affiliate_payouts_change before update or delete
on affiliate_payouts
for each row execute function record_change(
    'affiliate_payouts', 'id', 'affiliate_id', 'status', 'currency', 'created_at'
);
alter table affiliate_payouts enable always trigger affiliate_payouts_change;

create trigger affiliate_clicks_change before update or delete
on affiliate_clicks
for each row execute function record_change(
    'affiliate_clicks', 'id', 'affiliate_id', 'utm_campaign', 'clicked_at'
);
alter table affiliate_clicks enable always trigger affiliate_clicks_change;

create trigger usage_events_change before update or delete
on usage_events
for each row execute function record_change(
    'usage_events', 'occurred_at', 'user_id', 'license_id', 'team_id',
    'event_type',
    'event_category', 'event_name'
);
alter table usage_events enable always trigger usage_events_change;

create trigger api_usage_change before update or delete
on api_usage
for each row execute function record_change(
    'api_usage', 'occurred_at', 'user_id', 'license_id', 'endpoint', 'method'
);
alter table api_usage enable always trigger api_usage_change;

create trigger error_logs_change before update or delete
on error_logs
for each row execute function record_change(
    'error_logs', 'occurred_at', 'user_id', 'license_id', 'error_type', 'severity',
    'source'
);
alter table error_logs enable always trigger error_logs_change;

create trigger audit_logs_change before update or delete
on audit_logs
for each row execute function record_change(
    'audit_logs', 'occurred_at', 'user_id', 'team_id', 'action', 'resource_type',
    'status'
);
alter table audit_logs enable always trigger audit_logs_change;

commit;
