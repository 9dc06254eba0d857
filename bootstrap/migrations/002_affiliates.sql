-- 002: the affiliate program: affiliates, affiliate_referrals, affiliate_payouts,
-- affiliate_commissions, affiliate_clicks, and the counters that triggers update.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

-- affiliates --------------------------------------------------------------------------

-- The counters are bigint: a long history in minor units passes 2^31. The fillfactor
-- leaves room in each page, so an update of a counter stays there and touches no index.
create table affiliates (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users (id) on delete cascade,
    affiliate_code varchar(50) not null unique,
    status varchar(50) not null default 'pending'
        check (status in ('pending', 'active', 'suspended', 'banned')),
    commission_rate numeric(5, 2) not null default 20.00
        check (commission_rate >= 0 and commission_rate <= 100),
    payment_method varchar(50)
        check (payment_method in ('stripe', 'paypal', 'bank_transfer', 'crypto')),
    payment_details jsonb default '{}',
    total_referrals bigint not null default 0 check (total_referrals >= 0),
    total_earnings_cents bigint not null default 0 check (total_earnings_cents >= 0),
    paid_out_cents bigint not null default 0 check (paid_out_cents >= 0),
    pending_payout_cents bigint not null default 0 check (pending_payout_cents >= 0),
    approved_at timestamptz,
    suspended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}',
    check (paid_out_cents + pending_payout_cents <= total_earnings_cents)
) with (fillfactor = 70);

comment on table affiliates is
'One row per affiliate. The counters are kept by triggers: do not write to them.';

create index affiliates_user_id_idx on affiliates (user_id);
create index affiliates_status_idx on affiliates (status);
create index affiliates_created_at_idx on affiliates (created_at);

create trigger affiliates_updated_at before update on affiliates
for each row execute function update_updated_at_column();

-- affiliate_referrals -----------------------------------------------------------------

create table affiliate_referrals (
    id uuid primary key default gen_random_uuid(),
    affiliate_id uuid not null references affiliates (id) on delete cascade,
    referred_user_id uuid not null references users (id) on delete cascade,
    license_id uuid references licenses (id) on delete set null,
    subscription_id uuid references subscriptions (id) on delete set null,
    referral_source varchar(255),
    ip_address inet,
    user_agent text,
    utm_source varchar(255),
    utm_medium varchar(255),
    utm_campaign varchar(255),
    utm_content varchar(255),
    utm_term varchar(255),
    status varchar(50) not null default 'pending' check (
        status in ('pending', 'qualified', 'converted', 'cancelled', 'refunded')
    ),
    qualified_at timestamptz,
    converted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}',
    unique (affiliate_id, referred_user_id)
);

comment on table affiliate_referrals is
'One row per user that an affiliate brought, at most one per affiliate and user.';

-- Look-ups by affiliate use the unique constraint.
create index affiliate_referrals_referred_user_id_idx
on affiliate_referrals (referred_user_id);
create index affiliate_referrals_license_id_idx on affiliate_referrals (license_id)
where license_id is not null;
create index affiliate_referrals_subscription_id_idx
on affiliate_referrals (subscription_id) where subscription_id is not null;
create index affiliate_referrals_status_idx on affiliate_referrals (status);
create index affiliate_referrals_created_at_idx on affiliate_referrals (created_at);

create trigger affiliate_referrals_updated_at before update on affiliate_referrals
for each row execute function update_updated_at_column();

-- affiliate_payouts -------------------------------------------------------------------

