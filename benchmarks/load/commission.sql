-- A customer pays, and the referring affiliate earns a share: two triggers add
-- to the affiliate's counters.
\set user random(200, 9999)
\set license :user * 2 / 5
\set price random(1, 9) * 1900
begin;
insert into payment_transactions (
    id, subscription_id, amount_cents, status, processed_at
)
select gen_random_uuid(), id, :price, 'succeeded', now()
from subscriptions
where id = md5('subscription' || :license)::uuid;
insert into affiliate_commissions (
    affiliate_id, referral_id, commission_type, amount_cents, commission_rate, status
)
values (
    md5('affiliate' || :user % 200)::uuid,
    md5('referral' || :user)::uuid,
    'recurring',
    :price / 5,
    20,
    'pending'
);
commit;
