-- 001: accounts and billing: users, licenses, teams, team_members, subscriptions,
-- payment_transactions.
--
-- A migration is one transaction, so `psql -f` applies the whole file or nothing. Its
-- objects go into the first schema of the search_path.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

-- Functions ---------------------------------------------------------------------------
--
-- Among functions and operators of one name, PostgreSQL calls the one whose argument
-- types match exactly, from any schema of the search_path. A role that may create in
-- this schema could create such a function. The functions of this project would run it
-- with their owner's rights.
--
-- Therefore the search_path of each function is pg_catalog and pg_temp. PostgreSQL
-- never looks for functions or operators in pg_temp. A body names tables and functions
-- by the schema this_schema. place_function() replaces that by the real name; each
-- migration that creates a function calls it.

create function place_function(placed regprocedure) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    home text;
    body text;
    head text;
begin
    select quote_ident(nspname), prosrc into home, body
    from pg_proc
    inner join pg_namespace on pronamespace = pg_namespace.oid
    where pg_proc.oid = placed;

    head := split_part(pg_get_functiondef(placed), body, 1);
    -- A name may hold any dollar quote: the new body is a literal.
    execute regexp_replace(head, '\$function\w*[$]$', '')
        || quote_literal(replace(body, 'this_schema.', home || '.'));
    execute format('alter function %s set search_path = pg_catalog, pg_temp', placed);
end;
$$;

comment on function place_function(regprocedure) is
'Gives a function the search_path pg_catalog and pg_temp, and its body the name of its '
'schema wherever that says this_schema.';

revoke execute on function place_function(regprocedure) from public;

create function update_updated_at_column() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.updated_at = now();
    return new;
end;
$$;

select place_function('update_updated_at_column()');

comment on function update_updated_at_column() is
'Sets updated_at to the time of the transaction on every update.';

-- users -------------------------------------------------------------------------------

create table users (
    id uuid primary key default gen_random_uuid(),
    email varchar(255) not null unique,
    password_hash varchar(255) not null,
    full_name varchar(255),
    role varchar(50) not null default 'user'
        check (role in ('user', 'admin', 'super_admin')),
    is_active boolean not null default true,
    email_verified boolean not null default false,
    email_verified_at timestamptz,
    last_login_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

comment on table users is 'One row per person with an account.';

-- Nearly all users are active and have the plain role: the index covers the others.
create index users_role_idx on users (role) where role <> 'user';
create index users_inactive_idx on users (is_active) where not is_active;
create index users_created_at_idx on users (created_at);

create trigger users_updated_at before update on users
for each row execute function update_updated_at_column();

-- licenses ----------------------------------------------------------------------------

create table licenses (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users (id) on delete cascade,
    license_key varchar(255) not null unique,
    plan_type varchar(50) not null
        check (plan_type in ('free', 'starter', 'pro', 'enterprise')),
    status varchar(50) not null default 'active'
        check (status in ('active', 'suspended', 'cancelled', 'expired')),
    seats_total integer not null default 1 check (seats_total > 0),
    seats_used integer not null default 0 check (seats_used >= 0),
    trial_ends_at timestamptz,
    started_at timestamptz not null default now(),
    expires_at timestamptz,
    cancelled_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}',
    check (seats_used <= seats_total)
);

comment on table licenses is 'One row per licence that a user bought or was given.';

create index licenses_user_id_idx on licenses (user_id);
create index licenses_plan_type_idx on licenses (plan_type);
create index licenses_status_idx on licenses (status);
create index licenses_expires_at_idx on licenses (expires_at)
where expires_at is not null;
create index licenses_created_at_idx on licenses (created_at);

create trigger licenses_updated_at before update on licenses
for each row execute function update_updated_at_column();

-- teams -------------------------------------------------------------------------------

