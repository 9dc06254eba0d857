-- The tables of a shop, as an application makes them.
create schema shop;

create table shop.customers (
    id bigint generated always as identity primary key,
    name text not null,
    region text
);

create table shop.orders (
    id bigint generated always as identity primary key,
    customer_id bigint references shop.customers on delete set null,
    amount_cents bigint not null,
    status text not null default 'open',
    ordered_at timestamptz not null default now(),
    due_at timestamptz
);

create table shop.visits (
    id bigint generated always as identity,
    customer_id bigint,
    visited_at timestamptz not null,
    primary key (id, visited_at)
) partition by range (visited_at);

create table shop.visits_2026_01 partition of shop.visits
for values from ('2026-01-01 00:00+00') to ('2026-02-01 00:00+00');

create table shop.visits_2026_02 partition of shop.visits
for values from ('2026-02-01 00:00+00') to ('2026-03-01 00:00+00');

insert into shop.customers (name, region)
select
    'Customer ' || number,
    case number % 4 when 0 then null when 1 then 'North' else 'South' end
from generate_series(1, 40) as number;

insert into shop.orders (customer_id, amount_cents, status, ordered_at, due_at)
select
    1 + number % 40,
    100 * (number % 17),
    case number % 3 when 0 then 'paid' else 'open' end,
    timestamptz '2026-01-05 00:00+00' + number * interval '131 minutes',
    timestamptz '2026-02-05 00:00+00' + number * interval '131 minutes'
from generate_series(1, 500) as number;

insert into shop.visits (customer_id, visited_at)
select
    nullif(1 + number % 41, 41),
    timestamptz '2026-01-03 00:00+00' + number * interval '97 minutes'
from generate_series(1, 700) as number;
