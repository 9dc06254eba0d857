-- An earlier design of the same schema, as it was measured and found wrong: counters
-- that row triggers sum anew, aggregates that are only ever added to, four-byte numbers.
-- Run on a migrated database, so that the tests can show that they would notice.

begin;

-- Counters ----------------------------------------------------------------------------

drop trigger affiliate_referrals_stats_insert on affiliate_referrals;
drop trigger affiliate_referrals_stats_update on affiliate_referrals;
drop trigger affiliate_referrals_stats_delete on affiliate_referrals;
drop trigger affiliate_referrals_stats_truncate on affiliate_referrals;
drop trigger affiliate_commissions_earnings_insert on affiliate_commissions;
drop trigger affiliate_commissions_earnings_update on affiliate_commissions;
drop trigger affiliate_commissions_earnings_delete on affiliate_commissions;
drop trigger affiliate_commissions_earnings_truncate on affiliate_commissions;

alter table affiliates
alter column total_referrals type integer,
alter column total_earnings_cents type integer,
alter column paid_out_cents type integer,
alter column pending_payout_cents type integer;

create or replace function update_affiliate_referral_stats() returns trigger
language plpgsql
as $$
begin
    update affiliates
    set total_referrals = (
        select count(*) from affiliate_referrals
        where affiliate_id = new.affiliate_id and status in ('qualified', 'converted')
    )
    where id = new.affiliate_id;
    return new;
end;
$$;

create or replace function update_affiliate_earnings() returns trigger
language plpgsql
as $$
begin
    update affiliates
    set
        total_earnings_cents = (
            select coalesce(sum(amount_cents), 0) from affiliate_commissions
            where affiliate_id = new.affiliate_id and status in ('approved', 'paid')
        ),
        paid_out_cents = (
            select coalesce(sum(amount_cents), 0) from affiliate_commissions
            where affiliate_id = new.affiliate_id and status = 'paid'
        ),
        pending_payout_cents = (
            select coalesce(sum(amount_cents), 0) from affiliate_commissions
            where affiliate_id = new.affiliate_id and status = 'approved'
        )
    where id = new.affiliate_id;
    return new;
end;
$$;

create trigger affiliate_referrals_stats after insert or update on affiliate_referrals
for each row execute function update_affiliate_referral_stats();

create trigger affiliate_commissions_earnings
after insert or update on affiliate_commissions
for each row execute function update_affiliate_earnings();

-- Usage aggregates --------------------------------------------------------------------

alter table usage_aggregates_daily
alter column event_count type integer,
alter column unique_sessions type integer,
alter column total_duration_seconds type integer;

alter table usage_aggregates_monthly
alter column event_count type integer,
alter column unique_sessions type integer,
alter column total_duration_seconds type integer;

create or replace function aggregate_daily_usage(target_date date) returns void
language plpgsql
as $$
begin
    insert into usage_aggregates_daily (
        user_id, license_id, team_id, date, event_type, event_count, unique_sessions
    )
    select
        user_id, license_id, team_id, date(occurred_at), event_type,
        count(*), count(distinct session_id)
    from usage_events
    where date(occurred_at) = target_date
    group by user_id, license_id, team_id, date(occurred_at), event_type
    on conflict (date, user_id, license_id, team_id, event_type) do update set
        event_count = excluded.event_count,
        unique_sessions = excluded.unique_sessions,
        updated_at = now();
end;
$$;

create or replace function aggregate_monthly_usage(
    target_year integer, target_month integer
)
returns void
language plpgsql
as $$
begin
    insert into usage_aggregates_monthly (
        user_id, license_id, team_id, year, month, event_type,
        event_count, unique_sessions, unique_days_active, total_duration_seconds
    )
    select
        user_id, license_id, team_id, target_year, target_month, event_type,
        sum(event_count), sum(unique_sessions), count(distinct date),
        sum(total_duration_seconds)
    from usage_aggregates_daily
    where extract(year from date) = target_year
        and extract(month from date) = target_month
    group by user_id, license_id, team_id, event_type
    on conflict (year, month, user_id, license_id, team_id, event_type) do update set
        event_count = excluded.event_count,
        unique_sessions = excluded.unique_sessions,
        unique_days_active = excluded.unique_days_active,
        total_duration_seconds = excluded.total_duration_seconds,
        updated_at = now();
end;
$$;

-- Nothing knew that a cascade had taken aggregates away.
create or replace function aggregate_stale_usage() returns integer
language sql
as 'select 0';

commit;
