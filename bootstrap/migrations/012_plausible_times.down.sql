-- Takes 012_plausible_times.sql back. An event of 9e131071 seconds stops the
-- aggregation of its day again.

-- Nothing is built or dropped "concurrently": a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation
-- squawk-ignore-file require-concurrent-index-deletion

begin;

set local lock_timeout = '10s';
-- The body names tables that are there only when it is placed.
set local check_function_bodies = off;

select pg_catalog.set_config(
    'search_path',
    pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()),
    true
);

drop index licenses_plausible_expires_at_idx;
drop index licenses_cancelled_at_idx;
drop index licenses_started_at_idx;
drop index affiliate_referrals_converted_at_idx;
drop index affiliate_referrals_qualified_at_idx;
drop index affiliate_referrals_plausible_created_at_idx;
drop index payment_transactions_time_idx;

create index payment_transactions_time_idx
on payment_transactions (coalesce(processed_at, created_at));

create index affiliate_referrals_qualified_at_idx on affiliate_referrals (qualified_at)
where qualified_at is not null;

create index affiliate_referrals_converted_at_idx on affiliate_referrals (converted_at)
where converted_at is not null;

create index licenses_started_at_idx on licenses (started_at);

create index licenses_cancelled_at_idx on licenses (cancelled_at)
where cancelled_at is not null;

do $$
declare
    source record;
    former text;
    present text;
    arguments text;
begin
    for source in
        select table_name, string_to_array(kept, ' ') as kept_columns
        from (values
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
        -- What else the owner chose to keep stays.
        select
            string_agg(format('old.%I', kept), ', ' order by position),
            string_agg(format('new.%I', kept), ', ' order by position),
            string_agg(format('%L', kept), ', ' order by position)
        into former, present, arguments
        from unnest(source.kept_columns || array(
            select kept
            from pg_trigger
            cross join unnest(string_to_array(encode(tgargs, 'escape'), '\000'))
                as kept
            where tgrelid = source.table_name::regclass
                and tgname = source.table_name || '_deleted'
                and kept not in ('', 'created_at', source.table_name)
                and kept != all (source.kept_columns)
        )) with ordinality as kept_columns (kept, position);

        execute format(
            'create or replace trigger %1$I after update on %2$I
            for each row when ((%3$s) is distinct from (%4$s))
            execute function record_change(%2$L, %5$s)',
            source.table_name || '_moved', source.table_name,
            former, present, arguments
        );
        execute format(
            'create or replace trigger %1$I after delete on %2$I
            for each row execute function record_change(%2$L, %3$s)',
            source.table_name || '_deleted', source.table_name, arguments
        );
        execute format(
            'create or replace trigger %1$I after insert on %2$I
            for each row when (new.change_xid is distinct from pg_current_xact_id())
            execute function record_change(%2$L, %3$s)',
            source.table_name || '_copied', source.table_name, arguments
        );
        execute format(
            'alter table %1$I enable always trigger %2$I,
            enable always trigger %3$I, enable always trigger %4$I',
            source.table_name, source.table_name || '_moved',
            source.table_name || '_deleted', source.table_name || '_copied'
        );
    end loop;
end;
$$;

create or replace function usage_groups(from_time timestamptz, to_time timestamptz)
returns table (
    group_key jsonb,
    user_id uuid,
    license_id uuid,
    team_id uuid,
    event_type varchar,
    event_count bigint,
    unique_sessions bigint,
    unique_days_active bigint,
    total_duration_seconds numeric
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
select
    jsonb_build_array(user_id, license_id, team_id, event_type),
    user_id,
    license_id,
    team_id,
    event_type,
    count(*),
    count(distinct session_id),
    count(distinct (occurred_at at time zone 'UTC')::date),
    coalesce(
        sum(greatest((event_data ->> 'duration_seconds')::numeric, 0))
        filter (where jsonb_typeof(event_data -> 'duration_seconds') = 'number'),
        0
    )
from this_schema.usage_events
where occurred_at >= from_time and occurred_at < to_time
group by user_id, license_id, team_id, event_type;
$$;

select place_function('usage_groups(timestamptz, timestamptz)');

commit;
