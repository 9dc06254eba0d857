-- The accounts that the made-up events belong to; ids as in synthetic_events.sql.

insert into users (id, email, password_hash)
select
    md5('user' || number)::uuid,
    'user' || number || '@example.com',
    '-'
from generate_series(0, 19999) as number;

insert into licenses (id, user_id, license_key, plan_type, seats_total)
select
    md5('license' || number)::uuid,
    md5('user' || number * 5 / 2)::uuid,
    'license ' || number,
    'pro',
    5
from generate_series(0, 7999) as number;

insert into teams (id, license_id, name, slug, owner_id)
select
    md5('team' || number)::uuid,
    md5('license' || number)::uuid,
    'Team ' || number,
    'team-' || number,
    md5('user' || number * 5 / 2)::uuid
from generate_series(0, 7999) as number
where number % 5 < 3;

analyze users;
analyze licenses;
analyze teams;