create table teams (
    id uuid primary key default gen_random_uuid(),
    license_id uuid not null references licenses (id) on delete cascade,
    name varchar(255) not null,
    slug varchar(255) not null unique,
    owner_id uuid not null references users (id) on delete restrict,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

comment on table teams is 'One row per team that works on a licence.';

create index teams_license_id_idx on teams (license_id);
create index teams_owner_id_idx on teams (owner_id);
create index teams_inactive_idx on teams (is_active) where not is_active;
create index teams_created_at_idx on teams (created_at);

create trigger teams_updated_at before update on teams
for each row execute function update_updated_at_column();

-- team_members ------------------------------------------------------------------------

create table team_members (
    id uuid primary key default gen_random_uuid(),
    team_id uuid not null references teams (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    role varchar(50) not null default 'member'
        check (role in ('owner', 'admin', 'member')),
    joined_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (team_id, user_id)
);

comment on table team_members is 'One row per user in a team.';

-- Look-ups by team use the unique constraint.
create index team_members_user_id_idx on team_members (user_id);
create index team_members_role_idx on team_members (role) where role <> 'member';

create trigger team_members_updated_at before update on team_members
for each row execute function update_updated_at_column();

-- subscriptions -----------------------------------------------------------------------

-- An amount is at most 10^15 minor units: 10 trillion units of most currencies. A sum
-- in bigint, such as an affiliate's counter, holds 9,223 such amounts.
create table subscriptions (
    id uuid primary key default gen_random_uuid(),
    license_id uuid not null references licenses (id) on delete cascade,
    stripe_subscription_id varchar(255) unique,
    stripe_customer_id varchar(255),
    status varchar(50) not null check (
        status in (
            'active', 'past_due', 'unpaid', 'canceled',
            'incomplete', 'incomplete_expired', 'trialing'
        )
    ),
    plan_type varchar(50) not null
        check (plan_type in ('free', 'starter', 'pro', 'enterprise')),
    billing_cycle varchar(50) not null check (billing_cycle in ('monthly', 'yearly')),
    amount_cents bigint not null check (amount_cents >= 0)
        constraint subscriptions_amount_cents_at_most_10_to_15
        check (amount_cents <= 1000000000000000),
    currency varchar(3) not null default 'USD',
    current_period_start timestamptz,
    current_period_end timestamptz,
    cancel_at_period_end boolean not null default false,
    canceled_at timestamptz,
    trial_start timestamptz,
    trial_end timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

comment on table subscriptions is
'One row per Stripe subscription; amount_cents is the price of one billing cycle.';

create index subscriptions_license_id_idx on subscriptions (license_id);
create index subscriptions_stripe_customer_id_idx on subscriptions (stripe_customer_id)
where stripe_customer_id is not null;
create index subscriptions_status_idx on subscriptions (status);
create index subscriptions_current_period_end_idx on subscriptions (current_period_end)
where current_period_end is not null;

create trigger subscriptions_updated_at before update on subscriptions
for each row execute function update_updated_at_column();

-- payment_transactions ----------------------------------------------------------------

create table payment_transactions (
    id uuid primary key default gen_random_uuid(),
    subscription_id uuid references subscriptions (id) on delete set null,
    stripe_payment_intent_id varchar(255) unique,
    stripe_invoice_id varchar(255),
    amount_cents bigint not null check (amount_cents >= 0)
        constraint payment_transactions_amount_cents_at_most_10_to_15
        check (amount_cents <= 1000000000000000),
    currency varchar(3) not null default 'USD',
    status varchar(50) not null check (
        status in ('pending', 'succeeded', 'failed', 'refunded', 'canceled')
    ),
    payment_method varchar(50),
    failure_reason text,
    refunded_amount_cents bigint default 0 check (refunded_amount_cents >= 0)
        constraint payment_transactions_refunded_amount_cents_at_most_10_to_15
        check (refunded_amount_cents <= 1000000000000000),
    processed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    metadata jsonb default '{}'
);

comment on table payment_transactions is
'One row per attempt to take a payment, with what was refunded of it.';

create index payment_transactions_subscription_id_idx
on payment_transactions (subscription_id) where subscription_id is not null;
create index payment_transactions_status_idx on payment_transactions (status);
create index payment_transactions_created_at_idx on payment_transactions (created_at);

create trigger payment_transactions_updated_at before update on payment_transactions
for each row execute function update_updated_at_column();

commit;
