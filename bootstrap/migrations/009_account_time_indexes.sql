-- 009: indexes of referrals and licences by their times. By those of referrals a run
-- finds the ones that qualified or converted on the days that changed; by those of
-- licences the ones that began or ended since it ran last.

-- Nothing is built "concurrently": a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation

begin;

set local lock_timeout = '10s';

select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create index affiliate_referrals_qualified_at_idx on affiliate_referrals (qualified_at)
where qualified_at is not null;
create index affiliate_referrals_converted_at_idx on affiliate_referrals (converted_at)
where converted_at is not null;
create index licenses_started_at_idx on licenses (started_at);
create index licenses_cancelled_at_idx on licenses (cancelled_at)
where cancelled_at is not null;

commit;