create table affiliate_payouts (
    id uuid primary key default gen_random_uuid(),
    affiliate_id uuid not null references affiliates (id) on delete cascade,
    amount_cents bigint not null check (amount_cents > 0)
        constraint affiliate_payouts_amount_cents_at_most_10_to_15
        check (amount_cents <= 1000000000000000),
    currency varchar(3) not null default 'USD',
    payment_method varchar(50) not null
        check (payment_method in ('stripe', 'paypal', 'bank_transfer', 'crypto')),
    payment_reference varchar(255),
    status varchar(50) not null default 'pending'
        check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    commission_count integer not null default 0 check (commission_count >= 0),
    processed_at timestamptz,
    completed_at timestamptz,
    failed_reason text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

comment on table affiliate_payouts is 'One row per transfer of money to an affiliate.';

create index affiliate_payouts_affiliate_id_idx on affiliate_payouts (affiliate_id);
create index affiliate_payouts_status_idx on affiliate_payouts (status);
create index affiliate_payouts_created_at_idx on affiliate_payouts (created_at);
create index affiliate_payouts_payment_reference_idx
on affiliate_payouts (payment_reference) where payment_reference is not null;

create trigger affiliate_payouts_updated_at before update on affiliate_payouts
for each row execute function update_updated_at_column();

-- affiliate_commissions ---------------------------------------------------------------

-- payout_id has no foreign key: the application may write commissions before the
-- payout.
create table affiliate_commissions (
    id uuid primary key default gen_random_uuid(),
    affiliate_id uuid not null references affiliates (id) on delete cascade,
    referral_id uuid not null references affiliate_referrals (id) on delete cascade,
    payment_transaction_id uuid
        references payment_transactions (id) on delete set null,
    commission_type varchar(50) not null
        check (commission_type in ('initial', 'recurring', 'bonus', 'adjustment')),
    amount_cents bigint not null check (amount_cents >= 0)
        constraint affiliate_commissions_amount_cents_at_most_10_to_15
        check (amount_cents <= 1000000000000000),
    commission_rate numeric(5, 2) not null
        check (commission_rate >= 0 and commission_rate <= 100),
    currency varchar(3) not null default 'USD',
    status varchar(50) not null default 'pending'
        check (status in ('pending', 'approved', 'paid', 'cancelled', 'disputed')),
    approved_at timestamptz,
    paid_at timestamptz,
    payout_id uuid,
    notes text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

comment on table affiliate_commissions is
'One row per commission that an affiliate may earn on a referral''s payment.';

create index affiliate_commissions_affiliate_id_idx
on affiliate_commissions (affiliate_id);
create index affiliate_commissions_referral_id_idx
on affiliate_commissions (referral_id);
create index affiliate_commissions_payment_transaction_id_idx
on affiliate_commissions (payment_transaction_id)
where payment_transaction_id is not null;
create index affiliate_commissions_status_idx on affiliate_commissions (status);
create index affiliate_commissions_commission_type_idx
on affiliate_commissions (commission_type);
create index affiliate_commissions_created_at_idx on affiliate_commissions (created_at);
create index affiliate_commissions_payout_id_idx on affiliate_commissions (payout_id)
where payout_id is not null;

create trigger affiliate_commissions_updated_at before update on affiliate_commissions
for each row execute function update_updated_at_column();

-- affiliate_clicks --------------------------------------------------------------------

create table affiliate_clicks (
    id uuid primary key default gen_random_uuid(),
    affiliate_id uuid not null references affiliates (id) on delete cascade,
    ip_address inet,
    user_agent text,
    referrer_url text,
    landing_page text,
    utm_source varchar(255),
    utm_medium varchar(255),
    utm_campaign varchar(255),
    utm_content varchar(255),
    utm_term varchar(255),
    converted boolean not null default false,
    referral_id uuid references affiliate_referrals (id) on delete set null,
    clicked_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

comment on table affiliate_clicks is 'One row per click on an affiliate''s link.';

create index affiliate_clicks_affiliate_id_idx on affiliate_clicks (affiliate_id);
create index affiliate_clicks_clicked_at_idx on affiliate_clicks (clicked_at);
create index affiliate_clicks_converted_idx on affiliate_clicks (converted)
where converted;
create index affiliate_clicks_referral_id_idx on affiliate_clicks (referral_id)
where referral_id is not null;

-- Counters ----------------------------------------------------------------------------

-- Both functions run once per statement and add the statement's difference, so the cost
-- doesn't grow with the affiliate's history. They never sum the rows again. Under READ
-- COMMITTED, a sum keeps the statement's old snapshot while it waits for the row lock,
-- and loses rows that other transactions commit meanwhile. A change without an effect
-- on the counters locks no affiliate. A transaction that changes rows of one affiliate
-- in several statements should lock the affiliate first, or it may deadlock.

create function update_affiliate_referral_stats() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    affiliate_ids uuid[];
    differences bigint[];
begin
    if tg_op = 'TRUNCATE' then
        -- An older snapshot may show 0 where there is more by now: touching the row
        -- anyway makes that a serialization failure.
        update this_schema.affiliates set total_referrals = 0
        where total_referrals <> 0
            or current_setting('transaction_isolation') <> 'read committed';
        return null;
    elsif tg_op = 'INSERT' then
        select array_agg(affiliate_id), array_agg(difference)
        into affiliate_ids, differences
        from (
            select affiliate_id, count(*) as difference
            from new_rows where status in ('qualified', 'converted')
            group by affiliate_id
        ) as change;
    elsif tg_op = 'DELETE' then
        select array_agg(affiliate_id), array_agg(difference)
        into affiliate_ids, differences
        from (
            select affiliate_id, -count(*) as difference
            from old_rows where status in ('qualified', 'converted')
            group by affiliate_id
        ) as change;
    else
        select array_agg(affiliate_id), array_agg(difference)
        into affiliate_ids, differences
        from (
            select affiliate_id, sum(sign) as difference
            from (
                select affiliate_id, status, 1 as sign from new_rows
                union all
                select affiliate_id, status, -1 as sign from old_rows
            ) as version
            where status in ('qualified', 'converted')
            group by affiliate_id
            having sum(sign) <> 0
        ) as change;
    end if;

    if affiliate_ids is null then
        return null;
    end if;

    -- One order for all: two statements over the same affiliates can't deadlock.
    if cardinality(affiliate_ids) > 1 then
        perform from this_schema.affiliates where id = any (affiliate_ids)
        order by id for no key update;
    end if;

    update this_schema.affiliates as affiliate
    set total_referrals = affiliate.total_referrals + change.difference
    from unnest(affiliate_ids, differences) as change (affiliate_id, difference)
    where affiliate.id = change.affiliate_id;
    return null;
end;
$$;

select place_function('update_affiliate_referral_stats()');

comment on function update_affiliate_referral_stats() is
'Keeps affiliates.total_referrals = its referrals qualified or converted.';

create trigger affiliate_referrals_stats_insert after insert on affiliate_referrals
referencing new table as new_rows
for each statement execute function update_affiliate_referral_stats();
create trigger affiliate_referrals_stats_update after update on affiliate_referrals
referencing old table as old_rows new table as new_rows
for each statement execute function update_affiliate_referral_stats();
create trigger affiliate_referrals_stats_delete after delete on affiliate_referrals
referencing old table as old_rows
for each statement execute function update_affiliate_referral_stats();
create trigger affiliate_referrals_stats_truncate after truncate on affiliate_referrals
for each statement execute function update_affiliate_referral_stats();

create function update_affiliate_earnings() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    affiliate_ids uuid[];
    paid_amounts bigint[];
    approved_amounts bigint[];
begin
    if tg_op = 'TRUNCATE' then
        -- As for referrals: an older snapshot may show 0 where there is more by now.
        update this_schema.affiliates
        set total_earnings_cents = 0, paid_out_cents = 0, pending_payout_cents = 0
        where total_earnings_cents <> 0 or paid_out_cents <> 0
            or pending_payout_cents <> 0
            or current_setting('transaction_isolation') <> 'read committed';
        return null;
    elsif tg_op = 'INSERT' then
        select array_agg(affiliate_id), array_agg(paid), array_agg(approved)
        into affiliate_ids, paid_amounts, approved_amounts
        from (
            select
                affiliate_id,
                coalesce(sum(amount_cents) filter (where status = 'paid'), 0) as paid,
                coalesce(sum(amount_cents) filter (where status = 'approved'), 0)
                    as approved
            from new_rows where status in ('approved', 'paid')
            group by affiliate_id
        ) as change;
    elsif tg_op = 'DELETE' then
        select array_agg(affiliate_id), array_agg(-paid), array_agg(-approved)
        into affiliate_ids, paid_amounts, approved_amounts
        from (
            select
                affiliate_id,
                coalesce(sum(amount_cents) filter (where status = 'paid'), 0) as paid,
                coalesce(sum(amount_cents) filter (where status = 'approved'), 0)
                    as approved
            from old_rows where status in ('approved', 'paid')
            group by affiliate_id
        ) as change;
    else
        select array_agg(affiliate_id), array_agg(paid), array_agg(approved)
        into affiliate_ids, paid_amounts, approved_amounts
        from (
            select
                affiliate_id,
                coalesce(sum(amount) filter (where status = 'paid'), 0) as paid,
                coalesce(sum(amount) filter (where status = 'approved'), 0) as approved
            from (
                select affiliate_id, status, amount_cents as amount from new_rows
                union all
                select affiliate_id, status, -amount_cents as amount from old_rows
            ) as version
            where status in ('approved', 'paid')
            group by affiliate_id
        ) as change
        where paid <> 0 or approved <> 0;
    end if;

    if affiliate_ids is null then
        return null;
    end if;

    -- One order for all: two statements over the same affiliates can't deadlock.
    if cardinality(affiliate_ids) > 1 then
        perform from this_schema.affiliates where id = any (affiliate_ids)
        order by id for no key update;
    end if;

    update this_schema.affiliates as affiliate
    set
        total_earnings_cents = affiliate.total_earnings_cents + change.paid
            + change.approved,
        paid_out_cents = affiliate.paid_out_cents + change.paid,
        pending_payout_cents = affiliate.pending_payout_cents + change.approved
    from unnest(affiliate_ids, paid_amounts, approved_amounts)
        as change (affiliate_id, paid, approved)
    where affiliate.id = change.affiliate_id;
    return null;
end;
$$;

select place_function('update_affiliate_earnings()');

comment on function update_affiliate_earnings() is
'Keeps the three amounts on affiliates: total_earnings_cents = its commissions '
'approved or paid, paid_out_cents = paid, pending_payout_cents = approved.';

create trigger affiliate_commissions_earnings_insert after insert
on affiliate_commissions referencing new table as new_rows
for each statement execute function update_affiliate_earnings();
create trigger affiliate_commissions_earnings_update after update
on affiliate_commissions referencing old table as old_rows new table as new_rows
for each statement execute function update_affiliate_earnings();
create trigger affiliate_commissions_earnings_delete after delete
on affiliate_commissions referencing old table as old_rows
for each statement execute function update_affiliate_earnings();
create trigger affiliate_commissions_earnings_truncate
after truncate on affiliate_commissions
for each statement execute function update_affiliate_earnings();

commit;
